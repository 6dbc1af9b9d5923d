"""Photographs told in the manner of a text of one's choice, here Shakespeare's.

    RNN_JAX_DATA=<folder> python -m experiments.story --config=configs/story/flickr8k.py \
        --config.captions=runs/captioning/cnn_h0 --config.data.text=<folder>/tinyshakespeare/input.txt

Needs a finished run of configs/captioning/cnn_h0.py. Not yet run.
"""

from configs.story import default


def get_config():
    config = default.get_config()
    config.width, config.embed = 256, 128
    config.data.least, config.data.longest = 3, 30
    config.dropout_out = 0.3
    config.pictures = 1000
    config.optimizer.rate = 1e-3
    return config
