"""minGRU (Feng et al., 2024, arXiv:2410.01201): gate and candidate see x alone, so the step is linear in h."""

import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import gates, glorot


def positive(x):
    """x + 1/2 for x >= 0, s(x) below: the paper's g, a candidate above 0, as its log-space form asks for."""
    return jnp.where(x >= 0, x + 0.5, sigmoid(x))


def min_gru(activation=positive, *, wx_init=glorot()) -> Cell:
    """h_t = (1 - z) h_{t-1} + z n;  z = s(W_x^T x_t + b),  n = g(W_x^T x_t + b), g any activation (None: linear).

    Params: wx [n 2d], b [2d], gates in the order z n. Carry: h [b d]. Names: preactivation, update_gate, candidate, h.
    Surprise: h needs no weight, d no square: the parameters grow with n d. method="associative" runs all t at once.
    """

    def init(key, n, d, dtype=jnp.float32):
        return {"wx": gates(wx_init, 2)(key, (n, 2 * d), dtype), "b": jnp.zeros((2 * d,), dtype)}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype)

    def step(params, h, x):
        z, n = jnp.split(name(x @ params["wx"] + params["b"], "preactivation"), 2, axis=-1)
        z, n = name(sigmoid(z), "update_gate"), name(n if activation is None else activation(n), "candidate")
        h = name((1 - z) * h + z * n, "h")
        return h, h

    return Cell(init, carry, step)
