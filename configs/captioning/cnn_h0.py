"""Flickr8k, the simple form: the mean of a CNN's features sets the first state of an LSTM, which writes the caption.

RNN_JAX_DATA=<folder> python -m experiments.captioning --config=configs/captioning/cnn_h0.py
"""

from configs.captioning import default


def get_config():
    config = default.get_config()
    config.data.source = "flickr8k"
    config.data.least, config.data.longest = 4, 24
    config.data.batch, config.data.shapes = 64, 3
    config.encoder.name, config.encoder.frozen = "squeezenet", True
    config.inform = "state"
    config.width, config.embed, config.deep = 256, 256, 256
    config.dropout, config.dropout_out, config.dropout_seen = 0.2, 0.4, 0.2
    config.smoothing = 0.1
    config.flip = True
    config.steps, config.baseline_steps = 10, 2
    config.optimizer.rate = 1e-3
    config.decode.beams, config.decode.length_power = 5, 1.0
    return config
