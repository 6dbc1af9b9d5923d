"""How the time of a layer grows with the number of steps: a table, and a log-log picture over t.

    python -m experiments.speed --config=configs/speed/growth_t.py       10 minutes

Measured 2026-11-23, jax 0.10.2, torch 2.13, 2 shared CPU cores, one JAX device, the gradient, float32: ours in ms, and
the time of the others over it ("auto" before it ran in chunks at t = 16,384 and above).

    1 x t x 64 x 64       64           1,024        4,096        16,384       65,536
    LSTM                  0.47         7.6          23.8         127          504
      reference, flax     1.27, 1.44   1.64, 1.61   1.77, 1.76   1.53, 1.43   1.47, 1.51
      torch               1.73         1.26         1.19         1.07         1.29
    GRU                   0.55         6.6          21.7         96           443
      reference, flax     3.5, 2.2     4.8, 2.5     4.8, 2.1     4.1, 1.9     4.1, 1.8
      torch               12.7         24           28           24           28.5

To compile a gradient step takes as long at every t: LSTM 370 to 520 ms, GRU 440 to 590 ms, 0.7 to 1.2 times what the
plain `lax.scan` takes. Memory: 100,000 steps of an LSTM, b = 8, n = 64, d = 256, by method="checkpointed": 28 s a
gradient, 47 MiB beside arguments and results, 2.2 GB resident in all:

    python -m experiments.speed --config.only=lstm --config.shapes=8x100000x64x256 --config.contenders=checkpointed \
        --config.passes=fwdbwd --config.repeats=5
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "1x64x64x64,1x256x64x64,1x1024x64x64,1x4096x64x64,1x16384x64x64,1x65536x64x64"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
