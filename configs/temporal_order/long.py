"""Temporal order, smart tanh, at every length of the paper's picture: T = 20, 50, 100, 150, 200.

    python -m experiments.temporal_order --config=configs/temporal_order/long.py

LONG
"""

from configs.temporal_order import default


def get_config():
    config = default.get_config()
    config.lengths = (20, 50, 100, 150, 200)
    return config
