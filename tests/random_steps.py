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
NARROW = jnp.float32, jnp.bfloat16  # what else than float64 there is in wide steps


def problem(seed, wide=False):
    """(step, params, carry, xs). wide: with numbers of other kinds, choices by value, branches and loops too."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape))
    some = lambda least, most: [SHAPES[i] for i in rng.integers(len(SHAPES), size=rng.integers(least, most))]
    carry = tuple(normal(*shape) for shape in [(B, D), *some(0, 3)])
    xs = tuple(normal(T, *shape) for shape in [(B, D), *some(0, 2)])
    params = {"w": 0.5 * normal(D, D), "v": 0.5 * normal(D, 3), "b": normal(D), "s": normal()}
    if wide:
        kinds = [lambda a: jnp.int32(9 * a), lambda a: a > 0, *NARROW]
        carry += tuple(
            kinds[i](normal(*shape)) for i, shape in zip(rng.permutation(len(kinds)), some(1, 3), strict=False)
        )
        xs += (jnp.asarray(rng.integers(D, size=(T, B))), jax.random.split(jax.random.key(seed), T))[: rng.integers(3)]
    return lambda p, carry, x: step(seed, p, carry, x, wide), params, carry, xs


def step(seed, p, carry, x, wide=False):
    rng = np.random.default_rng((seed, 1))
    pool = [*(a for a in (*carry, *x) if is_usual(a)), *p.values(), jnp.ones((B, D))]
    others = [a for a in (*carry, *x) if not is_usual(a)]
    kinds = [unary, unary, binary, binary, product, product, reduction, moved, moved, joined, pair, cumulative]
    for _ in range(rng.integers(4, 16)):
        i = rng.integers(len(kinds) + wide * len(WIDE))
        value = kinds[i](rng, p, pool) if i < len(kinds) else WIDE[i - len(kinds)](rng, p, pool, others)
        if value is not None and 0 < value.size <= MOST and value.ndim <= 4:
            (pool if is_usual(value) else others).append(value)
    latest = pool[-rng.integers(3, 8) :] + others[-rng.integers(1, 3) :]
    latest = [a for a in latest if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key)]
    new = tuple(fitted(rng, latest[rng.integers(len(latest))], old) for old in carry)
    return new, tuple(latest[i] for i in rng.integers(len(latest), size=rng.integers(1, 4)))


def is_usual(a):
    """float64, or float32 where that is the widest."""
    return a.dtype == jnp.result_type(float)


def fitted(rng, value, like):
    """A value of the shape and type of `like`, bounded."""
    if not is_usual(value):
        value = value.astype(float) / 9
    if not is_usual(like):
        new = fitted(rng, value, like.astype(float) / 9)
        return jnp.round(9 * new).astype(like.dtype) if like.dtype in (jnp.int32, bool) else new.astype(like.dtype)
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
    w = [p["w"], p["w"].T, p["v"], p["w"] * p["s"]][rng.integers(4)]
    ways = [
        lambda: a @ w, lambda: a @ w, lambda: jnp.einsum("ij,...j->...i", w.T, a),
        lambda: jax.vmap(lambda r: w.T @ r)(a) if a.ndim == 2 else a @ w,
        lambda: jnp.tanh(w.T @ a.T + w[0][:, None]).T if a.ndim == 2 else a @ w,
        lambda: jnp.einsum("bhi,hij->bhj", a, jnp.stack([w, 2 * w])) if a.shape == (B, 2, D) else a @ w,
    ]  # fmt: skip
    return ways[rng.integers(len(ways))]()


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


# ------------------------------------------------------------------------------------- what only wide steps have


def other_type(rng, p, pool, others):
    """Of integers, truth values, half-precision numbers: a number, and the other way."""
    if others and rng.random() < 0.5 and (a := number(rng, others)) is not None:
        return a.astype(float) / 9
    a = pick(rng, pool)
    kinds = [
        lambda: (5 * jnp.tanh(a)).astype(jnp.int32), lambda: a > 0.1,
        *(lambda kind=kind: a.astype(kind) for kind in NARROW), lambda: jnp.argmax(a, -1) if a.ndim else jnp.sign(a),
        lambda: jnp.isfinite(a), lambda: jax.nn.one_hot(jnp.argmax(a, -1), D) if a.ndim else a,
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def number(rng, others) -> Any:
    return pick(rng, others, lambda a: not jnp.issubdtype(a.dtype, jax.dtypes.prng_key))


def index(rng, others, size):
    """Integers [B] or [], some out of bounds."""
    a = pick(rng, others, lambda a: jnp.issubdtype(a.dtype, jnp.integer) and a.ndim < 2)
    return jnp.int32(rng.integers(size)) if a is None else a


def arithmetic(rng, p, pool, others):
    """Of integers and truth values."""
    a = number(rng, others)
    if a is None:
        return None
    if jnp.issubdtype(a.dtype, jnp.integer):
        some = [lambda: a + 1, lambda: a % 3, lambda: a ^ 5, lambda: a // 2, lambda: jnp.sum(a), lambda: a > 1]
        return some[rng.integers(len(some))]()
    some = [lambda: ~(a > 0), lambda: jnp.any(a > 0, -1) if a.ndim else a, lambda: (a > 0) & (a < 2), lambda: a * 2]
    return some[rng.integers(len(some))]()


def chosen(rng, p, pool, others):
    """Rows, entries and windows at places that are values."""
    i, a = index(rng, others, D), pick(rng, pool, lambda a: a.ndim)
    b = pick(rng, pool, lambda b: b.shape == (B, D))
    kinds = [
        lambda: p["w"][i], lambda: p["b"][i], lambda: jnp.take(a, i, axis=axis_of(rng, a)),
        lambda: lax.dynamic_slice_in_dim(a, i if i.ndim == 0 else i[0], 1, axis_of(rng, a)),
        lambda: lax.dynamic_update_slice_in_dim(b, b[:, :1] * 2, i if i.ndim == 0 else i[0], 1),
        lambda: b.at[:, i].add(0.5), lambda: b.at[jnp.arange(B), i].set(b[:, 0]) if i.shape in ((), (B,)) else None,
        lambda: b.at[:, i].multiply(p["s"]) if i.ndim == 0 else None,
        lambda: jnp.take_along_axis(b, jnp.broadcast_to(i, (B,))[:, None] % D, 1) if i.shape in ((), (B,)) else None,
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def control(rng, p, pool, others):
    """Branches and loops within the step."""
    a = pick(rng, pool)
    where = jnp.sum(pick(rng, pool)) > 0.1
    w = lambda b: b @ p["w"] if b.ndim and b.shape[-1] == D else b * p["s"]
    kinds = [
        lambda: lax.cond(where, jnp.tanh, lambda b: b * p["s"], a),
        lambda: lax.switch(index(rng, others, 3).reshape(-1)[0], [jnp.sin, jnp.tanh, lambda b: w(b) * 0 + b], a),
        lambda: lax.fori_loop(0, 3, lambda _, b: jnp.tanh(b + p["s"]), a),
        lambda: lax.scan(lambda b, s: (jnp.tanh(w(b)), jnp.sum(b) * s), a, p["b"])[1],
        lambda: lax.scan(lambda b, _: (jnp.tanh(0.5 * b + p["s"]), None), a, None, 2)[0],
        lambda: lax.stop_gradient(lax.while_loop(lambda b: jnp.sum(b**2) > 1, lambda b: 0.7 * b, jnp.tanh(a))),
        lambda: jax.checkpoint(lambda b: jnp.tanh(w(b)))(a), lambda: jax.jit(lambda b: jnp.sin(b) * p["s"])(a),
        lambda: jax.vmap(lambda r: jnp.tanh(r) + jnp.max(r))(a) if a.ndim else None,
        lambda: lax.map(lambda r: jnp.cumsum(r * p["s"]), a) if a.ndim == 2 else None,
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def ordered(rng, p, pool, others):
    """Sorts, and what models have of several equations."""
    a = pick(rng, pool, lambda a: a.ndim)
    kinds = [
        lambda: jnp.sort(a, axis=-1), lambda: jnp.argsort(a, axis=-1), lambda: lax.top_k(a, 1)[0],
        lambda: jax.nn.softmax(a, -1), lambda: jax.nn.logsumexp(a, -1), lambda: jax.nn.standardize(a, -1, epsilon=0.1),
        lambda: jnp.sqrt(0.1 + jnp.sum(a**2, -1, keepdims=True)), lambda: jax.nn.gelu(a), lambda: jnp.roll(a, 1, -1),
        lambda: jnp.linalg.solve(jnp.eye(D) + 0.1 * p["w"], a[..., None])[..., 0] if a.shape == (B, D) else None,
        lambda: jax.lax.erf(a), lambda: jnp.logaddexp(a, 0.3), lambda: jnp.tile(a, 2),
        lambda: jnp.tril(a) if a.ndim == 2 else None,
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def turned(rng, p, pool, others):
    """By way of complex numbers."""
    a = pick(rng, pool)
    c = lax.complex(a, pick(rng, pool, lambda b: b.shape == a.shape)) * lax.complex(p["s"], 0.3)
    kinds = [
        lambda: (c * jnp.conj(c)).real, lambda: jnp.imag(c / (2 - 1j + c * 0.1) ** 2), lambda: jnp.sum(c).imag,
        lambda: (c @ p["w"].astype(c.dtype)).real if c.ndim and c.shape[-1] == D else c.real,
        lambda: jnp.where(a > 0, c, 1j * c).imag,
    ]  # fmt: skip
    return kinds[rng.integers(len(kinds))]()


def drawn(rng, p, pool, others):
    """Random numbers, by a key of x."""
    key = pick(rng, others, lambda a: jnp.issubdtype(a.dtype, jax.dtypes.prng_key))
    if key is None:
        return None
    a, key = pick(rng, pool), jax.random.fold_in(key, len(pool))
    some = [lambda: jax.random.normal(key, a.shape), lambda: jnp.where(jax.random.bernoulli(key, 0.5, a.shape), a, 0)]
    return some[rng.integers(2)]()


WIDE = [other_type, other_type, arithmetic, chosen, chosen, control, control, ordered, ordered, turned, drawn, drawn]
