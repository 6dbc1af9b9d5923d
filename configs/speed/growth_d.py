"""How the time of a layer grows with the width: a table, and a log-log picture over d.

    python -m experiments.speed --config=configs/speed/growth_d.py       10 minutes

Measured 2026-11-23, jax 0.10.2, torch 2.13, 2 shared CPU cores, one JAX device, the gradient, float32: ours in ms, and
the time of the others over it ("auto" before it ran in chunks at d = 256 and above).

    32 x 100 x 64 x d     32           64           128          256          512          1024
    LSTM                  4.2          9.5          27           94           213          879
      reference, flax     1.46, 1.53   1.49, 1.59   1.6, 1.4     1.14, 1.03   1.33, 1.23   1.36, 1.28
      torch               0.96         0.93         0.68         0.67         0.83         0.77
    GRU                   4.1          9.4          22.8         78           183          615
      reference, flax     1.2, 1.4     1.17, 1.35   1.4, 1.35    1.14, 0.94   1.2, 1.06    1.33, 1.24
      torch               4.6          2.5          2.0          1.16         1.2          1.42
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "32x100x64x32,32x100x64x64,32x100x64x128,32x100x64x256,32x100x64x512,32x100x64x1024"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
