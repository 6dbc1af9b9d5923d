"""Flickr8k, Show, Attend and Tell (Xu et al., 2015): soft attention over the 7 x 7 positions of a CNN's features.

RNN_JAX_DATA=<folder> python -m experiments.captioning --config=configs/captioning/show_attend_tell.py
"""

from configs.captioning import cnn_h0


def get_config():
    config = cnn_h0.get_config()
    config.inform, config.gate, config.balance = "attention", True, 1.0
    config.steps, config.baseline_steps = 8, 0
    return config
