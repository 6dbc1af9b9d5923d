"""Twenty tanh networks in one vmapped program, beside one and beside twenty in turn.

    python -m experiments.speed --config=configs/speed/seeds.py

Target (2 CPU cores, float32): at most 12 x one network under "reference", and always less than twenty runs in turn.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ()
    return config
