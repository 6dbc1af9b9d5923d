"""The front door: run a step function over time."""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import operator
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax.methods import METHODS
from rnn_jax.tracing import Traced, one_step, same, trace, vary


def scan(
    step: Callable,
    params,
    carry,
    xs=None,
    *,
    length: int | None = None,
    initial=None,
    lengths=None,
    resets=None,
    reverse: bool = False,
    method: str | Callable = "auto",
    collect: Sequence[str] = (),
    taps: Mapping[str, Any] = {},
):
    """Runs `carry, y = step(params, carry, x)` over the leading axis of xs: (carry, ys), or (carry, ys, collected).

    params   any pytree. Arrays that the step closes over are parameters as well, with the right gradient.
    carry    the state before the first step, any pytree; float, integer, bool and key leaves.
    xs       pytree of [t ...]; or None with `length` (decoders, autonomous systems). t = 0 works.
    lengths  int [b]: past its end a sequence's carry is frozen, its ys and collected values are zero; more than t
             count as t, fewer than 0 as 0.
    resets   bool [t b]: marks a document's first step; there the carry becomes `initial` (default: `carry`).
             Order: reset, step, freeze. With either mask each carry leaf, y and collected value has the leading axis b.
    reverse  from the last step to the first; each sequence within its own length, each document within its own marks.
    method   a name of METHODS, each a file of rnn_jax/methods; or one with settings, `methods.Newton(damping=1)`.
             "reference" is `lax.scan` and plain autodiff; it and "hoisted" take forward mode; "auto" picks (`explain`).
    collect  names of values (`name(value, "h")` in the step) to return as dict name -> [t ...].
    taps     dict name -> [t ...], added to the named value: the gradient with respect to a zero tap is dL/dvalue_t.

    A gradient rule of the step's own (`jax.custom_vjp`) is to be linear in its cotangent, as a derivative is: methods
    but "reference" may apply it to a sum over steps, or over paths. One that clips gradients needs "reference".

    A second call with the same step and shapes neither traces nor compiles, unless the step closes over arrays: then
    it is traced again (their values are never kept). As under `jax.jit`, other Python values are read once.
    """
    collect, taps = sorted(set(_names(collect))), dict(sorted(taps.items()))
    carry, xs = jax.tree.map(jnp.asarray, carry), jax.tree.map(jnp.asarray, xs)
    length = time_axis(xs, length)
    active, reset = masks(carry, length, lengths, resets, reverse)
    if resets is not None:
        initial = carry if initial is None else _matching(initial, carry)
    elif initial is not None:
        raise ValueError("scan: `initial` is the state at reset marks; pass `resets`, or give the state as `carry`")
    for key, tap in taps.items():
        taps[key] = tap = jnp.asarray(tap)
        if tap.shape[:1] != (length,) or not jnp.issubdtype(tap.dtype, jnp.inexact):
            raise ValueError(
                f"scan: taps[{key!r}] must be float with the leading axis t = {length}, "
                f"got {tap.dtype}{list(tap.shape)}"
            )
    if isinstance(method, type):
        raise ValueError(f"scan: method is a class; give one of it, methods.{method.__name__}()")
    if not callable(method):
        if not isinstance(method, str) or method not in METHODS:
            raise ValueError(f"scan: unknown method {method!r}; known: {', '.join(METHODS)}")
        method = METHODS[method]
    told = [name for name in collect if name in getattr(method, "reports", ())]  # by the method, not by the step
    named = [name for name in collect if name not in told]

    call, traced = _prepare(step, params, carry, xs, active, reset, length, reverse, method, named, taps)
    leaves = [_as(a, aval) for a, aval in zip(jax.tree.leaves(carry), traced.carry_avals, strict=True)]
    fixed = [*traced.consts, *jax.tree.leaves(params), *(jax.tree.leaves(initial) if reset is not None else [])]
    inputs = [*jax.tree.leaves(xs), *taps.values(), *(m for m in (active, reset) if m is not None)]
    out_leaves, y_leaves, *report = call(fixed, leaves, inputs)
    ys, collected = jax.tree.unflatten(traced.y_tree, y_leaves)
    collected |= {name: report[0][name] for name in told}
    last = jax.tree.unflatten(jax.tree.structure(carry), out_leaves)
    return (last, ys, collected) if collect else (last, ys)


# ---------------------------------------------------------------------------------------------- arguments and masks


def _names(collect):
    if isinstance(collect, str):
        raise ValueError(f"scan: collect must be a sequence of names, such as ({collect!r},)")
    return collect


def time_axis(xs, length):
    sizes: set[Any] = {a.shape[0] if a.ndim else None for a in jax.tree.leaves(xs)}
    if None in sizes:
        raise ValueError("scan: every leaf of xs needs a leading time axis, got a scalar")
    if length is not None:
        try:
            sizes.add(operator.index(length))
        except TypeError as error:  # a traced number too
            raise ValueError(f"scan: length must be an int that is known, got {length!r}") from error
    if len(sizes) != 1:
        raise ValueError(
            "scan: xs=None needs length="
            if not sizes
            else f"scan: leaves of xs and length disagree on t: {sorted(sizes)}"
        )
    if min(sizes) < 0:
        raise ValueError(f"scan: length must be at least 0, got {length}")
    return sizes.pop()


def _batch(carry, lengths, resets):
    """The size of axis b, which masks need in every leaf of the carry."""
    if lengths is None and resets is None:
        return None
    for name, mask, form in (("lengths", lengths, "int [b]"), ("resets", resets, "bool [t b]")):
        if mask is not None and np.ndim(mask) != (1 if name == "lengths" else 2):
            raise ValueError(f"scan: {name} must be {form}, got the shape {list(np.shape(mask))}")
    name, b = ("lengths", np.shape(lengths)[0]) if lengths is not None else ("resets", np.shape(resets)[1])
    for path, leaf in jax.tree_util.tree_leaves_with_path(carry):
        if leaf.ndim == 0 or leaf.shape[0] != b:
            raise ValueError(
                f"scan: with {name} of b = {b} every leaf of the carry needs that leading axis; "
                f"carry{jax.tree_util.keystr(path)} has the shape {leaf.shape}"
            )
    return b


def masks(carry, t, lengths, resets, reverse):
    """(active, reset), each bool [t b] or None."""
    b, active, reset = _batch(carry, lengths, resets), None, None
    if lengths is not None:
        lengths = jnp.asarray(lengths)
        if lengths.shape != (b,) or not jnp.issubdtype(lengths.dtype, jnp.integer):
            raise ValueError(f"scan: lengths must be int [b], got {lengths.dtype}{list(lengths.shape)}")
        active = jnp.arange(t)[:, None] < lengths
    if resets is not None:
        reset = jnp.asarray(resets)
        if reset.shape != (t, b) or reset.dtype != bool:
            raise ValueError(f"scan: resets must be bool [t b] = [{t} {b}], got {reset.dtype}{list(reset.shape)}")
        if (
            reverse
        ):  # the same documents: one ends (and is entered) where the next one is marked to begin, within the length
            inside = reset if active is None else reset & active
            reset = jnp.concatenate([inside[1:], jnp.zeros((min(t, 1), b), bool)])
    return active, reset


def _matching(initial, carry):
    if jax.tree.structure(initial) != jax.tree.structure(carry):
        raise ValueError(f"scan: initial must have the structure of the carry, got {jax.tree.structure(initial)}")
    try:
        return jax.tree.map(lambda i, c: jnp.broadcast_to(jnp.asarray(i), c.shape).astype(c.dtype), initial, carry)
    except ValueError as e:
        raise ValueError(f"scan: initial must have the shapes of the carry: {e}") from None


# ------------------------------------------------------------------------------------------------------ trace cache

_cache: weakref.WeakKeyDictionary[Any, dict[Any, tuple[Any, Traced]]] = weakref.WeakKeyDictionary()


def _prepare(step, params, carry, xs, active, reset, length, reverse, method, collect, taps):
    """The compiled call for this step, shapes and method, and the trace with this call's closed-over arrays."""
    x = jax.tree.map(one_step, xs)
    tap_x = {k: one_step(v) for k, v in taps.items()}
    tree = jax.tree.structure((params, carry, xs, taps))
    avals = tuple(jax.typeof(a) for a in jax.tree.leaves((params, carry, xs, taps)))
    owner = getattr(step, "__self__", step)  # a method lives as long as its object, which may have changed
    key = (
        getattr(step, "__func__", None),
        tree,
        avals,
        length,
        reverse,
        method,
        tuple(collect),
        active is None,
        reset is None,
        _settings(),
    )
    try:
        known = _cache.setdefault(owner, {})
    except TypeError:  # a callable that cannot be referenced weakly: traced each time
        known = {}
    if key in known and owner is step and not known[key][1].consts:
        return known[key]
    masks = {
        "active": None if active is None else one_step(active),
        "reset": None if reset is None else one_step(reset),
    }
    traced = trace(step, params, carry, x, taps=tap_x, collect=collect, **masks)
    if key in known and same(known[key][1].body.jaxpr, traced.body.jaxpr):
        return known[key][0], traced
    body = traced.body
    # A jit, so that an eager call compiles the whole loop once, and finds it again.
    call = jax.jit(lambda fixed, carry, xs: method(body, fixed, carry, xs, length, reverse))
    if not any("Axis" in type(e).__name__ for e in body.jaxpr.effects):  # a psum's axis belongs to the caller
        known[key] = call, traced._replace(consts=[None] * len(traced.consts))
    return call, traced


def _as(a, aval):
    """The carry in the type in which it stays (see tracing.trace)."""
    a = a.astype(aval.dtype) if a.dtype != aval.dtype or jax.typeof(a).weak_type else a
    return vary(a, aval)


def _settings():
    c = jax.config
    return (
        c.jax_enable_x64, c.jax_default_matmul_precision, c.jax_numpy_dtype_promotion, c.jax_numpy_rank_promotion,
        c.jax_default_prng_impl, c.jax_debug_nans, jax.device_count() == 1,
    )  # fmt: skip
