"""What `rnn_jax.train.fit` reads of a config, in one place for the studies that train with Adam and a falling rate."""

from typing import Any

from ml_collections import ConfigDict


def add(config: Any, *, unit: str, steps: int, rate: float, every=1, warmup=0, threshold=1.0):
    """Adds the keys to a config. A run changes any of them after it."""
    config.unit = unit  # what steps, *_every, decay_* and warmup count: step, or epoch
    config.steps = steps
    config.log_every = 50  # steps
    config.eval_every = config.save_every = every
    config.keep = 2  # checkpoints
    config.parallel = "auto"
    config.init_from = ""
    config.optimizer = ConfigDict(
        {
            "name": "adam", "rate": rate, "b1": 0.9, "b2": 0.999, "eps": 1e-8,
            "schedule": "cosine", "warmup": warmup, "final_rate": 1e-4, "clip": "norm", "threshold": threshold,
        }
    )  # fmt: skip
