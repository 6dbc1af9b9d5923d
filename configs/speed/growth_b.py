"""How the time of a layer grows with the batch: a table, and a log-log picture over b.

    python -m experiments.speed --config=configs/speed/growth_b.py       10 minutes

Measured 2026-11-29, jax 0.10.2, torch 2.13, 2 CPU cores of an Intel with nothing else at work, one JAX device, the
gradient, float32 (--config.passes=fwdbwd --config.seconds_per_shape=12): ours ("native") in ms, and the time of the
others over it, flax's better cell:

    b x 100 x 64 x 128    1            4            16           64           256
    LSTM                  1.8          3.1          11.8         31           130
      reference, flax     2.9, 2.2     4.4, 3.3     3.0, 2.5     2.8, 2.5     1.7, 1.7
      torch               2.2          1.66         1.18         1.48         1.46
    GRU                   2.2          3.8          7.4          21           90
      reference, flax     11, 5.0      2.8, 2.8     2.7, 2.3     2.5, 2.2     2.3, 2.1
      torch               13           7.8          4.4          2.7          1.94

By "deferred", and in chunks of time from b = 64 on (2026-11-23), torch's LSTM had 1.38, 1.21, 0.72, 0.88, 1.02.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "1x100x64x128,4x100x64x128,16x100x64x128,64x100x64x128,256x100x64x128"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
