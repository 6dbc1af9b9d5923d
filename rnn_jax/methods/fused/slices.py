"""Slices of a product, as products with slices: a GPU kernel cuts no value that it holds."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import functools
import itertools
import math
from typing import Any

import jax
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.placement import LOOP, place
from rnn_jax.methods.fused.axes import ELEMENTWISE, whole
from rnn_jax.tracing import Body, effects_of, flatten, live


def slice_early(body: Body, length: int, at=LOOP) -> Body:
    """Gates that are slices of one sum, a = x @ W_x + h @ W_h + b, as a sum each, of slices of W_h and of the rest.

    A slice within the loop moves up, through element-wise equations and the free axes of products, to values known
    before the loop. Where it would reach the carry it stays. at=AHEAD: so do slices of what is known ahead, to params.
    """
    jaxpr, _ = flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)
    where, _ = place(body._replace(jaxpr=jaxpr), length)
    made_by = {v: e for e in jaxpr.eqns for v in e.outvars}
    instead: dict[Any, Any] = {}
    eqns: list[Any] = []
    renamed = lambda atoms: [a if isinstance(a, core.Literal) else instead.get(a, a) for a in atoms]

    def emit(eqn, invars, shape, params):
        out = core.Var(eqn.outvars[0].aval.update(shape=shape))
        eqns.append(eqn.replace(invars=renamed(invars), outvars=[out], params=eqn.params | params))
        return out

    @functools.cache
    def cut(a, axis, start, stop):
        """The variable a[start:stop] along an axis; None where the loop would have to cut it."""
        shape = (*a.aval.shape[:axis], stop - start, *a.aval.shape[axis + 1 :])
        if shape == a.aval.shape:
            return a
        if where[a] < at:
            sliced = jax.make_jaxpr(lambda a: lax.slice_in_dim(a, start, stop, axis=axis))(a.aval)
            return emit(sliced.eqns[0], [a], shape, {})
        if a not in made_by:  # the carry, or x
            return None
        eqn = made_by[a]
        if is_slice(eqn):
            along, begin, _ = pieces(eqn)[eqn.outvars.index(a)]
            return cut(eqn.invars[0], axis, begin + start, begin + stop) if along == axis else None
        if (rule := needed(eqn, axis, shape)) is None:
            return None
        (axes, params), invars = rule, list(eqn.invars)
        for i, (along, unit) in axes.items():
            v = invars[i]
            if not isinstance(v, core.Literal) and v.aval.ndim and v.aval.shape[along] > 1:  # else the same for all
                invars[i] = cut(v, along, start * unit, stop * unit)
        return None if any(v is None for v in invars) else emit(eqn, invars, shape, params)

    for eqn in jaxpr.eqns:
        if is_slice(eqn) and where[eqn.outvars[0]] == at:
            made = [cut(eqn.invars[0], *piece) for piece in pieces(eqn)]
            if None not in made:
                instead.update(zip(eqn.outvars, made, strict=True))
                continue
        eqns.append(eqn.replace(invars=renamed(eqn.invars)))
    outvars = renamed(jaxpr.outvars)
    eqns = live(eqns, outvars)
    return body._replace(jaxpr=jaxpr.replace(eqns=eqns, outvars=outvars, effects=effects_of(eqns)))


def is_slice(eqn):
    """Whether it cuts along one axis."""
    return (
        eqn.primitive.name in ("slice", "split")
        and len(whole(eqn)) == 1
        and set(eqn.params.get("strides") or [1]) == {1}
    )


def pieces(eqn):
    """(axis, start, stop) of each outcome of a slice or split along one axis."""
    (axis,) = whole(eqn)
    if eqn.primitive.name == "slice":
        return [(axis, eqn.params["start_indices"][axis], eqn.params["limit_indices"][axis])]
    ends = list(itertools.accumulate(eqn.params["sizes"]))
    return [(axis, end - n, end) for n, end in zip(eqn.params["sizes"], ends, strict=True)]


def needed(eqn, axis, shape):
    """What gives a piece of an equation's outcome along an axis: ({operand: (its axis, indices of it for one index)},
    the parameters that change for a piece of this shape); None where there is no such rule."""
    kind, params, before = eqn.primitive.name, eqn.params, [a.aval.shape for a in eqn.invars]
    after = eqn.outvars[0].aval.shape
    if kind in ELEMENTWISE:
        return {i: (axis, 1) for i in range(len(before))}, {}
    if kind == "transpose":
        return {0: (params["permutation"][axis], 1)}, {}
    if kind == "broadcast_in_dim":
        dims = params["broadcast_dimensions"]
        return {0: (dims.index(axis), 1)} if axis in dims else {}, {"shape": shape}
    if kind == "reshape":  # [.. k d] of [.. k * d], along k
        i = next((i for i in range(len(before[0])) if math.prod(before[0][:i]) == math.prod(after[:axis])), None)
        if i is None or before[0][i] % after[axis] or math.prod(before[0][i:]) != math.prod(after[axis:]):
            return None
        return {0: (i, before[0][i] // after[axis])}, {"new_sizes": shape}
    if kind == "dot_general":
        contract, batch = params["dimension_numbers"]
        if axis < len(batch[0]):
            return {k: (batch[k][axis], 1) for k in (0, 1)}, {}
        used = [{*contract[k], *batch[k]} for k in (0, 1)]
        free = [(k, i) for k in (0, 1) for i in range(len(before[k])) if i not in used[k]]
        k, i = free[axis - len(batch[0])]
        return {k: (i, 1)}, {}
    return None
