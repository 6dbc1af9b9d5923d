"""Where the values of a loop lie in memory. Slices, transposes and broadcasts are places too, and cost nothing."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.fused.axes import called

VIEWS = ("slice", "split", "rev", "transpose", "squeeze", "broadcast_in_dim")


class Place(NamedTuple):
    """Where a value lies: at base[offset + sum_i index_i * strides_i]."""

    base: str
    offset: int
    strides: tuple[int, ...]

    def at(self, index):
        terms = [f"{i} * {s}" if s != 1 else i for i, s in zip(index, self.strides, strict=True) if s]
        return f"{self.base}[{' + '.join([*terms, *([str(self.offset)] if self.offset or not terms else [])])}]"


def dense(shape, first=None) -> tuple[int, ...]:
    """Strides of an array without gaps; `first`: the axis that is outermost in memory."""
    order = list(range(len(shape)))
    if first is not None:
        order.insert(0, order.pop(first))
    strides, step = [0] * len(shape), 1
    for i in reversed(order):
        strides[i], step = step, step * shape[i]
    return tuple(strides)


def inlined(jaxpr: core.Jaxpr, args=None) -> tuple[list[Any], list[Any]]:
    """(equations, outputs) with those of the calls that it holds, and of what is written in other equations."""
    env = dict(zip(jaxpr.invars, jaxpr.invars if args is None else args, strict=True))
    read = lambda a: a if isinstance(a, core.Literal) else env[a]
    eqns = []
    for eqn in jaxpr.eqns:
        read_here = [read(a) for a in eqn.invars]
        if (inside := called(eqn) or multiplied(eqn) or tiled(eqn)) is not None:
            more, outs = inlined(inside, read_here)
            eqns += more
        else:
            outs = [core.Var(v.aval) for v in eqn.outvars]
            eqns.append(eqn.replace(invars=read_here, outvars=outs))
        env.update(zip(eqn.outvars, outs, strict=True))
    return eqns, [read(a) for a in jaxpr.outvars]


def multiplied(eqn):
    """A product that sums nothing, of two vectors say, as equations that map over each index; or None."""
    if eqn.primitive.name != "dot_general":
        return None
    (contract, batch), out = eqn.params["dimension_numbers"], eqn.outvars[0].aval
    if contract[0] or {a.aval.dtype for a in eqn.invars} != {out.dtype}:
        return None
    dims, at = [], len(batch[0])
    for a, m in zip(eqn.invars, batch, strict=True):
        free = [i for i in range(a.aval.ndim) if i not in m]
        place = dict(zip(m, range(len(m)), strict=True)) | dict(zip(free, itertools.count(at), strict=False))
        dims.append([place[i] for i in range(a.aval.ndim)])
        at += len(free)
    in_order = lambda a, dims: jnp.transpose(a, sorted(range(a.ndim), key=dims.__getitem__))  # broadcast_in_dim wants
    wide = lambda a, dims: lax.broadcast_in_dim(in_order(a, dims), out.shape, sorted(dims))
    return jax.make_jaxpr(lambda a, b: wide(a, dims[0]) * wide(b, dims[1]))(*(a.aval for a in eqn.invars)).jaxpr


def tiled(eqn):
    """Copies side by side, as a broadcast, or None."""
    if eqn.primitive.name != "tile":
        return None
    a, reps = eqn.invars[0].aval, eqn.params["reps"]
    shape = [n for r, size in zip(reps, a.shape, strict=True) for n in ((r, size) if r > 1 else (size,))]
    ends = itertools.accumulate(1 + (r > 1) for r in reps)
    wide = lambda a: lax.broadcast_in_dim(a, shape, [end - 1 for end in ends])
    return jax.make_jaxpr(lambda a: jnp.reshape(wide(a), eqn.outvars[0].aval.shape))(a).jaxpr


def once(eqns, outs) -> tuple[list[Any], list[Any]]:
    """The equations without those that were there already, of the same values: (equations, outputs)."""
    same: dict[Any, Any] = {}  # a value that is another one -> that
    made: dict[Any, list[Any]] = {}
    read = lambda a: a if isinstance(a, core.Literal) else same.get(a, a)
    known = lambda a: (repr(a.val), a.aval.dtype) if isinstance(a, core.Literal) else a
    kept = []
    for e in eqns:
        e = e.replace(invars=[read(a) for a in e.invars])
        try:
            found = made.setdefault((e.primitive, *map(known, e.invars), frozenset(e.params.items())), e.outvars)
        except TypeError:  # parameters that cannot be compared
            found = e.outvars
        same.update(zip(e.outvars, found, strict=True))
        if found is e.outvars:
            kept.append(e)
    return kept, [read(a) for a in outs]


def indices(v) -> list[str]:
    """The names of the indices of a value in the loops over it."""
    return [f"i{i}" for i in range(v.aval.ndim)]


def viewed(e, place: Place) -> list[Place]:
    """The places of what an equation of VIEWS makes of a value."""
    params, shape, strides = e.params, e.invars[0].aval.shape, place.strides
    kind = e.primitive.name
    if kind == "slice":
        offset = sum(i * s for i, s in zip(params["start_indices"], strides, strict=True))
        steps = params["strides"] or (1,) * len(shape)
        return [Place(place.base, place.offset + offset, tuple(s * k for s, k in zip(strides, steps, strict=True)))]
    if kind == "split":
        return parts(place, params["axis"], params["sizes"])
    if kind == "rev":
        offset = sum((shape[i] - 1) * strides[i] for i in params["dimensions"])
        turned = tuple(-s if i in params["dimensions"] else s for i, s in enumerate(strides))
        return [Place(place.base, place.offset + offset, turned)]
    if kind == "transpose":
        return [place._replace(strides=tuple(strides[i] for i in params["permutation"]))]
    if kind == "squeeze":
        return [place._replace(strides=tuple(s for i, s in enumerate(strides) if i not in params["dimensions"]))]
    wide = [0] * e.outvars[0].aval.ndim
    for i, k in enumerate(params["broadcast_dimensions"]):
        wide[k] = strides[i] if shape[i] == e.outvars[0].aval.shape[k] else 0
    return [place._replace(strides=tuple(wide))]


def parts(place: Place, axis: int, sizes) -> list[Place]:
    """Of a value that is cut along an axis, or put together from what has these sizes."""
    ends = itertools.accumulate(sizes, initial=0)
    return [place._replace(offset=place.offset + at * place.strides[axis]) for at, _ in zip(ends, sizes, strict=False)]
