"""Long short-term memory with a forget gate (Hochreiter & Schmidhuber, 1997; Gers et al., 2000)."""

import jax
import jax.numpy as jnp
from jax.nn import sigmoid

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import between, gates, glorot, orthogonal


def lstm(forget_bias=1.0, *, chrono=None, wx_init=glorot(), wh_init=orthogonal()) -> Cell:
    """i, f, o = s(W_x^T x_t + W_h^T h_{t-1} + b);  g = tanh(...);  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t).

    Params: wx [n 4d], wh [d 4d], b [4d], gates in the order i f g o (torch, Keras; Haiku has i g f o).
    Carry: (h, c), each [b d] (Flax has (c, h)). Names: preactivation, input_gate, forget_gate, candidate, output_gate,
    c, h. `forget_bias` is the initial b of gate f (Jozefowicz et al., 2015: 1), never added again in the step. With
    chrono=T instead, for lags up to T: b_f = log U(1, T - 1), b_i = -b_f (Tallec & Ollivier, 2018). A large b_f alone
    makes the zero state unstable: c is multiplied by f + i o W_g at each step.
    """

    def init(key, n, d, dtype=jnp.float32):
        kx, kh = jax.random.split(key)
        b = jnp.zeros((4, d), dtype).at[1].set(forget_bias)
        if chrono:
            lag = jnp.log(between(1, chrono - 1)(jax.random.fold_in(key, 1), (d,)))
            b = b.at[0].set(-lag).at[1].set(lag)
        wx, wh = gates(wx_init, 4)(kx, (n, 4 * d), dtype), gates(wh_init, 4)(kh, (d, 4 * d), dtype)
        return {"wx": wx, "wh": wh, "b": b.reshape(-1)}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), dtype), jnp.zeros((b, d), dtype)

    def step(params, carry, x):
        h, c = carry
        a = name(x @ params["wx"] + h @ params["wh"] + params["b"], "preactivation")
        i, f, g, o = jnp.split(a, 4, axis=-1)
        i, f = name(sigmoid(i), "input_gate"), name(sigmoid(f), "forget_gate")
        g, o = name(jnp.tanh(g), "candidate"), name(sigmoid(o), "output_gate")
        c = name(f * c + i * g, "c")
        h = name(o * jnp.tanh(c), "h")
        return (h, c), h

    return Cell(init, carry, step)
