"""How the time of a layer grows with the number of steps: a table, and a log-log picture over t.

python -m experiments.speed --config=configs/speed/growth_t.py
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "1x64x64x64,1x256x64x64,1x1024x64x64,1x4096x64x64,1x16384x64x64,1x65536x64x64"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
