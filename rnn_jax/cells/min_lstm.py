"""minLSTM (Feng et al., 2024, arXiv:2410.01201): an LSTM whose gates see x alone, so that it is linear in its state."""

import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import gates, glorot
from rnn_jax.cells.min_gru import positive


def min_lstm(activation=positive, *, forget_bias=0.0, wx_init=glorot()) -> Cell:
    """h_t = f h_{t-1} + i n, with f = F / (F + I), i = I / (F + I), F and I = s(W_x^T x_t + b),  n = g(W_x^T x_t + b).

    Params: wx [n 3d], b [3d], gates in the order i f n. Carry: h [b d].
    Names: preactivation, input_gate, forget_gate (as they act: f + i = 1), candidate, h.
    Surprise: one state alone; the output gate and c of the LSTM are gone. method="associative" runs all t at once.
    """

    def init(key, n, d, dtype=jnp.float32):
        b = jnp.zeros((3, d), dtype).at[1].set(forget_bias).reshape(-1)
        return {"wx": gates(wx_init, 3)(key, (n, 3 * d), dtype), "b": b}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype)

    def step(params, h, x):
        i, f, n = jnp.split(name(x @ params["wx"] + params["b"], "preactivation"), 3, axis=-1)
        i, f = sigmoid(i), sigmoid(f)
        i, f = name(i / (f + i), "input_gate"), name(f / (f + i), "forget_gate")
        n = name(n if activation is None else activation(n), "candidate")
        h = name(f * h + i * n, "h")
        return h, h

    return Cell(init, carry, step)
