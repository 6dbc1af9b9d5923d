"""Moving digits of MNIST: "the digit three moves up and then left"; those of the test part are MNIST's test digits.

RNN_JAX_DATA=<folder> python -m experiments.video_captioning --config=configs/video_captioning/digits.py

Not yet run to its end.
"""

from configs.video_captioning import default


def get_config():
    config = default.get_config()
    config.data.source = "digits"
    config.optimizer.rate, config.steps = 2e-3, 30
    return config
