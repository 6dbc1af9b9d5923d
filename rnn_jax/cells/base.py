"""What a cell is. A pair of pure functions and a zero state, with no base class."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax.ad_checkpoint import checkpoint_name

name = checkpoint_name  # name(value, "forget_gate"): an identity that probes can ask for


class Cell(NamedTuple):
    """One recurrent cell.

    init:  (key, n, d, dtype=float32) -> params        dict of arrays; n input width, d hidden width
    carry: (b, d, dtype=float32) -> carry              zero state, every leaf [b ...]
    step:  (params, carry, x) -> (carry, h)            one equation, pure; x [b n], h [b d]
    """

    init: Callable[..., Any]
    carry: Callable[..., Any]
    step: Callable[..., Any]
