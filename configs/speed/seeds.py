"""Twenty tanh networks in one vmapped program, beside one and beside twenty in turn.

    python -m experiments.speed --config=configs/speed/seeds.py

Target (2 CPU cores, float32): at most 12 x one network under "reference", and always less than twenty runs in turn.
Measured 2026-11-28, jax 0.10.2, 2 CPU cores of an Intel otherwise idle, nine runs, two networks at a time
(`train.devices.over_models`), by "native":

    b x t x n x d   over one under "reference"   over twenty in turn under "auto"
    20x50x6x50      4.3 to 5.5                   0.64 to 0.73
    20x200x6x50     3.5 to 4.1                   0.74 to 0.85

Since then products of x and weight gradients are part of the loop: 4.4 and 3.4, 0.83 and 0.97 (2026-11-29; in another
run that day 4.8 and 3.6, 0.86 and 0.94; twenty in turn have become faster).

By "deferred" (2026-11-23, another host) 8.7 to 9.9, and 0.92 to 1.01; all twenty at once 9.9 and 14.2, and 0.99 and
1.39: what the backward pass keeps no longer fitted the caches.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ""
    config.seed_shapes = "20x50x6x50,20x200x6x50"
    return config
