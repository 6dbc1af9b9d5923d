"""Flickr8k, Show, Attend and Tell (Xu et al., 2015): soft attention over the 10 x 10 positions of a CNN's features.

RNN_JAX_DATA=<folder> python -m experiments.captioning --config=configs/captioning/show_attend_tell.py

The photographs, of 128 pixels, are enlarged to 176; --config.data.pixels=128 leaves them, with 7 x 7 positions.
Published with VGG's 14 x 14 features: BLEU-1 67, BLEU-4 19.5. Measured: the table in cnn_h0.py; the validation loss
still falls after 10 epochs (2.853). At 128 pixels, 2026-11-27: 2.880 after 10 epochs; of 20 it is least after 10
(2.869) and rises to 2.887 (BLEU-1 56.8, BLEU-4 17.2, CIDEr-D 0.399). The test figures of both were known when 10 were
chosen. Wider, and with corners of the photographs: show_attend_tell_128.py. With the penalty at 1.0, in 8 epochs,
before the readout began by its fan-in alone, 2026-11-26: 56.9, 17.4, 0.378.
"""

from configs.captioning import cnn_h0


def get_config():
    config = cnn_h0.get_config()
    config.inform, config.gate, config.balance = "attention", True, 0.1
    config.data.pixels, config.baseline_steps = 176, 0
    return config
