"""Twenty tanh networks in one vmapped program, beside one and beside twenty in turn.

    python -m experiments.speed --config=configs/speed/seeds.py

Target (2 CPU cores, float32): at most 12 x one network under "reference", and always less than twenty runs in turn.
Measured 2026-11-22, jax 0.10.2, 2 CPU cores otherwise idle, four networks at a time (`train.devices.over_models`):

    b x t x n x d   over one under "reference"   over twenty in turn under "auto"
    20x50x6x50      9.3                          0.89
    20x200x6x50     9.2                          0.97

All twenty at once took 9.9 and 14.2, and 0.99 and 1.39: what the backward pass keeps no longer fits the caches.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ()
    return config
