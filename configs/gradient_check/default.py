"""BPTT by hand against autodiff and central differences: seven cells, six kinds of masks, float64.

python -m experiments.gradient_check
"""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    config: Any = ConfigDict()
    config.seed = 0
    config.cells = ("tanh", "sigmoid", "relu", "irnn", "lstm", "gru", "gru_after")
    config.t = 20
    config.b = 3
    config.n = 4
    config.d = 10
    config.eps = 1e-5  # of the central differences
    config.numeric_masks = ("full", "lengths", "resets", "both", "reverse", "reverse both")  # where to take them
    return config
