"""Diagonal linear recurrence: units that decay each at a rate of their own, and see nothing of one another."""

import jax
import jax.numpy as jnp

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import between, glorot


def diagonal(*, wx_init=glorot(), a_init=between(0.5, 0.999)) -> Cell:
    """h_t = a h_{t-1} + W_x^T x_t + b, with a vector a: linear in h, so method="associative" runs all t at once.

    Params: wx [n d], a [d], b [d]. Carry: h [b d]. Names: preactivation, h.
    Surprise: nothing keeps |a| below 1 in training; `lru` is the form that does.
    """

    def init(key, n, d, dtype=jnp.float32):
        kx, ka = jax.random.split(key)
        return {"wx": wx_init(kx, (n, d), dtype), "a": a_init(ka, (d,), dtype), "b": jnp.zeros((d,), dtype)}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype)

    def step(params, h, x):
        h = name(params["a"] * h + name(x @ params["wx"] + params["b"], "preactivation"), "h")
        return h, h

    return Cell(init, carry, step)
