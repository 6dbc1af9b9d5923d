"""Products with weights of more than two axes as products of matrices, which a loop of machine code takes with their
weight gradients: those of heads, h_m @ W_m, side by side, and those of several gates at once as of one wide matrix."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.placement import ONCE, variables
from rnn_jax.methods.deferred.rewriting import spliced
from rnn_jax.tracing import effects_of, live

MOST = 32  # heads: each has a product of its own


def as_matrices(jaxpr: core.Jaxpr, where) -> core.Jaxpr:
    """The jaxpr with such products, and sums of them, as matrices [b m*k] that are seen as [b m k] after that."""
    if not any(of_heads(e, where) or is_wide(e, where) for e in jaxpr.eqns):
        return jaxpr
    matrices = Matrices()
    for eqn in jaxpr.eqns:
        matrices.add(eqn, where)
    outvars = [matrices.taken(a) for a in jaxpr.outvars]
    eqns = live(matrices.eqns, outvars)
    return jaxpr.replace(eqns=eqns, outvars=outvars, effects=effects_of(eqns))


class Matrices:
    """The equations so far, and the values [b m k] of which there is a matrix [b m*k]."""

    def __init__(self):
        self.eqns: list[Any] = []
        self.flat: dict[Any, Any] = {}  # a value, and its matrix
        self.across: dict[Any, Any] = {}  # the same of values [m b k]
        self.emitted: set[Any] = set()

    def make(self, f, atoms, like, *shape):
        """The outcome of f on these values, of the type of `like`."""
        out = core.Var(like.aval.update(shape=shape))
        self.eqns += spliced(f, atoms, out)
        return out

    def taken(self, a):
        """The value itself."""
        if isinstance(a, core.Literal):
            return a
        known = self.across if a in self.across else self.flat
        if a in known and a not in self.emitted:
            self.emitted.add(a)
            shape, axes = a.aval.shape, (0, 1, 2)
            if known is self.across:
                shape, axes = (shape[1], shape[0], shape[2]), (1, 0, 2)
            self.eqns += spliced(lambda c: c.reshape(shape).transpose(axes), [known[a]], a)
        return a

    def add(self, eqn, where):
        kind = eqn.primitive.name
        if of_heads(eqn, where):
            self.side_by_side(eqn)
        elif is_wide(eqn, where):
            self.widely(eqn)
        elif kind == "transpose" and eqn.invars[0] in self.across and eqn.params["permutation"] == (1, 0, 2):
            self.flat[eqn.outvars[0]] = self.across[eqn.invars[0]]
        elif not (kind in ("add", "add_any") and self.summed(eqn)):
            self.eqns.append(eqn.replace(invars=[self.taken(a) for a in eqn.invars]))

    def side_by_side(self, eqn):
        """Heads: a product of each, and their outcomes as one matrix."""
        (a, w), ((c_a, c_w), (m_a, m_w)), out = eqn.invars, eqn.params["dimension_numbers"], eqn.outvars[0]
        m, b, k = out.aval.shape
        axes_a = [*(i for i in range(3) if i not in (*c_a, *m_a)), *m_a, *c_a]
        axes_w = [*c_w, *m_w, *(i for i in range(3) if i not in (*c_w, *m_w))]
        each = lambda a, axes: [p.squeeze(1) for p in jnp.split(a.transpose(axes), m, 1)]

        def products(a, w):
            pairs = zip(each(a, axes_a), each(w, axes_w), strict=True)
            return jnp.concatenate([lax.dot(a, w, **kind_of(eqn)) for a, w in pairs], 1)

        self.across[out] = self.make(products, [self.taken(a), w], out, b, m * k)

    def widely(self, eqn):
        """The product with a weight of three axes as with a matrix."""
        (a, w), ((c,), (c_w,)), out = eqn.invars, eqn.params["dimension_numbers"][0], eqn.outvars[0]
        n, (b, m, k) = w.aval.shape[c_w], out.aval.shape
        matrix = self.make(lambda w: jnp.moveaxis(w, c_w, 0).reshape(n, m * k), [w], w, n, m * k)
        product = lambda a, w: lax.dot_general(a, w, (((c,), (0,)), ((), ())), **kind_of(eqn))
        self.flat[out] = self.make(product, [self.taken(a), matrix], out, b, m * k)

    def summed(self, eqn) -> bool:
        """Adds matrices, where a term is one and the others can be. False where none is."""
        out, arrays = eqn.outvars[0], variables(eqn.invars)
        if self.flat.keys().isdisjoint(arrays) or any(a.aval.shape[1:] != out.aval.shape[1:] for a in arrays):
            return False
        b, m, k = out.aval.shape

        def matrix(a):
            if isinstance(a, core.Literal):
                return a
            if a in self.flat:
                return self.flat[a]
            return self.make(lambda c: c.reshape(len(c), m * k), [self.taken(a)], a, a.aval.shape[0], m * k)

        self.flat[out] = core.Var(out.aval.update(shape=(b, m * k)))
        self.eqns.append(eqn.replace(invars=[matrix(a) for a in eqn.invars], outvars=[self.flat[out]]))
        return True


def kind_of(eqn):
    return {key: eqn.params[key] for key in ("precision", "preferred_element_type")}


def by_weight(eqn, where) -> bool:
    """Is it a product of what is known at a step with a weight, of one axis, in one type?"""
    if eqn.primitive.name != "dot_general" or len(variables(eqn.invars)) < 2:
        return False
    types = {v.aval.dtype for v in [*eqn.invars, *eqn.outvars]}
    places, (contract, _) = [where[a] for a in eqn.invars], eqn.params["dimension_numbers"]
    return places[1] == ONCE < places[0] and len(contract[0]) == 1 and types in ({jnp.dtype("f4")}, {jnp.dtype("f8")})


def of_heads(eqn, where) -> bool:
    """Is it h_m @ W_m, [m b k] of [b m j] and [m j k] in any order?"""
    if not by_weight(eqn, where) or len(eqn.params["dimension_numbers"][1][0]) != 1:
        return False
    return all(a.aval.ndim == 3 for a in eqn.invars) and eqn.outvars[0].aval.shape[0] <= MOST


def is_wide(eqn, where) -> bool:
    """Is it [b n] by a weight of n and two more axes?"""
    if not by_weight(eqn, where) or eqn.params["dimension_numbers"][1][0]:
        return False
    return [a.aval.ndim for a in eqn.invars] == [2, 3]
