"""Temporal order, smart tanh: T = 20, 50, 100."""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    config: Any = ConfigDict()
    config.seed = 0  # of the first seed; the others follow
    config.seeds = 5
    config.lengths = (20, 50, 100)  # T
    config.methods = ("sgd", "c", "cr")
    config.init = "smart_tanh"  # or basic_tanh, sigmoid
    config.width = 50
    config.batch = 20
    config.alpha = 2.0  # factor of Omega, of cr
    config.success = 0.01  # error of a seed that has solved the task
    config.fresh = 10_000  # sequences of an evaluation

    config.steps = 100_000  # updates at most; ends sooner once every seed has succeeded
    config.log_every = 1000
    config.eval_every = 1000
    config.save_every = 10_000
    config.keep = 1
    config.parallel = "auto"
    config.init_from = ""
    config.optimizer = ConfigDict(  # the clip is that of c and cr; sgd has none
        {"name": "sgd", "rate": 0.01, "schedule": "constant", "clip": "norm", "threshold": 1.0}
    )
    return config
