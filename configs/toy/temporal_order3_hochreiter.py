"""Temporal order 6b, three symbols: three blocks of two original LSTM cells, 308 weights, online (H & S, 1997).

    python -m experiments.toy --config=configs/toy/temporal_order3_hochreiter.py

Rate 0.1. Published: 571,100 sequences to success, then 2 of 2560 wrong. About 45 minutes for 4 seeds on 2 CPU cores,
at 600 sequences a second: not run to its end yet. (904 of 2560 wrong after 220,000.)
"""

from ml_collections import ConfigDict

from configs.toy import temporal_order_hochreiter


def get_config():
    config = temporal_order_hochreiter.get_config()
    config.sizes.symbols = 3
    config.width = 6
    config.cells = ConfigDict({"original_lstm": {"block": 2, "input_bias": (-2.0, -4.0, -6.0)}})
    config.steps = 1_713_300
    config.log_every, config.eval_every, config.save_every = 10_000, 10_000, 100_000
    config.optimizer.rate = 0.1
    return config
