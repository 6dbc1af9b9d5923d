"""Where each equation of a step is evaluated: once, ahead of the loop, in it, or after it."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.tracing import Body, live

ONCE, AHEAD, LOOP, AFTER = range(4)
BILINEAR = ("dot_general", "conv_general_dilated")
TURNED = "rnn_jax_turned_product"
EXPANDING = ("broadcast_in_dim", "reshape", "convert_element_type", "iota", "squeeze", "not")
ELEMENTWISE = ("add", "sub", "mul", "div", "max", "min", "pow", "atan2", "rem", "select_n", "nextafter", "add_any")
UNARY = ("neg", "exp", "log", "tanh", "logistic", "abs", "integer_pow", "square", "sqrt", "rsqrt", "sign")
GROWN = 4  # so many times larger than what it is made of: it is made in the loop, such as the product of two vectors
# A value computed for all t at once is kept in the loop when its stack is over BUDGET bytes and it is BULKY times
# larger than the carry and x of one step together: a matrix made from x, a softmax over a vocabulary.
BUDGET, BULKY = 2**30, 8


def variables(atoms):
    return [a for a in atoms if not isinstance(a, core.Literal)]


def size(*atoms):
    return sum(math.prod(v.aval.shape) * getattr(v.aval.dtype, "itemsize", 4) for v in variables(atoms))


def is_float(v):
    return jnp.issubdtype(v.aval.dtype, jnp.inexact)


def random_in_batch_differs(eqn):
    """Keys of the rbg kinds draw other numbers under vmap than in a loop, without a word."""
    keys = [
        v.aval.dtype
        for v in [*variables(eqn.invars), *eqn.outvars]
        if jax.dtypes.issubdtype(v.aval.dtype, jax.dtypes.prng_key)
    ]
    return any(str(k) != "key<fry>" for k in keys) or eqn.primitive.name in ("rng_bit_generator", "rng_uniform")


def place(body: Body, length: int):
    """Where each variable of the body is computed, and notes on what had to stay in the loop."""
    jaxpr, notes = body.jaxpr, []
    start = body.n_fixed + body.n_carry
    where = dict.fromkeys(jaxpr.invars[: body.n_fixed], ONCE)
    where |= dict.fromkeys(jaxpr.invars[body.n_fixed : start], LOOP) | dict.fromkeys(jaxpr.invars[start:], AHEAD)
    step_bytes = size(*jaxpr.invars[body.n_fixed :])

    def bulky(eqn):
        out = size(*eqn.outvars)
        return out * length > BUDGET and out > BULKY * step_bytes

    def note(eqn, why):
        notes.append(
            f"{eqn.primitive.name} {list(eqn.outvars[0].aval.shape) if eqn.outvars else ''} stays in the loop: {why}"
        )

    users: dict[Any, list[Any]] = {}
    for eqn in jaxpr.eqns:
        p = max((where[v] for v in variables(eqn.invars)), default=ONCE)
        if eqn.effects:
            p = LOOP
        elif p == AHEAD and random_in_batch_differs(eqn):
            p = LOOP
            note(eqn, "keys of this kind draw other numbers in a batch")
        elif p == AHEAD and bulky(eqn):
            p = LOOP
            note(eqn, f"{size(*eqn.outvars) * length / 2**20:.0f} MiB for all {length} steps at once")
        where |= dict.fromkeys(eqn.outvars, p)
        for v in variables(eqn.invars):
            users.setdefault(v, []).append(eqn)

    feeds = {id(e) for e in live(jaxpr.eqns, jaxpr.outvars[: body.n_carry])}
    tail = [e for e in jaxpr.eqns if e.outvars and where[e.outvars[0]] == LOOP and id(e) not in feeds]
    starts = [e for e in tail if weight_of(e, where) is not None or e.primitive.name == "reshape"]
    if starts:
        late: set[Any] = set()
        for e in tail:
            if any(e is s for s in starts) or any(v in late for v in variables(e.invars)):
                late.update(e.outvars)
        moved = [e for e in tail if e.outvars[0] in late]
        if any(bulky(e) for e in moved):
            note(starts[0], "its values for all steps at once are too large")
        elif not any(random_in_batch_differs(e) for e in moved):
            where |= dict.fromkeys(late, AFTER)

    outputs = set(variables(jaxpr.outvars))
    needed = bytes_needed(jaxpr, where)
    for eqn in reversed(jaxpr.eqns):  # what is small, and large when expanded, is cheaper to expand than to read there
        v = eqn.outvars[0] if eqn.outvars else None
        if v is None or v in outputs or where[v] > AHEAD or not is_cheap(eqn, where):
            continue
        bare = eqn.primitive.name in EXPANDING
        grown = size(v) > size(*eqn.invars) if bare else size(v) >= GROWN * needed[v]
        constant = bare and not variables(eqn.invars)
        read_there = all(where[u.outvars[0]] == LOOP for u in users.get(v, ()) if u.outvars)
        if read_there and (constant or (grown and where[v] == AHEAD)):
            where[v] = LOOP
    return where, notes


def is_cheap(eqn, where) -> bool:
    """Does it take no longer in the loop than before it: no product that sums, nor one with a weight, whose gradient
    would be summed there?"""
    if eqn.primitive.name == "dot_general":
        return not eqn.params["dimension_numbers"][0][0] and all(where[a] == AHEAD for a in variables(eqn.invars))
    return len(eqn.outvars) == 1 and eqn.primitive.name in (*EXPANDING, *ELEMENTWISE, *UNARY)


def bytes_needed(jaxpr, where):
    """Of each variable the bytes known ahead from which it can cheaply be made."""
    needed = {v: size(v) * (p == AHEAD) for v, p in where.items()}
    for eqn in jaxpr.eqns:
        if is_cheap(eqn, where) and where[v := eqn.outvars[0]] == AHEAD:
            needed[v] = min(needed[v], sum(needed[a] for a in set(variables(eqn.invars))))
    return needed


def is_product(eqn) -> bool:
    """Is it bilinear, perhaps with a transposition of the outcome (see `rewriting.with_transpose`)?"""
    return eqn.primitive.name in BILINEAR or eqn.params.get("name") == TURNED


def weight_of(eqn, where):
    """The index of the once operand of a product with a loop value, or None."""
    if not is_product(eqn) or not is_float(eqn.outvars[0]):
        return None
    kinds = [ONCE if isinstance(a, core.Literal) else where[a] for a in eqn.invars[:2]]
    return kinds.index(ONCE) if sorted(kinds) == [ONCE, LOOP] else None


def is_plain(eqn, w) -> bool:
    """Is this the product of rows with a weight, its operand w: [r k] [k m] -> [r m], or the weight transposed?"""
    if w != 1 or eqn.primitive.name != "dot_general" or any(a.aval.ndim != 2 for a in eqn.invars):
        return False
    (contract, batch), types = eqn.params["dimension_numbers"], {v.aval.dtype for v in [*eqn.invars, *eqn.outvars]}
    sums = contract[0] == (1,) and len(contract[1]) == 1 and not batch[0]
    return sums and types in ({jnp.dtype("f4")}, {jnp.dtype("f8")})


def take_in(jaxpr, where):
    """Places products of x that only sums in the loop read in it, and those sums."""
    outputs = set(variables(jaxpr.outvars))
    users: dict[Any, list[Any]] = {}
    for eqn in jaxpr.eqns:
        for v in variables(eqn.invars):
            users.setdefault(v, []).append(eqn)
    for eqn in reversed(jaxpr.eqns):
        places = [ONCE if isinstance(a, core.Literal) else where[a] for a in eqn.invars]
        kind, v = eqn.primitive.name, eqn.outvars[0] if eqn.outvars else None
        fit = kind in ("add", "add_any") or (places == [AHEAD, ONCE] and is_plain(eqn, 1))
        summed = all(u.primitive.name in ("add", "add_any") and where[u.outvars[0]] == LOOP for u in users.get(v, ()))
        if v is not None and where[v] == AHEAD and fit and summed and v not in outputs:
            where[v] = LOOP
