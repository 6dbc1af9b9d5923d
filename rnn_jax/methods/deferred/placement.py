"""Where each equation of a step is evaluated: the plan that method "deferred" carries out, and `explain` tells."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.tracing import Body, flatten, live

ONCE, AHEAD, LOOP, AFTER = range(4)
BILINEAR = ("dot_general", "conv_general_dilated")
EXPANDING = ("broadcast_in_dim", "reshape", "convert_element_type", "iota", "squeeze", "not")
ELEMENTWISE = ("add", "sub", "mul", "div", "max", "min", "pow", "atan2", "rem", "select_n", "nextafter", "add_any")
UNARY = ("neg", "exp", "log", "tanh", "logistic", "abs", "integer_pow", "square", "sqrt", "rsqrt", "sign")
GROWN = 4  # so many times larger than what it is made of: it is made in the loop, such as the product of two vectors
# A value computed for all t at once is kept in the loop when its stack is over BUDGET bytes and it is BULKY times
# larger than the carry and x of one step together: a matrix made from x, a softmax over a vocabulary.
BUDGET, BULKY = 2**30, 8
SPREAD = 4  # see `spread_out`


class Sum(NamedTuple):
    """z = sum(outside) + sum(products) + sum(inner): one stored value and one cotangent for all of its terms."""

    z: core.Var
    products: list[Any]  # bilinear equations
    outside: list[core.Var]  # the terms known before the loop, summed there, in one sum or two (see `group`)
    inner: list[core.Var]  # other loop values


class Plan(NamedTuple):
    body: Body
    where: dict[core.Var, int]
    once: list[Any]  # equations, in order
    ahead: list[Any]
    after: list[Any]
    loop: list[Any]  # equations and Sums, in order
    presums: list[tuple[core.Var, list[Any]]]  # outside terms of a Sum -> their sum
    widened: list[tuple[core.Var, core.Var]]  # (full shape, small): once operands broadcast before the loop
    spread: set[core.Var]  # loop values that are not worth storing
    loop_once: list[core.Var]  # what the loop reads of each place
    loop_ahead: list[core.Var]
    loop_out: list[core.Var]  # loop values that leave it stacked: outputs, and inputs of `after`
    notes: list[str]  # what stays in the loop although it need not, for `explain`
    inside: bool  # are `plain` products, those of x too, and the gradients of their weights, left to the loop?


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


def weight_of(eqn, where):
    """The index of the once operand of a product with a loop value, or None."""
    if eqn.primitive.name not in BILINEAR or not is_float(eqn.outvars[0]):
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


def weight_after(plan: Plan, eqn):
    """The index of the weight of a product whose gradient is taken after the loop, or None."""
    w = weight_of(eqn, plan.where)
    return None if plan.inside and is_plain(eqn, w) else w


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


def make_plan(body: Body, length: int, inside=False) -> Plan:
    jaxpr, _ = flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)
    body = body._replace(jaxpr=jaxpr)
    where, notes = place(body, length)
    if (split := split_concatenations(jaxpr, where)) is not jaxpr:
        jaxpr = split
        body = body._replace(jaxpr=jaxpr)
        where, notes = place(body, length)
    if inside:
        take_in(jaxpr, where)
    by_place: list[list[Any]] = [[], [], [], []]
    for eqn in jaxpr.eqns:
        by_place[where[eqn.outvars[0]] if eqn.outvars else LOOP].append(eqn)
    once, ahead, loop, after = by_place
    widened: list[tuple[core.Var, core.Var]] = []
    loop = [widen(e, where, widened) for e in loop]
    spread = spread_out(loop, where) if jax.default_backend() == "cpu" else set()  # not measured elsewhere yet
    if jax.device_count() == 1:  # else a gradient that is summed in the loop would be an all-reduce in each step
        loop = [e for eqn in loop for e in summed_in_turn(eqn, where, spread)]
    presums: list[tuple[core.Var, list[Any]]] = []
    loop = group(loop, after, jaxpr, where, presums)

    reads = []
    for item in loop:
        if isinstance(item, Sum):
            reads += [*(a for e in item.products for a in e.invars), *item.outside]
        else:
            reads += item.invars
    reads = variables([*reads, *jaxpr.outvars[: body.n_carry]])
    reads_of = lambda p: list(dict.fromkeys(v for v in reads if where[v] == p))
    made_in_loop = [
        v
        for v in variables([*jaxpr.outvars[body.n_carry :], *(v for e in after for v in e.invars)])
        if where[v] == LOOP
    ]
    return Plan(
        body, where, once, ahead, after, loop, presums, widened, spread,
        reads_of(ONCE), reads_of(AHEAD), list(dict.fromkeys(made_in_loop)), notes, inside,
    )  # fmt: skip


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
            if eqn.primitive.name in BILINEAR or eqn.effects:
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
        return eqn.primitive.name in BILINEAR and is_float(eqn.outvars[0])

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
