"""Twenty tanh networks in one vmapped program, beside one and beside twenty in turn.

    python -m experiments.speed --config=configs/speed/seeds.py

Target (2 CPU cores, float32): at most 12 x one network under "reference", and always less than twenty runs in turn.
Measured 2026-11-23, jax 0.10.2, 2 CPU cores otherwise idle, three runs, two networks at a time
(`train.devices.over_models`); in brackets four at a time, one run:

    b x t x n x d   over one under "reference"   over twenty in turn under "auto"
    20x50x6x50      8.7 to 9.6 (8.1)             0.92 to 1.01 (0.83)
    20x200x6x50     8.7 to 9.9 (9.1)             0.94 to 0.96 (0.95)

Four at a time are better here, two with gated cells (configs/speed/toy.py: LSTM 0.98 against 1.04, GRU 0.97 against
1.06). All twenty at once took 9.9 and 14.2, and 0.99 and 1.39: what the backward pass keeps no longer fits the caches.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ""
    config.seed_shapes = "20x50x6x50,20x200x6x50"
    return config
