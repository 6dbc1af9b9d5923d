"""Flickr8k, Show and Tell (Vinyals et al., 2015): the picture is the first word that an LSTM reads.

RNN_JAX_DATA=<folder> python -m experiments.captioning --config=configs/captioning/show_and_tell.py

Measured: the table in cnn_h0.py.
"""

from configs.captioning import cnn_h0


def get_config():
    config = cnn_h0.get_config()
    config.see, config.baseline_steps = "first", 0
    return config
