"""Which method is the fastest on a GPU, by cell and shape: what "auto" picks there is read from this.

    python -m experiments.speed --config=configs/speed/gpu_methods.py       2 minutes

Measured 2026-11-27 on one H100, jax 0.11.2, float32, forward and backward, median of 20 in turn, ms ("deferred" with
one step an iteration, which is 4 since; a dash: the method refuses):

    b t n d            cell       reference   deferred   fused   associative   cudnn
    32 100 64 64       lstm       4.1         2.6        0.8     -             4.8
                       gru        4.6         2.8        0.7     -             -
                       min_gru    3.0         4.7        0.4     0.3           -
                       lru        3.6         3.1        -       0.5           -
    1 4096 64 64       lstm       110         84.6       21.1    -             148
                       gru        108         89.4       17.9    -             -
                       min_gru    80.5        172        4.1     0.5           -
                       lru        61.8        91.4       -       0.9           -
    32 100 64 128      lstm       4.4         2.8        -       -             4.7
                       gru        4.5         2.7        -       -             -
                       min_gru    2.9         4.7        0.3     0.3           -
                       lru        3.4         1.7        -       0.3           -
    64 256 256 512     lstm       14.7        8.5        -       -             11.1
                       gru        15.3        8.7        -       -             -
                       min_gru    8.3         11.0       1.3     0.9           -
                       lru        11.2        5.0        -       1.5           -
"""

from configs.speed import gpu


def get_config():
    config = gpu.get_config()
    config.cells, config.dtypes = "lstm,gru,min_gru,lru", "float32"
    config.shapes = "32x100x64x64,1x4096x64x64,32x100x64x128,64x256x256x512"
    config.contenders = "reference,deferred,fused,associative,cudnn"
    config.seconds_per_shape = 3.0
    return config
