"""Recurrent layers with a linear readout, for inputs and outputs that are vectors."""

import jax.numpy as jnp
from flax import nnx

from rnn_jax.cells.base import Cell
from rnn_jax.nn import Bidirectional, Recurrent, Stack


class SequenceModel(nnx.Module):
    """y_t = W h_t + b, h the top of `layers` recurrent layers: xs [t b n] -> (carry, ys [t b m]).

    >>> model = SequenceModel(rnn_jax.cells.lstm(), 2, 50, 1, rngs=nnx.Rngs(0))
    >>> carry, ys = model(xs)                     # an output at each step
    >>> carry, y = model(xs, at=mask)             # [b m], at the one step of each row that mask [t b] marks
    >>> carry, ys, seen = model(xs, collect=("0/forget_gate",))

    Any cell that emits h [b d]. The carry goes in again where a sequence goes on. bidirectional: each layer reads in
    both directions, within the rows' `lengths` int [b], and hands on 2 d numbers.
    """

    def __init__(
        self, cell: Cell, n: int, d: int, m: int, *, layers=1, bidirectional=False, method="auto", rngs: nnx.Rngs
    ):
        one = lambda n, **more: Recurrent(cell, n, d, method=method, rngs=rngs, **more)
        layer = (lambda n: Bidirectional(one(n), one(n, reverse=True))) if bidirectional else one
        wide = 2 * d if bidirectional else d
        self.rnn = Stack([layer(width) for width in [n] + [wide] * (layers - 1)])
        self.head = nnx.Linear(wide, m, rngs=rngs)

    def initial_carry(self, b: int):
        return self.rnn.initial_carry(b)

    def __call__(self, xs, carry=None, *, at=None, lengths=None, collect=()):
        carry, h, *seen = self.rnn(xs, carry, lengths=lengths, collect=collect)
        if at is not None:
            h = jnp.einsum("tbd,tb->bd", h, at.astype(h.dtype))
        return carry, self.head(h), *seen
