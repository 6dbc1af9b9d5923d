"""What the probes share: a step as flat equations, cut at its state; checks of arguments; numbers kept on a log scale.

A step is s_t, y_t = step(params, s_{t-1}, x_t), with the carry as its state s. A gradient with respect to the state has
a meaning in the view s_t = advance(s_{t-1}, x_t), y_t = read(s_t, s_{t-1}, x_t): what y_t still needs when s_t
is given. `tapped` adds a tap to s_t, seen by y_t and by step t + 1.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from rnn_jax.scan import scan
from rnn_jax.tracing import INLINED, Body, Traced, inner_jaxprs, one_step, trace, visible_names

# Equations whose result is their first input, or a part of it.
PARTS = {"slice", "split", "squeeze", "reshape", "transpose", "broadcast_in_dim", "name", "convert_element_type"}


class Flat(NamedTuple):
    """A traced step and the arrays that it runs on: (carry, y) = body(fixed, carry, x), each a list of leaves."""

    body: Body
    fixed: list[Any]  # closed-over arrays, then params
    carry: list[Any]  # in the types in which they stay
    xs: list[Any]
    length: int


def is_float(a):
    return jnp.issubdtype(a.dtype, jnp.inexact)


def floats(leaves):
    """The leaves that carry a gradient; `rejoin` puts others in their places."""
    return [a for a in leaves if is_float(a)]


def rejoin(leaves, new):
    new = iter(new)
    return [next(new) if is_float(a) else a for a in leaves]


def as_arrays(*trees):
    return jax.tree.map(jnp.asarray, trees)


def check(caller: str, step, params, carry, xs, least=1, **masks):
    """(t, types of ys). Refuses NaN (where values are known), what `scan` refuses, and fewer than `least` steps."""
    for what, tree in {"params": params, "carry": carry, "xs": xs}.items():
        for path, a in jax.tree_util.tree_leaves_with_path(tree):
            if not isinstance(a, jax.core.Tracer) and is_float(a) and np.isnan(np.asarray(a)).any():
                raise ValueError(f"{caller}: {what}{jax.tree_util.keystr(path)} holds NaN")
    ys = jax.eval_shape(lambda p, c, x: scan(step, p, c, x, **masks)[1], params, carry, xs)
    t = jax.tree.leaves(xs)[0].shape[0] if jax.tree.leaves(xs) else masks["length"]
    if t < least:
        raise ValueError(f"{caller}: needs at least two steps: with t = {t} no gradient travels through time")
    return t, ys


def check_loss(caller: str, loss: Callable, ys):
    out = jax.eval_shape(loss, ys)
    if getattr(out, "shape", None) != () or not jnp.issubdtype(out.dtype, jnp.floating):
        got = f"{out.dtype}{list(out.shape)}" if hasattr(out, "shape") else type(out).__name__
        raise ValueError(f"{caller}: loss(ys) must be a real scalar, of the shape (), got {got}")


def traced(step, params, carry, xs, collect=(), taps: Mapping[str, Any] = {}) -> Traced:
    return trace(
        step, params, carry, jax.tree.map(one_step, xs), taps=taps, collect=sorted(collect), active=None, reset=None
    )


def names(step, params, carry, xs) -> list[str]:
    """The names that can be collected; one that two values share cannot."""
    jaxpr = jax.make_jaxpr(step)(params, carry, jax.tree.map(one_step, xs)).jaxpr
    return [name for name, times in Counter(visible_names(jaxpr)).items() if times == 1]


def flatten(step, params, carry, xs, length: int) -> Flat:
    t = traced(step, params, carry, xs)
    leaves = [
        a if a.dtype == v.dtype else a.astype(v.dtype)
        for a, v in zip(jax.tree.leaves(carry), t.carry_avals, strict=True)
    ]
    return Flat(t.body, [*t.consts, *jax.tree.leaves(params)], leaves, jax.tree.leaves(xs), length)


def tapped(step, params, carry, xs, name: str | None):
    """(step with a tap, zero tap): carry, y = run(params, carry, (x, tap)), with the tap added to the value called
    `name`; None: to the state that leaves the step, where the tap is the list of its float leaves."""
    if name is None:
        t = traced(step, params, carry, xs)
        types = floats(t.carry_avals)
        if not types:
            raise ValueError("gradients: the carry has no float leaf, so no gradient travels through it")
        advance, read = _cut(t.body)

        def move(fixed, old, x, tap):
            new = advance(fixed, old, x)
            new = rejoin(new, [a + b for a, b in zip(floats(new), tap, strict=True)])
            return new, read(new, fixed, old, x)

    else:
        types = [traced(step, params, carry, xs, collect=(name,)).body.jaxpr.outvars[-1].aval]
        t = traced(step, params, carry, xs, taps={name: types[0]})
        move = lambda fixed, old, x, tap: t.body(fixed, old, [*x, *tap])

    def run(params, carry, x_tap):
        fixed = [*t.consts, *jax.tree.leaves(params)]
        new, ys = move(fixed, jax.tree.leaves(carry), jax.tree.leaves(x_tap[0]), x_tap[1])
        return jax.tree.unflatten(jax.tree.structure(carry), new), jax.tree.unflatten(t.y_tree, ys)[0]

    return run, [jnp.zeros(a.shape, a.dtype) for a in types]


def _cut(body: Body):
    """(advance, read): carry' = advance(fixed, carry, x) and y = read(carry', fixed, carry, x).

    The walk back from y stops where it meets a float leaf of carry'. A leaf that is a constant, an input handed on or
    the same value as an earlier leaf is no place to stop: y does not see a tap on it, the next step does.
    """
    jaxpr, n = body.jaxpr, body.n_carry
    first = {v: i for i, v in reversed(list(enumerate(jaxpr.outvars[:n]))) if not isinstance(v, core.Literal)}
    stops = {v: i for v, i in first.items() if v not in jaxpr.invars and is_float(v.aval)}
    needed = {v for v in jaxpr.outvars[n:] if not isinstance(v, core.Literal)}
    eqns = []
    for eqn in reversed(jaxpr.eqns):
        if any(v in needed and v not in stops for v in eqn.outvars):  # its other results may be stops: not these
            eqns.append(eqn.replace(outvars=[core.Var(v.aval) if v in stops else v for v in eqn.outvars]))
            needed.update(v for v in eqn.invars if not isinstance(v, core.Literal))
    effects = frozenset().union(*(e.effects for e in eqns))
    rest = jaxpr.replace(invars=[*stops, *jaxpr.invars], outvars=jaxpr.outvars[n:], eqns=eqns[::-1], effects=effects)
    read = core.jaxpr_as_fun(core.ClosedJaxpr(rest, []))
    return (
        lambda fixed, carry, x: body(fixed, carry, x)[0],
        lambda new, fixed, carry, x: read(*(new[i] for i in stops.values()), *fixed, *carry, *x),
    )


# ------------------------------------------------------------------------------------------- functions in the equations


def function_of(eqn):
    """The saturating function that an equation applies: "tanh", "logistic", "relu" or None."""
    kind = eqn.primitive.name
    if kind in ("tanh", "logistic"):
        return kind
    if kind == "max":
        zero = any(isinstance(a, core.Literal) and np.all(np.asarray(a.val) == 0) for a in eqn.invars)
        return "relu" if zero else None
    if kind in ("custom_jvp_call", *INLINED):  # jax.nn.relu is a custom_jvp_call that holds a jit that holds a max
        (inner,) = inner_jaxprs(eqn)
        return function_of(inner.eqns[0]) if len(inner.eqns) == 1 else None
    return None


# -------------------------------------------------------------------------------------------------- numbers of any size


def renormalised(leaves, exponent, axes: int):
    """(leaves / 2^k, exponent + k) with the largest entry of all leaves, per index of the first `axes` axes, near 1.

    Powers of two: nothing is rounded, however many steps. 0 stays 0.
    """
    if not leaves:
        return leaves, exponent
    largest = _largest(leaves, axes)
    info = jnp.finfo(largest.dtype)
    k = jnp.clip(jnp.frexp(largest)[1], 2 - info.maxexp, info.maxexp - 2)  # so that 2^-k is a normal number
    factor = jnp.ldexp(jnp.ones_like(largest), -k)
    return [a * _over(factor, a).astype(a.real.dtype) for a in leaves], exponent + k


def log10_norm(leaves, exponent, axes: int):
    """log10 ||leaves * 2^exponent||_2 over all but the first `axes` axes; -inf for 0. No square under- or overflows."""
    leaves, exponent = renormalised([a.astype(wide(a)) for a in leaves], exponent, axes)
    square = sum(jnp.sum(jnp.square(jnp.abs(a)), axis=tuple(range(axes, a.ndim))) for a in leaves)
    return scaled_log10(jnp.sqrt(square), exponent)


def scaled_log10(a, exponent):
    return jnp.log10(a) + exponent * jnp.log10(jnp.asarray(2, a.dtype))


def wide(*arrays):
    """Their common type, float32 at least."""
    return jnp.result_type(*arrays, jnp.float32)


def _largest(leaves, axes):
    each = [jnp.max(jnp.abs(a), axis=tuple(range(axes, a.ndim)), initial=0) for a in leaves]
    return jnp.max(jnp.stack([a.astype(wide(*each)) for a in each]), axis=0)


def _over(factor, a):
    return factor.reshape(factor.shape + (1,) * (a.ndim - factor.ndim))
