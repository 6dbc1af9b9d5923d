"""Linear recurrent unit (Orvieto et al., 2023, arXiv:2303.06349): a complex diagonal recurrence that stays stable."""

import jax
import jax.numpy as jnp

from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.initializers import between, glorot


def lru(radius=(0.9, 0.999), angle=jnp.pi / 10, *, wx_init=glorot(), wy_init=glorot()) -> Cell:
    """c_t = l c_{t-1} + g B^T x_t,  h_t = Re(C^T c_t) + D^T x_t;  l = exp(-exp(nu) + i exp(theta)), so that |l| < 1.

    l starts on a ring, |l|^2 uniform between `radius` squared, arg l in (0, angle); g starts as sqrt(1 - |l|^2), so
    that c has the size of B^T x. B and C are complex, their parts side by side.
    Params: wx [n 2d] (B), wy [2d d] (C), skip [n d] (D), nu, theta, gamma [d]. Carry: c [b d] complex. Names: c, h.
    Surprise: h is linear in x; the authors put a nonlinear block between layers. method="associative" runs all t at
    once, and the output layer C is one product for all t under every method but "reference".
    """

    def init(key, n, d, dtype=jnp.float32):
        kx, ky, ks, kr, ka = jax.random.split(key, 5)
        squared = between(radius[0] ** 2, radius[1] ** 2)(kr, (d,), jnp.float32)
        theta = jnp.log(between(1e-4, angle)(ka, (d,), jnp.float32))
        nu, gamma = jnp.log(-0.5 * jnp.log(squared)), 0.5 * jnp.log1p(-squared)
        small = {"nu": nu, "theta": theta, "gamma": gamma}
        wx, wy = wx_init(kx, (n, 2 * d), dtype), wy_init(ky, (2 * d, d), dtype)
        return {"wx": wx, "wy": wy, "skip": wx_init(ks, (n, d), dtype)} | {k: a.astype(dtype) for k, a in small.items()}

    def carry(b, d, dtype=jnp.float32):
        return jnp.zeros((b, d), jnp.promote_types(dtype, jnp.complex64))

    def step(params, c, x):
        re, im = jnp.split(x @ params["wx"], 2, axis=-1)
        decay = jnp.exp(jax.lax.complex(-jnp.exp(params["nu"]), jnp.exp(params["theta"])))
        c = name(decay * c + jnp.exp(params["gamma"]) * jax.lax.complex(re, im), "c")
        h = name(jnp.concatenate([c.real, -c.imag], axis=-1) @ params["wy"] + x @ params["skip"], "h")
        return c, h

    return Cell(init, carry, step)
