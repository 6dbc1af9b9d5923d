"""Cells that the engine was not written for, as their papers write them (rnn_jax/benchmarks/variants.py).

python -m experiments.speed --config=configs/speed/variants.py
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "layer_norm_lstm,ordered_lstm,slstm,mlstm,fast_weights"
    config.shapes = "20x200x6x50,32x100x64x64,32x100x64x128"
    config.contenders = "ours,reference,deferred"
    return config
