"""How the time of a layer grows with the number of steps: a table, and a log-log picture over t.

    python -m experiments.speed --config=configs/speed/growth_t.py       10 minutes

Measured 2026-11-29, jax 0.10.2, torch 2.13, 2 CPU cores of an Intel with nothing else at work, one JAX device, the
gradient, float32, 20 repeats (fewer at the end): ours ("native") in ms, and the time of the others over it, flax's
better cell:

    1 x t x 64 x 64       64           1,024        4,096        16,384       65,536
    LSTM                  0.42         5.00         16.88        65.68        304.0
      reference, flax     2.2, 2.6     3.5, 3.1     3.6, 3.2     3.3, 3.0     3.1, 3.0
      torch               3.1          2.5          2.3          2.2          2.3
    GRU                   0.46         3.63         10.57        47.64        199.5
      reference, flax     5.1, 3.4     11.3, 5.9    12.7, 7.3    11.4, 6.9    10.0, 5.3
      torch               19.3         44.9         59.1         61.9         56.1

By "deferred" (2026-11-23) reference took 1.3 to 1.8 times as long for the LSTM and 3.5 to 4.8 for the GRU, torch 1.1 to
1.7 and 13 to 28. To compile a gradient step takes as long at every t (configs/speed/default.py). Memory: 100,000 steps
of an LSTM, b = 8, n = 64, d = 256, by method="checkpointed": 28 s a gradient, 47 MiB beside arguments and results,
2.2 GB resident in all (2026-11-23):

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
