"""From a step function to one flat list of equations: what every method of `rnn_jax.scan` works on.

A step is traced once. Nested jits are inlined, values named by `name` are found (to be collected, or to be tapped for
their gradient), and the masks of ragged and concatenated sequences are written around it. The result is a `Body`.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

INLINED = {"pjit": "jaxpr", "jit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}


class Body(NamedTuple):
    """One step, flat: (*fixed, *carry, *x) -> (*carry, *y); fixed: closed-over arrays, then params, then initial."""

    jaxpr: core.Jaxpr
    n_fixed: int
    n_carry: int

    def __call__(self, fixed, carry, x):
        out = core.jaxpr_as_fun(core.ClosedJaxpr(self.jaxpr, []))(*fixed, *carry, *x)
        return out[: self.n_carry], out[self.n_carry :]


class Traced(NamedTuple):
    """A traced call of `scan`."""

    body: Body
    consts: list[Any]  # the arrays that the step closes over; never cached
    y_tree: Any  # the tree of (ys, collected)
    carry_avals: list[Any]  # the types in which the carry stays


def flatten(closed: core.ClosedJaxpr, collect: Sequence[str] = (), taps: Sequence[str] = (), keep_names=True):
    """Inlines nested jits and rewrites `name` equations.

    Returns (jaxpr, consts): its invars are the consts', the step's, then one per tap; its outvars the step's, then one
    per collected name. Every variable is new: an inner jaxpr may be called twice.
    """
    eqns, const_vars, consts, found, hidden = [], [], [], {}, set()
    tap_vars: dict[str, core.Var] = {}

    def new(atom):
        return core.Var(atom.aval)

    def walk(jaxpr, args, arg_consts):
        env: dict[Any, Any] = dict(zip(jaxpr.invars, args, strict=True))
        for v, value in zip(jaxpr.constvars, arg_consts, strict=True):
            env[v] = new(v)
            const_vars.append(env[v])
            consts.append(value)

        def read(atom):
            return atom if isinstance(atom, core.Literal) else env[atom]

        for eqn in jaxpr.eqns:
            args, kind = [read(a) for a in eqn.invars], eqn.primitive.name
            if kind in INLINED and not _sharded(eqn):
                inner = eqn.params[INLINED[kind]]
                outs = walk(inner.jaxpr, args, inner.consts)
            elif kind == "reshape" and eqn.params["dimensions"] is not None:  # of a transpose: an equation of its own
                inner = jax.make_jaxpr(lambda a, p=eqn.params: _transposed(a, p))(args[0].aval)
                outs = walk(inner.jaxpr, args, inner.consts)
            elif kind in _IN_OTHERS:
                inner = jax.make_jaxpr(functools.partial(_IN_OTHERS[kind], **eqn.params))(*(a.aval for a in args))
                outs = walk(inner.jaxpr, args, inner.consts)
            else:
                if kind != "name":
                    hidden.update(_names_inside(eqn))
                outs = [new(v) for v in eqn.outvars]
                if kind != "name" or keep_names:
                    eqns.append(eqn.replace(invars=args, outvars=outs))
                else:
                    outs = args
                if kind == "name":
                    key = eqn.params["name"]
                    if key in found and (key in collect or key in taps):
                        raise ValueError(f"scan: two values of the step are named {key!r}; give each its own name")
                    if key in taps:
                        tap_vars[key], total = new(eqn.outvars[0]), new(eqn.outvars[0])
                        eqns.append(_add(outs[0], tap_vars[key], total))
                        outs = [total]
                    found[key] = outs[0]
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(a) for a in jaxpr.outvars]

    invars = [new(v) for v in closed.jaxpr.invars]
    outvars = walk(closed.jaxpr, invars, closed.consts)
    for key in [*collect, *taps]:
        if key not in found:
            why = (
                " (it is inside a cond, while, scan or checkpoint, where it cannot be reached)" if key in hidden else ""
            )
            raise ValueError(f"scan: no value of the step is named {key!r}{why}; visible names: {_listed(found)}")
    invars = [*const_vars, *invars, *(tap_vars[k] for k in taps)]
    outvars = [*outvars, *(found[k] for k in collect)]
    eqns = live(eqns, outvars)
    return closed.jaxpr.replace(
        constvars=[], invars=invars, outvars=outvars, eqns=eqns, effects=effects_of(eqns)
    ), consts


def live(eqns, outvars):
    """The equations that the outputs depend on, and those with effects (a callback, a print)."""
    needed, kept = {v for v in outvars if not isinstance(v, core.Literal)}, []
    for eqn in reversed(eqns):
        if eqn.effects or any(v in needed for v in eqn.outvars):
            kept.append(eqn)
            needed.update(v for v in eqn.invars if not isinstance(v, core.Literal))
    return kept[::-1]


def effects_of(eqns):
    return frozenset().union(*(e.effects for e in eqns))


def _unstack(a, axis):
    return [lax.squeeze(part, (axis,)) for part in lax.split(a, (1,) * a.shape[axis], axis)]


def _stack(*arrays, axis):
    return lax.concatenate([lax.expand_dims(a, (axis,)) for a in arrays], axis)


_IN_OTHERS = {"unstack": _unstack, "stack": _stack}  # equations that JAX has since 0.12, written in older ones


def _transposed(a, params):
    return jax.lax.reshape(jax.lax.transpose(a, params["dimensions"]), params["new_sizes"])


def _add(a, b, out):
    template = jax.make_jaxpr(jax.lax.add)(a.aval, b.aval)
    return template.jaxpr.eqns[0].replace(invars=[a, b], outvars=[out])


def _sharded(eqn):
    """A jit that the user gave shardings keeps them, and so stays one opaque equation."""
    shardings = (*eqn.params.get("in_shardings", ()), *eqn.params.get("out_shardings", ()))
    return any("Unspecified" not in repr(s) for s in shardings)


def inner_jaxprs(eqn):
    """The jaxprs that a cond, while, scan, checkpoint or jit equation holds."""
    for value in eqn.params.values():
        for v in value if isinstance(value, tuple | list) else [value]:
            if isinstance(v, core.ClosedJaxpr | core.Jaxpr):
                yield v.jaxpr if isinstance(v, core.ClosedJaxpr) else v


def _names_inside(eqn):
    for jaxpr in inner_jaxprs(eqn):
        for e in jaxpr.eqns:
            if e.primitive.name == "name":
                yield e.params["name"]
            yield from _names_inside(e)


def visible_names(jaxpr: core.Jaxpr):
    """The names that `flatten` finds in a jaxpr, in order: those that can be collected and tapped."""
    for eqn in jaxpr.eqns:
        kind = eqn.primitive.name
        if kind == "name":
            yield eqn.params["name"]
        elif kind in INLINED and not _sharded(eqn):
            yield from visible_names(eqn.params[INLINED[kind]].jaxpr)


def _listed(names):
    return ", ".join(sorted(names)) or "none; write name(value, 'h') in the step"


def trace(step: Callable, params, carry, x, *, taps, collect: Sequence[str], active, reset) -> Traced:
    """Traces one step. x, taps, active and reset (masks [b], or None) are types of one time step; collect is sorted."""
    param_leaves, param_tree = jax.tree.flatten(params)
    carry_leaves, carry_tree = jax.tree.flatten(carry)
    x_avals, x_tree = jax.tree.flatten(x)
    param_avals, carry_avals = [jax.typeof(a) for a in param_leaves], [jax.typeof(a) for a in carry_leaves]
    n_params, n_carry = len(param_avals), len(carry_avals)
    y_trees = []

    def flat_step(*args):
        p, k, x = args[:n_params], args[n_params : n_params + n_carry], args[n_params + n_carry :]
        trees = (param_tree, p), (carry_tree, k), (x_tree, x)
        out = step(*(jax.tree.unflatten(tree, leaves) for tree, leaves in trees))
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"scan: the step must return (carry, y), got {type(out).__name__}")
        new_tree = jax.tree.structure(out[0])
        if new_tree != carry_tree:
            raise TypeError(f"scan: the step returns a carry of another structure: {new_tree}, was given {carry_tree}")
        y_trees.append(jax.tree.structure((out[1], dict.fromkeys(collect, 0))))
        return (*jax.tree.leaves(out[0]), *jax.tree.leaves(out[1]))

    closed = jax.make_jaxpr(flat_step)(*param_avals, *carry_avals, *x_avals)
    settled = [_settle(a, new) for a, new in zip(carry_avals, closed.out_avals, strict=False)]
    if settled != carry_avals:
        carry_avals = settled
        closed = jax.make_jaxpr(flat_step)(*param_avals, *carry_avals, *x_avals)
    _check_carry(carry_tree, carry_avals, closed.out_avals[:n_carry])
    jaxpr, consts = flatten(closed, collect, taps)
    body = Body(jaxpr, len(consts) + n_params, n_carry)
    if active is not None or reset is not None:
        body = _masked(body, carry_avals, active, reset)
    return Traced(body, consts, y_trees[-1], carry_avals)


def _masked(body: Body, carry_avals, active, reset) -> Body:
    """The body within masks: reset, step, freeze. `initial` joins the fixed values, the masks are the last of x."""
    n, starts = body.n_fixed, carry_avals if reset is not None else []

    def masked(*args):
        fixed, start, rest = args[:n], args[n : n + len(starts)], args[n + len(starts) :]
        old, xs = rest[: body.n_carry], list(rest[body.n_carry :])
        r = xs.pop() if reset is not None else None
        go = xs.pop() if active is not None else None
        restarted = old
        if r is not None:
            restarted = [jnp.where(_over(r, c), i, c) for i, c in zip(start, old, strict=True)]
        new, ys = body(fixed, restarted, xs)
        if go is not None:
            new = [jnp.where(_over(go, c), n, c) for n, c in zip(new, old, strict=True)]
            ys = [jnp.where(_over(go, y), y, jnp.zeros_like(y)) for y in ys]
        return (*new, *ys)

    avals = [v.aval for v in body.jaxpr.invars]
    masks = [m for m in (active, reset) if m is not None]
    jaxpr, _ = flatten(jax.make_jaxpr(masked)(*avals[:n], *starts, *avals[n:], *masks))
    return Body(jaxpr, n + len(starts), body.n_carry)


def _settle(before, after):
    """The type in which a carry leaf stays: a weak one takes the step's dtype; inside a shard_map, the step's axes."""
    if before.shape != after.shape:
        return before
    if before.weak_type or before.dtype == after.dtype:
        return after.update(weak_type=False)
    return before


def varying(aval):
    """The mesh axes along which a value differs inside a shard_map (the attribute was renamed in JAX 0.10)."""
    return frozenset(getattr(aval, "vma", None) or getattr(getattr(aval, "manual_axis_type", None), "varying", ()))


def vary(a, aval):
    """The same, of the type that differs along the mesh axes along which `aval` does: a constant, such as a tangent of
    zeros, has to be told so within a shard_map."""
    axes = tuple(varying(aval) - varying(jax.typeof(a)))
    if not axes:
        return a
    return lax.pcast(a, axes, to="varying") if hasattr(lax, "pcast") else lax.pvary(a, axes)


def one_step(a):
    """The type of one time step of a stacked array."""
    aval = jax.typeof(a)
    return aval.update(shape=aval.shape[1:], weak_type=False)


def _over(mask, value):
    """A mask [b] shaped to select over a value [b ...]."""
    if value.ndim == 0 or value.shape[0] != mask.shape[0]:
        raise ValueError(
            f"scan: with lengths or resets every output and collected value needs the leading axis "
            f"b = {mask.shape[0]}, got the shape {value.shape}"
        )
    return mask.reshape(mask.shape + (1,) * (value.ndim - 1))


def same(a: core.Jaxpr, b: core.Jaxpr) -> bool:
    """Whether two flat jaxprs are the same program."""
    if len(a.eqns) != len(b.eqns) or [v.aval for v in a.invars] != [v.aval for v in b.invars]:
        return False
    match = dict(zip(a.invars, b.invars, strict=True))

    def equal(x, y):
        if isinstance(x, core.Literal) or isinstance(y, core.Literal):
            if type(x) is not type(y) or x.aval != y.aval:
                return False
            with jax.ensure_compile_time_eval():
                return x.val is y.val or bool(jnp.all(x.val == y.val))
        return match.get(x) is y

    for e, f in zip(a.eqns, b.eqns, strict=True):
        if e.primitive is not f.primitive or len(e.invars) != len(f.invars) or len(e.outvars) != len(f.outvars):
            return False
        if not all(map(equal, e.invars, f.invars)):
            return False
        try:
            if e.params.keys() != f.params.keys() or any(
                e.params[k] is not f.params[k] and e.params[k] != f.params[k] for k in e.params
            ):
                return False
        except ValueError:  # parameters that do not compare to one truth value
            return False
        match.update(zip(e.outvars, f.outvars, strict=True))
    return len(a.outvars) == len(b.outvars) and all(map(equal, a.outvars, b.outvars))


def _check_carry(tree, before, after):
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(jax.tree.unflatten(tree, before))]
    for path, a, b in zip(paths, before, after, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise TypeError(
                f"scan: carry{path} is {a.dtype}{list(a.shape)} before the step and {b.dtype}{list(b.shape)} after it; "
                "a carry keeps its shape and dtype"
            )
