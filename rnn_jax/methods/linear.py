"""Linear recurrences in parallel over time: s_t = A_t s_{t-1} + r_t, with block-diagonal A, in O(log t) steps.

Shapes: A [t b u k k], r and s [t b u k]: b rows, u blocks, each k by k. A diagonal A has k = 1, a full one u = 1.
Composing two steps, (A_2 A_1, A_2 r_1 + r_2), multiplies and adds and never divides, so gates that multiply to 1e-300
do no harm: the log space that cumulative sums need (Heinsen, 2023, arXiv:2311.06281) is not needed here.
"""

import jax
import jax.numpy as jnp
from jax import lax


def product(a, b):
    """Of two stacks of blocks [... k k]; small ones without a matrix product."""
    if a.shape[-1] > 4:
        return a @ b
    return jnp.sum(a[..., :, :, None] * b[..., None, :, :], axis=-2)


def apply(a, v):
    """Blocks [... k k] times vectors [... k]."""
    return product(a, v[..., None])[..., 0]


def transpose(a):
    return jnp.swapaxes(a, -1, -2)


def shift(first, stack, reverse=False):
    """What each step reads, given what each makes: [first, stack[0], ...], or from the other end."""
    return jnp.concatenate([stack[1:], first[None]] if reverse else [first[None], stack[:-1]])


def recurrence(a, r, first, reverse=False):
    """s_t = A_t s_{t-1} + r_t from s_0 = first: all s_t [t b u k]. Reverse: from the last step to the first."""
    start = -1 if reverse else 0
    return _recurrence(a, r.at[start].add(apply(a[start], first)), reverse)


def _solve(a, r, reverse):
    def compose(one, two):
        return product(two[0], one[0]), apply(two[0], one[1]) + two[1]

    return lax.associative_scan(compose, (a, r), reverse=reverse)[1]


_recurrence = jax.custom_vjp(_solve, nondiff_argnums=(2,))


def _forward(a, r, reverse):
    s = _recurrence(a, r, reverse)
    return s, (a, s)


def _backward(reverse, residuals, ds):
    """The adjoint is a recurrence as well, l_t = ds_t + A_{t+1}^T l_{t+1}; then dr_t = l_t, dA_t = l_t s_{t-1}^T."""
    a, s = residuals
    zero = jnp.zeros_like(s[0])
    dr = _recurrence(transpose(shift(jnp.zeros_like(a[0]), a, not reverse)), ds, not reverse)
    return dr[..., :, None] * shift(zero, s, reverse)[..., None, :], dr


_recurrence.defvjp(_forward, _backward)
