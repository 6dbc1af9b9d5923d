"""LSTM of several heads: a block-diagonal recurrent matrix (Beck et al., 2024, arXiv:2405.04517)."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import gates, glorot, orthogonal


def heads_lstm(head=64, forget_bias=1.0, *, wx_init=glorot(), wh_init=orthogonal()) -> Cell:
    """An `lstm` whose units read h_{t-1} of their own head alone, of `head` units; a narrower layer is one head.

    m = d / head heads of k units. Params: wx [n m 4k], wh [m k 4k], b [m 4k], gates of each head in the order i f g o.
    Carry: (h, c), each [b m k]; emits h [b d]. Names: input_gate, forget_gate, candidate, output_gate, c, h.
    W_h has d head numbers a gate in place of d^2, and method "fused" runs the heads as programs of their own.
    """

    def split(d):
        if d > head and d % head:
            raise ValueError(f"heads_lstm: width {d} is not a multiple of its heads of {head} units")
        return max(d // head, 1), min(d, head)

    def init(key, n, d, dtype=jnp.float32):
        (m, k), (kx, kh) = split(d), jax.random.split(key)
        wx = gates(wx_init, 4)(kx, (n, 4 * d), dtype).reshape(n, 4, m, k).swapaxes(1, 2).reshape(n, m, 4 * k)
        wh = jnp.stack([gates(wh_init, 4)(one, (k, 4 * k), dtype) for one in jax.random.split(kh, m)])
        b = jnp.zeros((m, 4, k), dtype).at[:, 1].set(forget_bias)
        return {"wx": wx, "wh": wh, "b": b.reshape(m, 4 * k)}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, *split(d)), dtype), jnp.zeros((b, *split(d)), dtype)

    def step(params, carry, x):
        h, c = carry
        a = jnp.einsum("bn,nmk->bmk", x, params["wx"]) + jnp.einsum("bmj,mjk->bmk", h, params["wh"]) + params["b"]
        i, f, g, o = jnp.split(a, 4, axis=-1)
        i, f = name(sigmoid(i), "input_gate"), name(sigmoid(f), "forget_gate")
        c = name(f * c + i * name(jnp.tanh(g), "candidate"), "c")
        h = name(name(sigmoid(o), "output_gate") * jnp.tanh(c), "h")
        return (h, c), h.reshape(len(h), -1)

    return Cell(init, carry, step)
