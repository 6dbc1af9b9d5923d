"""Temporal order: which of two symbols came first, among distractors (Hochreiter & Schmidhuber, 1997, task 6a)."""

import jax
import jax.numpy as jnp

SYMBOLS, CLASSES = 6, 4  # A, B, and the distractors c d e f; AA, BA, AB, BB
CHANCE = 0.75  # error of a constant answer; its loss is ln 4 = 1.386


def batch(key, b, t):
    """(inputs one-hot [t b 6], targets int [b], mask [t b]): a distractor at every step, but A or B at p0 and at p1.

    p0 in [t/10, 2t/10), p1 in [5t/10, 6t/10), each uniform; target = v0 + 2 v1 with v = 0 for A, 1 for B; scored at
    the last step, at least 4t/10 steps after p1. These are the positions of the code of Pascanu et al. (2013), whose
    own description says [1, t/10] for p0. t >= 10.
    """
    if t < 10:
        raise ValueError(f"temporal_order: t = {t}; the positions are tenths of it, want at least 10")
    k0, k1, kv, kd = jax.random.split(key, 4)
    p0 = t // 10 + jax.random.randint(k0, (b,), 0, t // 10)
    p1 = t // 2 + jax.random.randint(k1, (b,), 0, t // 10)
    v0, v1 = jax.random.randint(kv, (2, b), 0, 2)
    at = jnp.arange(t)[:, None]
    symbols = jax.random.randint(kd, (t, b), 2, SYMBOLS)
    symbols = jnp.where(at == p0, v0, jnp.where(at == p1, v1, symbols))
    mask = jnp.broadcast_to(at == t - 1, (t, b))
    return jax.nn.one_hot(symbols, SYMBOLS), v0 + 2 * v1, mask
