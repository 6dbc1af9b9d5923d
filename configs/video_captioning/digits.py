"""Moving digits of MNIST: "the digit three moves up and then left"; those of the test part are MNIST's test digits.

RNN_JAX_DATA=<folder> python -m experiments.video_captioning --config=configs/video_captioning/digits.py

Measured 2026-11-27, jax 0.10.2, 4 minutes on one CPU core: 96.2 % of the directions in clips of the test part, 63 % of
the sentences right to the last word: it is the digit, seen in 4,000 clips, that it takes for another (perplexity 1.05
in training, 1.15 on held-out clips). With the frames of the same clips in random order 37 % of the directions (chance
is 50 %); with them shuffled in training too (--config.data.shuffle=True) 44 %, and 24 % of the sentences. At the rate
of default.py, 4e-3, it does not learn to see at all (18 % of the directions).
"""

from configs.video_captioning import default


def get_config():
    config = default.get_config()
    config.data.source = "digits"
    config.optimizer.rate, config.steps = 2e-3, 30
    return config
