"""Vanilla (Elman, 1990) recurrent network."""

import jax
import jax.numpy as jnp

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import glorot, orthogonal


def vanilla(activation=jnp.tanh, *, wx_init=glorot(), wh_init=orthogonal()) -> Cell:
    """h_t = s(W_x^T x_t + W_h^T h_{t-1} + b), with s any activation.

    Params: wx [n d], wh [d d], b [d]. Carry: h [b d]. Names: preactivation, h.
    Surprise: Haiku's VanillaRNN is a ReLU network; here, as in torch and Keras, the default is tanh.
    """

    def init(key, n, d, dtype=jnp.float32):
        kx, kh = jax.random.split(key)
        return {"wx": wx_init(kx, (n, d), dtype), "wh": wh_init(kh, (d, d), dtype), "b": jnp.zeros((d,), dtype)}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype)

    def step(params, h, x):
        a = name(x @ params["wx"] + h @ params["wh"] + params["b"], "preactivation")
        h = name(activation(a), "h")
        return h, h

    return Cell(init, carry, step)
