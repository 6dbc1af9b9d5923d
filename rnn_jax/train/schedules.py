"""What changes while a model trains, beside the rate: how often the given token is read (scheduled sampling)."""

import math
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from rnn_jax.train.errors import UserError

EPOCHS = ("steps", "eval_every", "save_every", "optimizer.decay_every", "optimizer.decay_after", "optimizer.warmup")
ANNEALING = {  # Bengio et al., 2015, arXiv:1506.03099, section 2.4: the share of given tokens at update i
    "none": lambda i, k, c: 1.0,  # teacher forcing
    "constant": lambda i, k, c: k,
    "linear": lambda i, k, c: k - c * i,
    "exponential": lambda i, k, c: k**i,  # k < 1
    "inverse_sigmoid": lambda i, k, c: k / (k + math.exp(min(i / k, 700.0))),  # k >= 1
}


def forcing(want: Any) -> Callable[[int], float]:
    """i -> the probability that update i reads a given token; config.forcing has kind, k, c and least."""
    if want.kind not in ANNEALING:
        raise UserError(f"config.forcing.kind={want.kind}: want one of {', '.join(ANNEALING)}")
    at = lambda i: min(max(ANNEALING[want.kind](i, want.k, want.c), want.least), 1.0)
    if want.kind != "none" and (not 0 <= want.least <= 1 or want.k <= 0 or not 0 <= at(0) <= 1):
        raise UserError(f"config.forcing: k={want.k}, c={want.c}, least={want.least}; want k > 0 and 0 <= least <= 1")
    if want.kind == "exponential" and want.k > 1:
        raise UserError(f"config.forcing.k={want.k}: exponential annealing is k^i; want k at most 1")
    if want.kind == "inverse_sigmoid" and want.k < 1:
        raise UserError(f"config.forcing.k={want.k}: inverse-sigmoid annealing is k / (k + e^(i/k)); want k at least 1")
    return at


def in_steps(config: Any, epoch: int) -> Any:
    """A copy of the config, with everything counted in steps where config.unit is "epoch": `epoch` steps each."""
    config = ConfigDict(config.to_dict())
    for key in EPOCHS if config.unit == "epoch" else ():
        section: Any = config.optimizer if key.startswith("optimizer.") else config
        key = key.removeprefix("optimizer.")
        if key in section:
            section[key] *= epoch
    return config
