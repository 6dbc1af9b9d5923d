"""Where the values of a loop lie in memory. Slices, transposes and broadcasts are places too, and cost nothing."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import itertools
from typing import Any, NamedTuple

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
    """(equations, outputs) with those of the calls that it holds."""
    env = dict(zip(jaxpr.invars, jaxpr.invars if args is None else args, strict=True))
    read = lambda a: a if isinstance(a, core.Literal) else env[a]
    eqns = []
    for eqn in jaxpr.eqns:
        read_here = [read(a) for a in eqn.invars]
        if (inside := called(eqn)) is not None:
            more, outs = inlined(inside, read_here)
            eqns += more
        else:
            outs = [core.Var(v.aval) for v in eqn.outvars]
            eqns.append(eqn.replace(invars=read_here, outvars=outs))
        env.update(zip(eqn.outvars, outs, strict=True))
    return eqns, [read(a) for a in jaxpr.outvars]


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
