"""Gated recurrent unit (Cho et al., 2014, arXiv:1406.1078), in both forms that are in use."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import gates, glorot, orthogonal


def gru(reset_after=False, *, wx_init=glorot(), wh_init=orthogonal()) -> Cell:
    """r, z = s(W_x^T x_t + W_h^T h_{t-1} + b);  h_t = (1 - z) h_{t-1} + z n, with the candidate

    reset_after=False:  n = tanh(W_x^T x_t + W_h^T (r h_{t-1}) + b)          the paper, and Haiku
    reset_after=True:   n = tanh(W_x^T x_t + b + r (W_h^T h_{t-1} + b_h))    torch, cuDNN, Flax, Keras

    Params: wx [n 3d], wh [d 3d], b [3d], gates in the order r z n, and bh [3d] with reset_after. Carry: h [b d].
    Names: preactivation ([b 3d]), reset_gate, update_gate, candidate, h.
    Surprise: torch, cuDNN, Flax and Keras swap z and 1 - z; negate the z block of wx, wh, b, bh to convert.
    """

    def init(key, n, d, dtype=jnp.float32):
        kx, kh = jax.random.split(key)
        params = {"wx": gates(wx_init, 3)(kx, (n, 3 * d), dtype), "wh": gates(wh_init, 3)(kh, (d, 3 * d), dtype)}
        return params | {k: jnp.zeros((3 * d,), dtype) for k in ("b", "bh")[: 1 + reset_after]}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype)

    def step(params, h, x):
        d = h.shape[-1]
        a = x @ params["wx"] + params["b"]
        if reset_after:
            u = h @ params["wh"] + params["bh"]
            r, z = jnp.split(sigmoid(a[:, : 2 * d] + u[:, : 2 * d]), 2, axis=-1)
            n = a[:, 2 * d :] + name(r, "reset_gate") * u[:, 2 * d :]
        else:
            r, z = jnp.split(sigmoid(a[:, : 2 * d] + h @ params["wh"][:, : 2 * d]), 2, axis=-1)
            n = a[:, 2 * d :] + (name(r, "reset_gate") * h) @ params["wh"][:, 2 * d :]
        z, n = name(z, "update_gate"), name(jnp.tanh(name(n, "preactivation")), "candidate")
        h = name((1 - z) * h + z * n, "h")
        return h, h

    return Cell(init, carry, step)
