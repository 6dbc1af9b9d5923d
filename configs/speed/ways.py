"""One LSTM written in three ways: does it matter how?

python -m experiments.speed --config=configs/speed/ways.py                  2 minutes
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,sample_lstm,einsum_lstm,heads_lstm"
    config.shapes = "20x200x6x50,32x100x64x128,16x256x256x256"
    config.contenders = "ours,reference"
    return config
