"""How the time of a layer grows with the batch: a table, and a log-log picture over b.

    python -m experiments.speed --config=configs/speed/growth_b.py       10 minutes

Measured 2026-11-23, jax 0.10.2, torch 2.13, 2 shared CPU cores, one JAX device, the gradient, float32: ours in ms, and
the time of the others over it. From b = 64 on "auto" runs in chunks of time; by "deferred", before, "reference" took
0.93 to 0.98 of our time there.

    b x 100 x 64 x 128    1            4            16           64           256
    LSTM                  1.8          4.0          14.1         53           200
      reference, flax     1.35, 1.4    2.8, 2.3     1.7, 1.6     1.41, 1.34   1.05, 0.95
      torch               1.38         1.21         0.72         0.88         1.02
    GRU                   1.6          4.1          10.6         38           156
      reference, flax     5.9, 2.4     2.9, 2.9     1.7, 1.7     1.31, 1.22   1.09, 1.14
      torch               9.2          6.9          2.8          1.6          1.33
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "1x100x64x128,4x100x64x128,16x100x64x128,64x100x64x128,256x100x64x128"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
