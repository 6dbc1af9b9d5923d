"""The gradient of a GRU that reads keys under additive attention at each step, beside plain autodiff of `lax.scan`.

python -m experiments.speed --config=configs/speed/attention.py
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ""
    config.attention_shapes = "64x15x49x384,64x15x100x256,80x20x20x256"
    return config
