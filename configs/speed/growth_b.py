"""How the time of a layer grows with the batch: a table, and a log-log picture over b.

python -m experiments.speed --config=configs/speed/growth_b.py
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "1x100x64x128,4x100x64x128,16x100x64x128,64x100x64x128,256x100x64x128"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
