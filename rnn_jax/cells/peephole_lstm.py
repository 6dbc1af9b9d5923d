"""LSTM with peepholes: gates that see the cell state (Gers & Schmidhuber, 2000; Graves, 2013, arXiv:1308.0850)."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import normal
from rnn_jax.cells.lstm import lstm


def peephole_lstm(forget_bias=1.0, *, peephole_init=normal(0.1), **kwargs) -> Cell:
    """i, f = s(a + p c_{t-1});  c_t = f c_{t-1} + i tanh(a);  o = s(a + p c_t);  h_t = o tanh(c_t), each with its own
    a = W_x^T x_t + W_h^T h_{t-1} + b and element-wise peephole p.

    Params: those of `lstm` (and its keywords), and pi, pf, po [d]. Carry: (h, c), each [b d]. Names: preactivation
    (before the peepholes), input_gate, forget_gate, candidate, output_gate, c, h.
    """
    plain = lstm(forget_bias, **kwargs)

    def init(key, n, d, dtype=jnp.float32):
        keys = jax.random.split(jax.random.fold_in(key, 2), 3)
        return plain.init(key, n, d, dtype) | {
            p: peephole_init(k, (d,), dtype) for p, k in zip(("pi", "pf", "po"), keys, strict=True)
        }

    def step(params, carry, x):
        h, c = carry
        a = name(x @ params["wx"] + h @ params["wh"] + params["b"], "preactivation")
        i, f, g, o = jnp.split(a, 4, axis=-1)
        i, f = name(sigmoid(i + params["pi"] * c), "input_gate"), name(sigmoid(f + params["pf"] * c), "forget_gate")
        c = name(f * c + i * name(jnp.tanh(g), "candidate"), "c")
        h = name(name(sigmoid(o + params["po"] * c), "output_gate") * jnp.tanh(c), "h")
        return (h, c), h

    return Cell(init, plain.carry, step)
