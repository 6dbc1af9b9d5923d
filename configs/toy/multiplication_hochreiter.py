"""Multiplication, T = 100: two blocks of two original LSTM cells, 93 weights, online (Hochreiter & Schmidhuber, 1997).

    python -m experiments.toy --config=configs/toy/multiplication_hochreiter.py

Rate 0.1. Published: 482,000 sequences, then 139 of 2560 wrong. About 35 minutes for 4 seeds on 2 CPU cores, at 800
sequences a second: not run to its end yet. (1212 of 2560 wrong after 270,000.)
"""

from ml_collections import ConfigDict

from configs.toy import adding_hochreiter


def get_config():
    config = adding_hochreiter.get_config()
    config.task, config.sizes = "multiplication", ConfigDict({"t": 100})
    config.success = 139.0
    config.steps = 1_446_000
    config.log_every, config.eval_every, config.save_every = 10_000, 10_000, 100_000
    config.optimizer.rate = 0.1
    return config
