"""How the time of a layer grows with the width: a table, and a log-log picture over d.

python -m experiments.speed --config=configs/speed/growth_d.py
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru"
    config.shapes = "32x100x64x32,32x100x64x64,32x100x64x128,32x100x64x256,32x100x64x512,32x100x64x1024"
    config.contenders = "ours,reference,flax_linen,flax_linen_optimized,torch"
    config.seconds_per_shape = 30.0
    return config
