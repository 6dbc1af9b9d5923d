"""Products with rows first, h @ W, however they are written: as W @ h of one sample under vmap, as an einsum."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import functools
from collections import Counter
from typing import Any

import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.placement import AHEAD, ELEMENTWISE, LOOP, ONCE, UNARY, variables
from rnn_jax.methods.deferred.rewriting import spliced
from rnn_jax.tracing import effects_of, live

MAPS = frozenset(
    (*ELEMENTWISE, *UNARY, "convert_element_type", "clamp", "eq", "ne", "lt", "le", "gt", "ge", "and", "or")
)
DROP = {"squeeze": "dimensions", "reduce_sum": "axes", "reduce_max": "axes", "reduce_min": "axes"}


def rows_first(jaxpr: core.Jaxpr, where) -> core.Jaxpr:
    """The jaxpr where W @ h is transpose(h @ transpose(W)), and transpositions are taken as late as they can be, if at
    all: products read their operands along any axis, what maps over each number does so before it, and of two in turn
    one is left, or none. As it was where that leaves more of them, as of a state that has its rows last."""
    rewriting = Rewriting(where)
    for eqn in jaxpr.eqns:
        rewriting.add(eqn)
    outvars = [rewriting.taken(a) for a in jaxpr.outvars]
    eqns = live(rewriting.eqns, outvars)
    before, after = (transposed(equations, jaxpr.invars, where) for equations in (jaxpr.eqns, eqns))
    if after > before or not (any(before) or any(weight_first(e, where) for e in jaxpr.eqns)):
        return jaxpr
    return jaxpr.replace(eqns=eqns, outvars=outvars, effects=effects_of(eqns))


def transposed(eqns, invars, where) -> tuple[int, int]:
    """How many values the equations transpose, of the loop and of x."""
    places, count = {v: where[v] for v in invars}, Counter()
    for e in eqns:
        place = max((places[v] for v in variables(e.invars)), default=ONCE)
        places |= dict.fromkeys(e.outvars, place)
        count[place] += e.primitive.name == "transpose"
    return count[LOOP], count[AHEAD]


def weight_first(eqn, where) -> bool:
    """Is it the product of a value known before all steps with one that is not?"""
    if eqn.primitive.name != "dot_general":
        return False
    first, second = (ONCE if isinstance(a, core.Literal) else where[a] for a in eqn.invars)
    return first == ONCE < second


class Rewriting:
    """The equations so far, and of some values v the pair (u, axes): v is u.transpose(axes), which is not yet taken."""

    def __init__(self, where):
        self.where, self.eqns = where, []
        self.views: dict[Any, tuple[Any, tuple[int, ...]]] = {}
        self.made_by: dict[Any, Any] = {}
        self.emitted: set[Any] = set()

    def view(self, a):
        return self.views.get(a, (a, tuple(range(a.aval.ndim))))

    def taken(self, a):
        """The value itself."""
        if isinstance(a, core.Literal) or a not in self.views:
            return a
        u, axes = self.views[a]
        if axes == tuple(range(len(axes))):
            return u
        if a not in self.emitted:
            self.emitted.add(a)
            self.eqns += spliced(functools.partial(jnp.transpose, axes=axes), [u], a)
        return a

    def emit(self, eqn, invars, outvars, axes, params):
        """An equation on what its operands are views of; its outcomes are views of outvars along these axes."""
        self.eqns.append(eqn.replace(invars=invars, outvars=outvars, params=eqn.params | params))
        self.views |= {v: (u, axes) for v, u in zip(eqn.outvars, outvars, strict=True)}

    def add(self, eqn):
        kind = eqn.primitive.name
        self.made_by |= dict.fromkeys(eqn.outvars, eqn)
        if kind == "transpose":
            u, axes = self.view(eqn.invars[0])
            self.views[eqn.outvars[0]] = u, tuple(axes[i] for i in eqn.params["permutation"])
        elif kind == "dot_general" and not any(isinstance(a, core.Literal) for a in eqn.invars):
            self.product(eqn)
        elif not (kind in (*MAPS, *DROP, "split", "slice", "concatenate") and self.before(eqn, kind)):
            self.eqns.append(eqn.replace(invars=[self.taken(a) for a in eqn.invars]))

    def product(self, eqn):
        """Reads operands along the axes of what they are views of; a weight comes second."""
        pairs = list(zip(eqn.invars, *eqn.params["dimension_numbers"], strict=True))
        for i, (a, contract, batch) in enumerate(pairs):
            u, axes = self.view(a)
            free = [axes[k] for k in range(len(axes)) if k not in (*contract, *batch)]
            if free == sorted(free):
                pairs[i] = u, tuple(axes[k] for k in contract), tuple(axes[k] for k in batch)
            else:
                pairs[i] = self.taken(a), contract, batch
        out = eqn.outvars[0]
        axes, turned = tuple(range(out.aval.ndim)), out
        if weight_first(eqn, self.where):
            n = len(pairs[0][2])
            columns = len(pairs[0][0].aval.shape) - n - len(pairs[0][1])
            rows = out.aval.ndim - n - columns
            axes = (*range(n), *range(n + rows, n + rows + columns), *range(n, n + rows))
            pairs.reverse()
            turned = like(out, axes)
        operands, contract, batch = zip(*pairs, strict=True)
        self.emit(eqn, list(operands), [turned], axes, {"dimension_numbers": (contract, batch)})

    def before(self, eqn, kind) -> bool:
        """Puts an equation before the transposition that its operands have in common. False where they have none."""
        arrays = [a for a in variables(eqn.invars) if a.aval.ndim]
        lasting = [self.view(a)[1] for a in arrays if not self.is_wide(a)]
        axes = lasting[0] if lasting else ()
        if axes == tuple(range(len(axes))) or len(set(lasting)) > 1:
            return False
        params = {k: axes[eqn.params[k]] for k in ("axis", "dimension") if k in eqn.params}
        left = axes
        if kind in DROP:
            dropped = eqn.params[DROP[kind]]
            params = {DROP[kind]: tuple(sorted(axes[i] for i in dropped))}
            kept = [k for i, k in enumerate(axes) if i not in dropped]
            left = tuple(sorted(kept).index(k) for k in kept)
        elif kind == "slice":
            names = [k for k in ("start_indices", "limit_indices", "strides") if eqn.params[k] is not None]
            params = {k: tuple(eqn.params[k][axes.index(i)] for i in range(len(axes))) for k in names}
        invars = [self.along(a, axes) if a in arrays else a for a in eqn.invars]
        self.emit(eqn, invars, [like(v, left) for v in eqn.outvars], left, params)
        return True

    def is_wide(self, a) -> bool:
        """Is it a smaller value, broadcast? Along which axes matters little."""
        e = self.made_by.get(a)
        return e is not None and e.primitive.name == "broadcast_in_dim" and a not in self.views

    def along(self, a, axes):
        """u, of which a is the view along these axes."""
        if not self.is_wide(a):
            return self.view(a)[0]
        e = self.made_by[a]
        small = self.taken(e.invars[0])
        dims = [axes[i] for i in e.params["broadcast_dimensions"]]
        order = sorted(range(len(dims)), key=dims.__getitem__)
        if order != sorted(order):
            turned = core.Var(small.aval.update(shape=tuple(small.aval.shape[i] for i in order)))
            self.eqns += spliced(functools.partial(jnp.transpose, axes=order), [small], turned)
            small = turned
        wide = like(a, axes)
        params = {"shape": wide.aval.shape, "broadcast_dimensions": tuple(sorted(dims))}
        self.eqns.append(e.replace(invars=[small], outvars=[wide], params=e.params | params))
        return wide


def like(v, axes):
    """A variable u, where v is u.transpose(axes)."""
    return core.Var(v.aval.update(shape=tuple(v.aval.shape[axes.index(i)] for i in range(len(axes)))))
