"""Steps that nobody wrote: random equations over a carry and an input, the same ones for the same seed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

B, D, T = 5, 4, 4
SHAPES = [(B, D), (B, D), (B,), (D,), (), (B, 2, D)]
UNARY = [
    jnp.tanh, jax.nn.sigmoid, jnp.sin, jnp.negative, jnp.square, jax.lax.stop_gradient, jax.nn.relu,
    lambda a: jnp.exp(-jnp.abs(a)), lambda a: jnp.sqrt(a**2 + 0.5), lambda a: jnp.where(a > 0, a, 0.5 * a),
    lambda a: jnp.clip(a, -0.7, 0.9), lambda a: jnp.zeros_like(a) + 0.3, jax.nn.softplus,
    lambda a: jnp.log(a**2 + 0.5),
]  # fmt: skip
BINARY = [
    jnp.add, jnp.subtract, jnp.multiply, jnp.maximum, lambda a, b: a / (1 + b**2),
    lambda a, b: jnp.where(a > b, a, b**2),
]  # fmt: skip
REDUCTIONS = [jnp.sum, jnp.mean, jnp.max, jnp.min, jnp.prod]
CUMULATIVE = [lax.cumsum, lax.cummax, lax.cummin]
MOST = 400  # entries of a value


def problem(seed):
    """(step, params, carry, xs)"""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape))
    some = lambda least, most: [SHAPES[i] for i in rng.integers(len(SHAPES), size=rng.integers(least, most))]
    carry = tuple(normal(*shape) for shape in [(B, D), *some(0, 3)])
    xs = tuple(normal(T, *shape) for shape in [(B, D), *some(0, 2)])
    params = {"w": 0.5 * normal(D, D), "v": 0.5 * normal(D, 3), "b": normal(D), "s": normal()}
    return lambda p, carry, x: step(seed, p, carry, x), params, carry, xs


def step(seed, p, carry, x):
    rng = np.random.default_rng((seed, 1))
    pool = [*carry, *x, *p.values(), jnp.ones((B, D))]
    for _ in range(rng.integers(4, 16)):
        kinds = [unary, unary, binary, binary, product, product, reduction, moved, moved, joined, pair, cumulative]
        value = kinds[rng.integers(len(kinds))](rng, p, pool)
        if value is not None and 0 < value.size <= MOST and value.ndim <= 4:
            pool.append(value)
    latest = pool[-rng.integers(3, 8) :]
    new = tuple(fitted(rng, latest[rng.integers(len(latest))], old) for old in carry)
    return new, tuple(latest[i] for i in rng.integers(len(latest), size=rng.integers(1, 4)))


def fitted(rng, value, like):
    """A value of the shape of `like`, bounded."""
    if value.shape != like.shape and not (
        value.ndim <= like.ndim and value.shape == like.shape[len(like.shape) - value.ndim :]
    ):
        value = jnp.mean(value)
    return jnp.tanh(value + (0.5 * like if rng.random() < 0.7 else 0)) + jnp.zeros(like.shape)


def pick(rng, pool, good=lambda a: True) -> Any:
    found = [a for a in pool if good(a)]
    recent = found[-6:] if rng.random() < 0.7 else found
    return recent[rng.integers(len(recent))] if recent else None


def axis_of(rng, a):
    """Seldom the first one, which may be that of the rows."""
    return int(rng.integers(a.ndim)) if rng.random() < 0.3 or a.ndim < 2 else int(rng.integers(1, a.ndim))


def unary(rng, p, pool):
    return UNARY[rng.integers(len(UNARY))](pick(rng, pool))


def binary(rng, p, pool):
    a = pick(rng, pool)

    def fits(b):
        try:
            return np.broadcast_shapes(a.shape, b.shape) is not None
        except ValueError:
            return False

    return BINARY[rng.integers(len(BINARY))](a, pick(rng, pool, fits))


def product(rng, p, pool):
    a = pick(rng, pool, lambda a: a.ndim and a.shape[-1] == D)
    return a @ [p["w"], p["w"].T, p["v"], p["w"] * p["s"]][rng.integers(4)]


def reduction(rng, p, pool):
    if (a := pick(rng, pool, lambda a: a.ndim)) is None:
        return None
    return REDUCTIONS[rng.integers(len(REDUCTIONS))](a, axis_of(rng, a), keepdims=bool(rng.integers(2)))


def cumulative(rng, p, pool):
    if (a := pick(rng, pool, lambda a: a.ndim)) is None:
        return None
    return CUMULATIVE[rng.integers(len(CUMULATIVE))](a, axis_of(rng, a), reverse=bool(rng.integers(2)))


def moved(rng, p, pool):
    """Views: slices, reversals, transposes, reshapes, pads, new axes."""
    if (a := pick(rng, pool, lambda a: a.ndim)) is None:
        return None
    axis, kind = axis_of(rng, a), rng.integers(7)
    cut = lambda *how: a[(slice(None),) * axis + (slice(*how),)]
    if kind == 0:
        return cut(1, None) if a.shape[axis] > 1 else a
    if kind == 1:
        return cut(None, None, 2)
    if kind == 2:
        return jnp.flip(a, axis)
    if kind == 3:
        return jnp.transpose(a, rng.permutation(a.ndim))
    if kind == 4:
        return jnp.expand_dims(a, axis)
    if kind == 5:
        pads = [(0, 0, 0)] * a.ndim
        pads[axis] = (int(rng.integers(-1, 3)), int(rng.integers(-1, 3)), int(rng.integers(2)))
        return jax.lax.pad(a, jnp.asarray(0.1, a.dtype), pads) if a.shape[axis] > 2 else a
    sizes = [(*a.shape[:-2], -1), (a.size,), (*a.shape[:-1], 2, -1), a.shape[::-1]]
    sizes = [s for s in sizes if -1 not in s or a.size % max(1, -int(np.prod(s))) == 0]
    return jnp.reshape(a, sizes[rng.integers(len(sizes))], order="CF"[rng.integers(2)])


def joined(rng, p, pool):
    a = pick(rng, pool, lambda a: a.ndim)
    axis = axis_of(rng, a)
    like = lambda b: b.ndim == a.ndim and np.delete(b.shape, axis).tolist() == np.delete(a.shape, axis).tolist()
    return jnp.concatenate([a, pick(rng, pool, like), a][: rng.integers(2, 4)], axis)


def pair(rng, p, pool):
    """Products of two values that both come from the carry or x."""
    a = pick(rng, pool, lambda a: a.ndim == 2)
    b = pick(rng, pool, lambda b: b.shape == a.shape)
    kind = ["bi,bi->b", "bi,bj->bij", "bi,ci->bc", "bi,bj->ij"][rng.integers(4)]
    return jnp.einsum(kind, a, b)
