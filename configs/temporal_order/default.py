"""Temporal order, smart tanh: gradient descent (sgd), clipped (c), clipped with Omega (cr), at T = 20, 50, 100.

    python -m experiments.temporal_order              about 1 hour (2 shared CPU cores, jax 0.10.2, 2026-11-22)

Settings of Pascanu, Mikolov & Bengio (2013) and of their code: 6 symbols, 4 classes, 50 units, batch 20, rate 0.01,
threshold 1 on the global norm, alpha 2, success at under 1 % error on 10,000 sequences. They train up to 5e6 updates on
lengths of 50 to 200, and report SGD-CR at 100 % up to 200; here each length is trained alone, for 1e5 updates at most.

Published: SGD fails past about 20, SGD-C solves part, SGD-CR all (5 seeds). Measured 2026-11-22, 5 seeds, of which
succeed, and updates of the slowest that does:

    T        sgd             c               cr
    20       5 (3,000)       5 (6,000)       5 (3,000)
    50       0               2 (27,000)      5 (26,000)
    100      0               3 (92,000)      5 (32,000)

SGD is at chance (75 %) from T = 50 on at its last update, though before that single seeds touch 50 to 74 %.
A success counts once it is reached: gradient descent at this rate may lose it again later.

Other initialisations, at T = 20 and at most 20,000 updates (--config.init=basic_tanh --config.lengths="(20,)"
--config.steps=20000, 3 minutes; the same with sigmoid, 6): basic_tanh 4, 4, 5 of 5 seeds; sigmoid 0, 0, 1.
Longer: configs/temporal_order/long.py.
"""

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
