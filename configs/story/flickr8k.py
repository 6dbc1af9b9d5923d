"""Photographs told in the manner of a text of one's choice, here Shakespeare's.

    RNN_JAX_DATA=<folder> python -m experiments.story --config=configs/story/flickr8k.py \
        --config.captions=runs/captioning/cnn_h0 --config.data.text=<folder>/tinyshakespeare/input.txt

Needs a finished run of configs/captioning/cnn_h0.py. Measured 2026-11-27, jax 0.10.2, 41 minutes on one CPU core: the
stories are poor. They have Shakespeare's words (a third as many that no caption has as his own passages), but 1.4 % of
the content words of their captions (2.8 % without the shift; 0 of another picture's). 4,543 passages of up to 30 words
teach the decoder little (perplexity 34), and the autoencoder writes 19 % of held-out texts word for word.
"""

from configs.story import default


def get_config():
    config = default.get_config()
    config.width, config.embed = 256, 128
    config.data.least, config.data.longest = 3, 30
    config.also = 1.0
    config.dropout_out = 0.3
    config.pictures = 1000
    config.optimizer.rate = 1e-3
    return config
