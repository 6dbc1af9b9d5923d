"""Gradient flow: the default study."""

from typing import Any

from ml_collections import ConfigDict

CELLS = ("tanh", "orthogonal tanh", "sigmoid", "relu", "irnn", "lstm", "lstm forget bias 1", "gru")


def get_config() -> Any:
    config: Any = ConfigDict()
    config.seed = 0  # of the first seed; the others follow
    config.seeds = 5
    config.parts = ("linear", "partials", "initial", "training", "clipping", "optimizers", "inits")
    config.cells = CELLS
    config.scales = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.5)  # spectral radius of every recurrent matrix
    config.lag = 200  # of the parts linear and initial
    config.width = 50
    config.drive = 0.5  # standard deviation of the inputs at initialisation

    config.task = ConfigDict({"symbols": 4, "length": 2, "lag": 20})  # remember 2 of 4 symbols for 20 steps
    config.train_cells = ("tanh", "lstm forget bias 1", "gru")
    config.train_scale = 0.8  # spectral radius at the start
    config.batch = 20
    config.steps = 1500
    config.log_every = 25
    config.probe_every = 50
    config.eval_every = 0
    config.save_every = 0
    config.keep = 1
    config.parallel = "auto"
    config.init_from = ""  # transferred weights: the folder of a run of one seed batch, such as .../training/gru
    config.optimizer = ConfigDict(
        {
            "name": "adam", "rate": 3e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "schedule": "constant",
            "clip": "norm", "threshold": 1.0,
        }
    )  # fmt: skip
    config.clipping = ConfigDict({"name": "sgd", "rate": 0.1, "threshold": 1.0})
    config.clipping_scale = 1.5  # spectral radius
    config.optimizers = ConfigDict(
        {
            "sgd": {"rate": 0.1},
            "momentum": {"rate": 0.03, "momentum": 0.9},
            "adagrad": {"rate": 0.03, "accumulator": 0.0, "eps": 1e-7},
            "rmsprop": {"rate": 1e-3, "alpha": 0.9, "eps": 1e-8},
            "adam": {"rate": 3e-3},
        }
    )
    return config
