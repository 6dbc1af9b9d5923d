"""Temporal order, smart tanh, at every length of the paper's picture: T = 20, 50, 100, 150, 200.

    python -m experiments.temporal_order --config=configs/temporal_order/long.py

Expected time on 2 shared CPU cores: a run that ends at its 1e5 updates takes 23 minutes at T = 150 and about half an
hour at T = 200; five lengths and three methods 3 to 4 hours. All of it runs on one GPU by the same command; none was at
hand, so no time is given for one.

Measured 2026-11-22, cr alone (--config.lengths="(150,)" --config.methods="('cr',)"), 5 seeds: 4 of 5 at T = 150 (after
32,000 to 67,000 updates; the fifth came down to 1.44 %). Published: all, up to T = 200, in up to 5e6 updates.
"""

from configs.temporal_order import default


def get_config():
    config = default.get_config()
    config.lengths = (20, 50, 100, 150, 200)
    return config
