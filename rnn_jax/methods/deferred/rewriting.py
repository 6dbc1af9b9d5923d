"""Equations of the loop, rewritten for a fast backward pass: products of concatenations taken apart, sums gathered."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply
from rnn_jax.methods.deferred.placement import (
    AHEAD,
    BILINEAR,
    BULKY,
    ELEMENTWISE,
    LOOP,
    ONCE,
    TURNED,
    is_float,
    is_product,
    size,
    variables,
    weight_of,
)  # fmt: skip
from rnn_jax.tracing import live

SPREAD = 4  # see `spread_out`


class Sum(NamedTuple):
    """z = sum(outside) + sum(products) + sum(inner): one stored value and one cotangent for all of its terms."""

    z: core.Var
    products: list[Any]  # bilinear equations
    outside: list[core.Var]  # the terms known before the loop, summed there, in one sum or two (see `group`)
    inner: list[core.Var]  # other loop values


def split_concatenations(jaxpr, where):
    """concat([x, h]) @ W as x @ W_x + h @ W_h, where x is known ahead of the loop and h is not."""
    made_by = {e.outvars[0]: e for e in jaxpr.eqns if e.primitive.name == "concatenate"}
    eqns = []
    for eqn in jaxpr.eqns:
        parts = [made_by.get(a) if not isinstance(a, core.Literal) else None for a in eqn.invars]
        w = weight_of(eqn, where) if eqn.primitive.name == "dot_general" else None
        joined = None if w is None else parts[1 - w]
        if w is None or joined is None or len({where[v] == LOOP for v in variables(joined.invars)}) == 1:
            eqns.append(eqn)
            continue
        (contract, _), axis = eqn.params["dimension_numbers"], joined.params["dimension"]
        if contract[1 - w] != (axis,):
            eqns.append(eqn)
            continue

        def apart(weight, *parts, eqn=eqn, w=w, along=contract[w][0], axis=axis):
            ends = list(itertools.accumulate(p.shape[axis] for p in parts))
            pieces = [
                lax.slice_in_dim(weight, end - p.shape[axis], end, axis=along)
                for p, end in zip(parts, ends, strict=True)
            ]
            kwargs = {k: eqn.params[k] for k in ("precision", "preferred_element_type")}
            dims = eqn.params["dimension_numbers"]
            pairs = zip(parts, pieces, strict=True) if w == 1 else zip(pieces, parts, strict=True)
            terms = [lax.dot_general(a, b, dims, **kwargs) for a, b in pairs]
            return functools.reduce(jnp.add, terms)

        eqns += spliced(apart, [eqn.invars[w], *joined.invars], eqn.outvars[0])
    if len(eqns) == len(jaxpr.eqns):
        return jaxpr
    return jaxpr.replace(eqns=live(eqns, jaxpr.outvars))


def spliced(f, atoms, outvar):
    """The equations of f on these atoms, that make `outvar`."""
    small = jax.make_jaxpr(f)(*(a.aval for a in atoms)).jaxpr
    env = dict(zip(small.invars, atoms, strict=True)) | {small.outvars[0]: outvar}
    eqns = []
    for e in small.eqns:
        read = [a if isinstance(a, core.Literal) else env[a] for a in e.invars]
        eqns.append(e.replace(invars=read, outvars=[env.setdefault(v, core.Var(v.aval)) for v in e.outvars]))
    return eqns


def widen(eqn, where, widened):
    """A small once operand of an element-wise loop equation is broadcast first, so that its gradient keeps the batch
    axis inside the loop: summing over a sharded batch there would be an all-reduce in every step."""
    if eqn.primitive.name not in ELEMENTWISE or not eqn.outvars:
        return eqn
    out, invars = eqn.outvars[0].aval, list(eqn.invars)
    for i, a in enumerate(invars):
        if not isinstance(a, core.Literal) and where[a] == ONCE and is_float(a) and a.aval.shape != out.shape:
            full = core.Var(a.aval.update(shape=out.shape))
            widened.append((full, a))
            where[full] = ONCE
            invars[i] = full
    return eqn.replace(invars=invars)


def spread_out(loop, where) -> set[Any]:
    """Loop values SPREAD times larger than the products, carry and x that they are made of without another product: in
    additive attention tanh(W_q q + W_k k_j), for all keys. Cheaper made again than stored for all t.

    Measured with `layout.sum_by_product` and the keys of each row side by side, 2026-11-28, jax 0.10.2, 2 CPU cores of
    an Intel: the gradient of 64 captions of 15 words under attention to 49 positions, width 384, in 0.70 of the time.
    "reference" takes 2.1 times as long (1.5 before)."""
    made_of: dict[Any, set[Any]] = {}
    found: set[Any] = set()
    for eqn in loop:
        read = [v for v in variables(eqn.invars) if where[v] > ONCE]
        sources = {s for v in read for s in made_of.get(v, {v})}
        for v in eqn.outvars:
            if is_product(eqn) or eqn.effects:
                made_of[v] = {v}
                continue
            made_of[v] = sources
            if size(v) > SPREAD * size(*sources):
                found.add(v)
    return found


def summed_in_turn(eqn, where, spread) -> list[Any]:
    """A product of a spread-out value with a smaller weight, tanh(...) @ v, reads the weight as a loop value: its
    gradient is then summed step by step, and there is no stack of such operands."""
    w = weight_of(eqn, where)
    if w is None or eqn.invars[1 - w] not in spread or size(eqn.invars[1 - w]) <= BULKY * size(eqn.invars[w]):
        return [eqn]
    weight, read = eqn.invars[w], core.Var(eqn.invars[w].aval)
    where[read] = LOOP
    invars = [read if i == w else a for i, a in enumerate(eqn.invars)]
    return [*spliced(jnp.copy, [weight], read), eqn.replace(invars=invars)]


def with_transpose(product, transpose):
    """A product and the transposition of it, as one equation."""

    both = lambda *args: apply(transpose, apply(product, args))[0]
    both.__name__ = TURNED
    args = list(dict.fromkeys(variables(product.invars)))
    eqn = jax.make_jaxpr(jax.jit(both))(*(v.aval for v in args)).eqns[0]
    return eqn.replace(invars=args, outvars=transpose.outvars)


def in_type(product, dtype):
    """A product of numbers of another type."""
    if product.primitive.name in BILINEAR:
        cast = lambda v: core.Var(v.aval.update(dtype=dtype))
        params = product.params | {"preferred_element_type": None}
        return product.replace(
            params=params, invars=[*map(cast, product.invars)], outvars=[*map(cast, product.outvars)]
        )
    first, transpose = product.params["jaxpr"].jaxpr.eqns
    first = in_type(first, dtype)
    outvars = [core.Var(v.aval.update(dtype=dtype)) for v in transpose.outvars]
    return with_transpose(first, transpose.replace(invars=first.outvars, outvars=outvars))


def group(loop, after, jaxpr, where, presums):
    """Gathers products and the sums around them."""
    made_by = {e.outvars[0]: e for e in loop if len(e.outvars) == 1}
    uses: dict[Any, int] = {}
    for v in variables([*(a for e in [*loop, *after] for a in e.invars), *jaxpr.outvars]):
        uses[v] = uses.get(v, 0) + 1
    sums, absorbed = {}, set()

    def is_sum(eqn):
        shapes = [a.aval.shape for a in variables(eqn.invars) if where[a] == LOOP]
        return eqn.primitive.name in ("add", "add_any") and all(s == eqn.outvars[0].aval.shape for s in shapes)

    def product(eqn):
        return is_product(eqn) and is_float(eqn.outvars[0])

    def turned(eqn):
        """The product that this equation transposes and nothing else reads, or None."""
        made = made_by.get(eqn.invars[0]) if eqn.primitive.name == "transpose" and uses[eqn.invars[0]] == 1 else None
        return made if made is not None and product(made) and len(set(variables(made.invars))) == 2 else None

    def terms(eqn):
        """(products, outside, inner, absorbed equations) of a sum, through the sums that only it uses."""
        products, outside, inner, eaten = [], [], [], []
        for a in eqn.invars:
            source = None if isinstance(a, core.Literal) or uses[a] > 1 else made_by.get(a)
            if isinstance(a, core.Literal) or where[a] < LOOP:
                outside.append(a)
            elif source is not None and product(source):
                products.append(source)
                eaten.append(source)
            elif source is not None and (first := turned(source)) is not None:
                products.append(with_transpose(first, source))
                eaten += [first, source]
            elif source is not None and is_sum(source):
                for mine, more in zip((products, outside, inner, eaten), terms(source), strict=True):
                    mine += more
                eaten.append(source)
            else:
                inner.append(a)
        return products, outside, inner, eaten

    for eqn in reversed(loop):
        if id(eqn) in absorbed or not eqn.outvars or not is_float(eqn.outvars[0]):
            continue
        products, outside, inner, eaten = terms(eqn) if is_sum(eqn) else ([], [], [], [])
        if product(eqn):
            products = [eqn]
        if not products:
            continue
        z, totals = eqn.outvars[0], []
        place_of = lambda a: ONCE if isinstance(a, core.Literal) else where[a]
        # A bias is added within the loop: to add it to all t before the loop is a pass over [t b d] of its own, on a
        # CPU 2 to 4 % of an LSTM's gradient. On a GPU that pass may be part of the product, and was measured so.
        for places in [(AHEAD,), (ONCE,)] if jax.default_backend() == "cpu" else [(AHEAD, ONCE)]:
            if known := [a for a in outside if place_of(a) in places]:
                total = core.Var(z.aval)
                where[total] = max(map(place_of, known))
                totals.append(total)
                presums.append((total, known))
        absorbed.update(id(e) for e in eaten)
        sums[id(eqn)] = Sum(z, products, totals, inner)
    return [sums.get(id(e), e) for e in loop if id(e) not in absorbed]
