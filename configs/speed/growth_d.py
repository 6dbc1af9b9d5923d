"""How the time of a layer grows with the width: a table, and a log-log picture over d.

    python -m experiments.speed --config=configs/speed/growth_d.py       10 minutes

Measured 2026-11-29, jax 0.10.2, torch 2.13, 2 CPU cores of an Intel with nothing else at work, one JAX device, the
gradient, float32 (--config.passes=fwdbwd --config.seconds_per_shape=12): ours ("native") in ms, and the time of the
others over it, flax's better cell:

    32 x 100 x 64 x d     32           64           128          256          512          1024
    LSTM                  3.5          6.2          17.4         63           156          560
      reference, flax     2.3, 2.5     2.3, 2.2     2.6, 2.2     1.8, 1.7     1.7, 1.55    2.3, 1.9
      torch               1.66         1.31         1.14         1.12         1.10         1.17
    GRU                   3.1          5.2          15.6         33           88           371
      reference, flax     2.3, 2.7     2.6, 2.9     2.0, 1.9     2.7, 2.2     2.0, 1.7     1.9, 1.8
      torch               7.0          7.2          2.7          2.6          1.94         1.79

By "deferred" (2026-11-23) torch's LSTM had 0.96, 0.93, 0.68, 0.67, 0.83, 0.77.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "32x100x64x32,32x100x64x64,32x100x64x128,32x100x64x256,32x100x64x512,32x100x64x1024"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
