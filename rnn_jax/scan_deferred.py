"""method="deferred": the fast way to train any step function.

Each equation of the step is placed by what it depends on (see `place`):

    once    params and closed-over arrays only: evaluated once (a Cayley transform, a weight norm)
    ahead   x as well: evaluated for all t at once, before the loop (the input projection becomes one matrix product)
    loop    the carry: this alone stays in `lax.scan`
    after   needs the carry, but no later carry needs it, and a matrix product is in it (an output layer): for all t at
            once, after the loop

The loop has its own backward pass (`jax.custom_vjp`). A sum that holds a product of a loop value with a once weight,
z = x_t + h @ W + b, is a `Sum`. Its value z is what the forward pass stores; the backward pass starts from it,
recomputes the element-wise rest of the step, and hands out dz. After the loop dW = sum_t h_{t-1}^T dz_t is ONE product
over t and b per weight, and the gradient of everything added before the loop is dz itself. Plain autodiff of `lax.scan`
adds to dW in every step (and in a data-parallel program all-reduces it in every step).

Reverse mode of any order works; pure forward mode (jvp) needs method="reference".
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.tracing import Body, effects_of, flatten, live

ONCE, AHEAD, LOOP, AFTER = range(4)
BILINEAR = ("dot_general", "conv_general_dilated")
EXPANDING = ("broadcast_in_dim", "reshape", "convert_element_type", "iota", "squeeze", "not")
ELEMENTWISE = ("add", "sub", "mul", "div", "max", "min", "pow", "atan2", "rem", "select_n", "nextafter", "add_any")
# What is dear to compute and cheap to store: the backward pass reads these values, where arithmetic is all it does.
TRANSCENDENTAL = ("tanh", "logistic", "exp", "exp2", "expm1", "erf", "sqrt", "rsqrt", "cbrt", "pow", "log", "log1p")
ARITHMETIC = ("add", "add_any", "sub", "mul", "div", "neg", "square", "integer_pow")
# A value computed for all t at once is kept in the loop when its stack is over BUDGET bytes and it is BULKY times
# larger than the carry and x of one step together: a matrix made from x, a softmax over a vocabulary.
BUDGET, BULKY = 2**30, 8


class Sum(NamedTuple):
    """z = outside + sum(products) + sum(inner): one stored value and one cotangent for all of its terms."""

    z: core.Var
    products: list[Any]  # bilinear equations
    outside: core.Var | None  # the terms known before the loop, summed there
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
    loop_once: list[core.Var]  # what the loop reads of each place
    loop_ahead: list[core.Var]
    loop_out: list[core.Var]  # loop values that leave it stacked: outputs, and inputs of `after`
    notes: list[str]  # what stays in the loop although it need not, for `explain`


# ---------------------------------------------------------------------------------------------------- placement


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
    starts = [e for e in tail if weight_of(e, where) is not None]
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
    for eqn in reversed(jaxpr.eqns):  # a mask or a constant is cheaper to expand in the loop than to read there
        v = eqn.outvars[0] if eqn.outvars else None
        if v is None or v in outputs or where[v] > AHEAD or eqn.primitive.name not in EXPANDING:
            continue
        stretched = where[v] == AHEAD and size(v) > size(*eqn.invars)
        if (stretched or not variables(eqn.invars)) and all(
            where[u.outvars[0]] == LOOP for u in users.get(v, ()) if u.outvars
        ):
            where[v] = LOOP
    return where, notes


def weight_of(eqn, where):
    """The index of the once operand of a product with a loop value, or None."""
    if eqn.primitive.name not in BILINEAR or not is_float(eqn.outvars[0]):
        return None
    kinds = [ONCE if isinstance(a, core.Literal) else where[a] for a in eqn.invars[:2]]
    return kinds.index(ONCE) if sorted(kinds) == [ONCE, LOOP] else None


def make_plan(body: Body, length: int) -> Plan:
    jaxpr, _ = flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)
    body = body._replace(jaxpr=jaxpr)
    where, notes = place(body, length)
    by_place: list[list[Any]] = [[], [], [], []]
    for eqn in jaxpr.eqns:
        by_place[where[eqn.outvars[0]] if eqn.outvars else LOOP].append(eqn)
    once, ahead, loop, after = by_place
    widened: list[tuple[core.Var, core.Var]] = []
    loop = [widen(e, where, widened) for e in loop]
    presums: list[tuple[core.Var, list[Any]]] = []
    loop = group(loop, after, jaxpr, where, presums)

    reads = []
    for item in loop:
        if isinstance(item, Sum):
            reads += [a for e in item.products for a in e.invars] + ([item.outside] if item.outside else [])
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
        body, where, once, ahead, after, loop, presums, widened,
        reads_of(ONCE), reads_of(AHEAD), list(dict.fromkeys(made_in_loop)), notes,
    )  # fmt: skip


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
        z, total = eqn.outvars[0], None
        if outside:
            total = core.Var(z.aval)
            where[total] = max((where[a] for a in variables(outside)), default=ONCE)
            presums.append((total, outside))
        absorbed.update(id(e) for e in eaten)
        sums[id(eqn)] = Sum(z, products, total, inner)
    return [sums.get(id(e), e) for e in loop if id(e) not in absorbed]


# --------------------------------------------------------------------------------------------------- evaluation


def apply(eqn, args):
    """One equation on the values of its (distinct) variables, as a list."""
    invars = list(dict.fromkeys(variables(eqn.invars)))
    small = _EMPTY.replace(invars=invars, outvars=list(eqn.outvars), eqns=[eqn], effects=eqn.effects)
    return core.jaxpr_as_fun(core.ClosedJaxpr(small, []))(*args)


_EMPTY = jax.make_jaxpr(lambda: ())().jaxpr


def evaluate(eqn, env):
    env.update(zip(eqn.outvars, apply(eqn, [env[v] for v in dict.fromkeys(variables(eqn.invars))]), strict=True))


def one_device():
    """Rows of all steps may be merged into one axis (a faster product on the CPU) only where no batch axis is sharded:
    merging t with a sharded b would gather it. What a traced program will be sharded over is not known here."""
    return jax.device_count() == 1


def product(eqn, operands, stacked):
    """A bilinear equation with one or two of its operands stacked over time."""
    if eqn.primitive.name == "dot_general" and stacked.count(True) == 1 and one_device():
        (contract, batch), s = eqn.params["dimension_numbers"], stacked.index(True)
        rows = operands[s].ndim - 2
        if not batch[0] and contract[s] == (rows,) and (s == 0 or operands[0].ndim == 1 == len(contract[0])):
            lead = operands[s].shape[:-1]
            flat = operands[s].reshape(-1, operands[s].shape[-1])
            dims = (((1,), contract[1 - s]), ((), ()))
            out = lax.dot_general(
                flat, operands[1 - s], dims, precision=eqn.params["precision"],
                preferred_element_type=eqn.params["preferred_element_type"],
            )  # fmt: skip
            return out.reshape(*lead, *out.shape[1:])
    invars = list(dict.fromkeys(variables(eqn.invars)))
    values = {
        v: (o, k) for v, o, k in zip(eqn.invars, operands, stacked, strict=True) if not isinstance(v, core.Literal)
    }
    args, axes = [values[v][0] for v in invars], [0 if values[v][1] else None for v in invars]
    return jax.vmap(lambda *a: apply(eqn, a), in_axes=axes)(*args)[0]


def evaluate_stacked(eqn, env, where):
    """An equation for all t at once; values placed `once` have no time axis."""
    if eqn.primitive.name in BILINEAR and len(set(variables(eqn.invars))) == 2:
        out = product(eqn, [env[v] for v in eqn.invars], [where[v] > ONCE for v in eqn.invars])
        env[eqn.outvars[0]] = out
        return
    invars = list(dict.fromkeys(variables(eqn.invars)))
    axes = [0 if where[v] > ONCE else None for v in invars]
    outs = jax.vmap(lambda *a: apply(eqn, a), in_axes=axes)(*(env[v] for v in invars))
    env.update(zip(eqn.outvars, outs, strict=True))


def add_terms(terms, shape, dtype):
    total = functools.reduce(jnp.add, terms)
    return jnp.broadcast_to(total, shape).astype(dtype)


def run(body: Body, fixed, carry, xs, length: int, reverse: bool):
    """The method: (carry, ys) of `body` over `length` steps, flat lists in and out."""
    if length == 0:
        return carry, [jnp.zeros((0, *v.aval.shape), v.aval.dtype) for v in body.jaxpr.outvars[body.n_carry :]]
    plan = make_plan(body, length)
    where, jaxpr = plan.where, plan.body.jaxpr
    env = dict(zip(jaxpr.invars, [*fixed, *carry, *xs], strict=True))
    for eqn in plan.once:
        evaluate(eqn, env)
    for full, small in plan.widened:
        env[full] = jnp.broadcast_to(env[small], full.aval.shape)
    for eqn in plan.ahead:
        evaluate_stacked(eqn, env, where)
    for total, terms in plan.presums:
        values = [a.val if isinstance(a, core.Literal) else env[a] for a in terms]
        lead = (length,) if where[total] == AHEAD else ()
        env[total] = add_terms(values, (*lead, *total.aval.shape), total.aval.dtype)

    looped = _loop(plan, length, reverse)
    carry, out = looped([env[v] for v in plan.loop_once], [env[v] for v in plan.loop_ahead], list(carry))
    env.update(zip(plan.loop_out, out, strict=True))
    for eqn in plan.after:
        evaluate_stacked(eqn, env, where)

    def stack(a):
        if isinstance(a, core.Literal):
            return jnp.broadcast_to(jnp.asarray(a.val, a.aval.dtype), (length, *a.aval.shape))
        return env[a] if where[a] > ONCE else jnp.broadcast_to(env[a], (length, *a.aval.shape))

    return carry, [stack(a) for a in jaxpr.outvars[body.n_carry :]]


# ------------------------------------------------------------------------------------------------------ the loop


def step_values(plan: Plan, env, saved=None):
    """Evaluates the loop's equations of one step into env. With `saved`, from the values the forward pass stored: each
    Sum is its stored z (through which gradients pass on to its terms), effects are not run again."""
    for item in plan.loop:
        if isinstance(item, Sum):
            pairs = [[a.val if isinstance(a, core.Literal) else env[a] for a in e.invars] for e in item.products]
            if saved is not None:
                env[item.z] = restored(plan, item)(saved[item.z], [env[v] for v in item.inner], pairs)
                continue
            z = [apply(e, [env[v] for v in dict.fromkeys(variables(e.invars))])[0] for e in item.products]
            z += [env[v] for v in ([item.outside] if item.outside else []) + item.inner]
            env[item.z] = functools.reduce(jnp.add, z)
        elif saved is not None and item.effects:
            env.update({v: saved[v] for v in item.outvars})
        else:
            evaluate(item, env)


def restored(plan: Plan, item: Sum):
    """The function (z, inner, operands) -> z whose gradient is that of a sum of products: dz to z itself and to every
    inner term, dz W^T to the operand of a product. A once weight gets its gradient after the loop, not here."""

    @jax.custom_vjp
    def restore(z, inner, pairs):
        return z

    def backward(pairs, dz):
        grads = []
        for eqn, (a, b) in zip(item.products, pairs, strict=True):
            w = weight_of(eqn, plan.where)
            f = lambda a, b, eqn=eqn: apply(eqn, [a, b] if eqn.invars[0] is not eqn.invars[1] else [a])[0]
            if w is None:
                da, db = jax.vjp(lambda a, b: product_of(eqn, a, b), a, b)[1](dz)
                grads.append([da, db])
            elif w == 1:
                grads.append([jax.vjp(lambda a: f(a, b), a)[1](dz)[0], None])
            else:
                grads.append([None, jax.vjp(lambda b: f(a, b), b)[1](dz)[0]])
        return dz, [dz] * len(item.inner), grads

    restore.defvjp(lambda z, inner, pairs: (z, pairs), backward)
    return restore


def product_of(eqn, a, b):
    """A bilinear equation as a function of two operands, also where both are one variable or one is a literal."""
    fresh = [core.Var(v.aval) for v in eqn.invars]
    return apply(eqn.replace(invars=fresh), [a, b])[0]


class Backward(NamedTuple):
    """The backward step, traced: which stored values it needs, and how its outputs are laid out."""

    step: Any  # (once, ahead, carry, kept, dcarry, sums, dout, outs) -> (dcarry, sums, dahead, dz, operands)
    carries: list[int]  # indices of the carry leaves it reads
    kept: list[core.Var]  # z and outputs of effects that it reads
    made: list[core.Var]  # loop values that it reads instead of making them again: gates, and outputs of the loop
    once: list[core.Var]  # float values with a gradient summed in the loop
    ahead: list[core.Var]  # float values with a gradient per step
    sums: list[Sum]  # those whose dz is handed out
    operands: list[core.Var]  # loop values that multiply a once weight, recomputed


def trace_backward(plan: Plan) -> Backward:
    body, where = plan.body, plan.where
    carry_in = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    carry_out = body.jaxpr.outvars[: body.n_carry]
    sums = [s for s in plan.loop if isinstance(s, Sum)]
    outsides = {s.outside for s in sums}
    deferred = [(e, w) for s in sums for e in s.products if (w := weight_of(e, where)) is not None]
    weights_only = {e.invars[w] for e, w in deferred}
    elsewhere = (
        {v for item in plan.loop if not isinstance(item, Sum) for v in variables(item.invars)}
        | set(variables(carry_out))
        | {v for s in sums for e in s.products if weight_of(e, where) is None for v in variables(e.invars)}
    )
    once = [
        v for v in plan.loop_once if is_float(v) and v not in outsides and (v not in weights_only or v in elsewhere)
    ]
    ahead = [v for v in plan.loop_ahead if is_float(v) and (v not in outsides or v in elsewhere)]
    handed = [s for s in sums if s.outside is not None or any(weight_of(e, where) is not None for e in s.products)]
    operands = [e.invars[1 - w] for e, w in deferred]
    operands = [v for v in dict.fromkeys(operands) if v not in carry_in and where[v] == LOOP]
    stored = [s.z for s in sums] + [v for e in plan.loop if not isinstance(e, Sum) and e.effects for v in e.outvars]
    smooth_in, smooth_out = [v for v in carry_in if is_float(v)], [i for i, v in enumerate(carry_out) if is_float(v)]
    smooth_y = [v for v in plan.loop_out if is_float(v)]
    remade = [
        v for item in plan.loop if not isinstance(item, Sum) and not item.effects for v in item.outvars
        if v in plan.loop_out or (item.primitive.name in TRANSCENDENTAL and is_float(v))
    ]  # fmt: skip

    def step(once_values, ahead_values, carry, kept, dcarry, sums_so_far, dy):
        known = dict(zip(plan.loop_once, once_values, strict=True)) | dict(
            zip(plan.loop_ahead, ahead_values, strict=True)
        )
        known |= dict(zip(carry_in, carry, strict=True))
        kept = dict(zip(stored, kept, strict=True))

        def forward(once_smooth, ahead_smooth, carry_smooth, z):
            env = known | dict(zip(once, once_smooth, strict=True)) | dict(zip(ahead, ahead_smooth, strict=True))
            env |= dict(zip(smooth_in, carry_smooth, strict=True))
            step_values(plan, env, kept | dict(zip([s.z for s in sums], z, strict=True)))
            value = lambda a: jnp.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]
            return ([value(carry_out[i]) for i in smooth_out], [env[v] for v in smooth_y]), (
                [env[v] for v in operands],
                [env[v] for v in remade],
            )

        pick = lambda names: [known[v] for v in names]
        _, pull, (us, outs) = jax.vjp(
            forward, pick(once), pick(ahead), pick(smooth_in), [kept[s.z] for s in sums], has_aux=True
        )
        d_once, d_ahead, d_carry, dz = pull((dcarry, dy))
        sums_so_far = [a + d.astype(a.dtype) for a, d in zip(sums_so_far, d_once, strict=True)]
        dz = [d for s, d in zip(sums, dz, strict=True) if any(s is h for h in handed)]
        return (d_carry, sums_so_far, d_ahead, dz, us), outs

    struct = lambda vs: [v.aval for v in vs]
    totals = [v.aval.update(dtype=total_dtype(v)) for v in once]
    args = (
        struct(plan.loop_once), struct(plan.loop_ahead), struct(carry_in), struct(stored),
        struct([carry_out[i] for i in smooth_out]), totals, struct(smooth_y),
    )  # fmt: skip
    leaves, tree = jax.tree.flatten(args)
    out_tree = []

    def flat(*leaves):
        out, outs = step(*jax.tree.unflatten(tree, leaves))
        out_tree.append(jax.tree.structure(out))
        return *jax.tree.leaves(out), *outs

    jaxpr, consts = flatten(jax.make_jaxpr(flat)(*leaves))
    jaxpr, outs = reuse(jaxpr, remade)
    used = {v for e in jaxpr.eqns for v in variables(e.invars)} | set(variables(jaxpr.outvars))
    invars = jax.tree.unflatten(tree, jaxpr.invars[len(consts) : len(consts) + len(leaves)])
    direct = {e.invars[1 - w] for e, w in deferred}
    carries = [i for i, (v, u) in enumerate(zip(carry_in, invars[2], strict=True)) if u in used or v in direct]
    kept = [v for v, u in zip(stored, invars[3], strict=True) if u in used]

    def backward_step(*args):
        """Unread values may be None."""
        filled = jax.tree.leaves(args, is_leaf=lambda a: a is None)
        filled = [0 if a is None else a for a in filled]
        return jax.tree.unflatten(out_tree[-1], core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, []))(*consts, *filled))

    return Backward(backward_step, carries, kept, outs, once, ahead, handed, operands)


def reuse(jaxpr: core.Jaxpr, remade):
    """Makes inputs of values that a backward step would compute again (its last outvars), where it needs them.

    Only for arithmetic: the gradient of a maximum asks which entry equals it, and a stored maximum may differ in the
    last bit from entries that were recomputed by another program.
    """
    n = len(jaxpr.outvars) - len(remade)
    delicate = {v for e in jaxpr.eqns if e.primitive.name not in ARITHMETIC for v in variables(e.invars)}
    made = {v for e in jaxpr.eqns for v in e.outvars} - delicate
    known = {v: (core.Var(v.aval), name) for v, name in zip(jaxpr.outvars[n:], remade, strict=True) if v in made}
    swap = lambda a: known[a][0] if not isinstance(a, core.Literal) and a in known else a
    eqns = [e.replace(invars=list(map(swap, e.invars))) for e in jaxpr.eqns]
    outvars = list(map(swap, jaxpr.outvars[:n]))
    eqns = live(eqns, outvars)
    used = {v for e in eqns for v in variables(e.invars)} | set(variables(outvars))
    known = [k for k in known.values() if k[0] in used]
    invars = [*jaxpr.invars, *(v for v, _ in known)]
    return jaxpr.replace(invars=invars, outvars=outvars, eqns=eqns, effects=effects_of(eqns)), [
        name for _, name in known
    ]


def total_dtype(v):
    """Gradients of half-precision values are summed over time in float32, and cast at the end."""
    return jnp.promote_types(v.aval.dtype, jnp.float32)


def _loop(plan: Plan, length: int, reverse: bool):
    """(once, ahead [t ...], carry) -> (carry, out [t ...]) with its own backward pass."""
    body, where = plan.body, plan.where
    carry_in = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    carry_out = body.jaxpr.outvars[: body.n_carry]
    value = lambda env, a: jnp.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]

    def forward(once, ahead, carry, keep=(), keep_carry=()):
        fixed = dict(zip(plan.loop_once, once, strict=True))

        def step(carry, x):
            env = fixed | dict(zip(plan.loop_ahead, x, strict=True)) | dict(zip(carry_in, carry, strict=True))
            step_values(plan, env)
            stacks = [env[v] for v in plan.loop_out], [env[v] for v in keep], [carry[i] for i in keep_carry]
            return [value(env, a) for a in carry_out], stacks

        return lax.scan(step, carry, ahead, length=length, reverse=reverse)

    @jax.custom_vjp
    def loop(once, ahead, carry):
        carry, (out, _, _) = forward(once, ahead, carry)
        return carry, out

    # A carry that is an output as well is stored once: h_{t-1} is the output of the step before.
    as_output = {i: plan.loop_out.index(v) for i, v in enumerate(carry_out) if v in plan.loop_out}

    def loop_forward(once, ahead, carry):
        back = trace_backward(plan)
        own = [i for i in back.carries if i not in as_output]
        keep = [v for v in dict.fromkeys([*back.kept, *back.made]) if v not in plan.loop_out]
        last, (out, kept, stacks) = forward(once, ahead, carry, keep, own)
        return (last, out), (once, ahead, carry, out, kept, stacks)

    def loop_backward(residuals, cotangents):
        once, ahead, carry, out, kept, stacks = residuals
        d_last, d_out = cotangents
        back = trace_backward(plan)
        own = [i for i in back.carries if i not in as_output]
        carries: list[Any] = [None] * body.n_carry
        for i in back.carries:
            if i in as_output:
                o, first = out[as_output[i]], carry[i][None]
                carries[i] = jnp.concatenate([o[1:], first] if reverse else [first, o[:-1]])
            else:
                carries[i] = stacks[own.index(i)]
        sums = [s for s in plan.loop if isinstance(s, Sum)]
        stored = [s.z for s in sums] + [v for e in plan.loop if not isinstance(e, Sum) and e.effects for v in e.outvars]
        keep = [v for v in dict.fromkeys([*back.kept, *back.made]) if v not in plan.loop_out]
        at_hand = dict(zip(keep, kept, strict=True)) | dict(zip(plan.loop_out, out, strict=True))
        slots = [at_hand[v] if v in back.kept else None for v in stored]
        smooth = lambda vs, values: [d for v, d in zip(vs, values, strict=True) if is_float(v)]
        totals = [jnp.zeros_like(once[plan.loop_once.index(v)], total_dtype(v)) for v in back.once]

        def step(state, x):
            ahead_t, carry_t, kept_t, dy, outs_t = x
            d_carry, totals, *stacked = back.step(once, ahead_t, carry_t, kept_t, *state, dy, outs_t)
            return (d_carry, totals), stacked

        state = smooth(carry_out, d_last), totals
        inputs = ahead, carries, slots, smooth(plan.loop_out, d_out), [at_hand[v] for v in back.made]
        (d_carry, totals), (d_ahead, dz, us) = lax.scan(step, state, inputs, length=length, reverse=not reverse)

        grads: dict[Any, Any] = dict(zip(back.once, totals, strict=True)) | dict(zip(back.ahead, d_ahead, strict=True))

        def add(v, g):
            grads[v] = grads[v] + g if v in grads else g

        operands = dict(zip(back.operands, us, strict=True)) | dict(zip(carry_in, carries, strict=True))
        operands |= dict(zip(plan.loop_ahead, ahead, strict=True))
        for s, d in zip(back.sums, dz, strict=True):
            if s.outside is not None:
                add(s.outside, d if where[s.outside] == AHEAD else jnp.sum(d, 0, dtype=total_dtype(s.z)))
            for eqn in s.products:
                w = weight_of(eqn, where)
                if w is not None:
                    add(eqn.invars[w], weight_gradient(eqn, w, operands[eqn.invars[1 - w]], d))
        cast = lambda v: grads[v].astype(v.aval.dtype) if v in grads else None
        d_smooth = iter(d_carry)
        d_first = [next(d_smooth) if is_float(v) else None for v in carry_in]
        return [cast(v) for v in plan.loop_once], [cast(v) for v in plan.loop_ahead], d_first

    loop.defvjp(loop_forward, loop_backward)
    return loop


def weight_gradient(eqn, w, u, dz):
    """dW = sum_t u_t^T dz_t, one product over t and b; in float32 for half-precision operands."""
    weight = eqn.invars[w].aval
    wide = jnp.promote_types(weight.dtype, jnp.float32)
    if wide != weight.dtype:
        u, dz = u.astype(wide), dz.astype(wide)
        params = eqn.params | {"preferred_element_type": None}
        fresh = [core.Var(v.aval.update(dtype=wide)) for v in eqn.invars]
        eqn = eqn.replace(params=params, invars=fresh, outvars=[core.Var(eqn.outvars[0].aval.update(dtype=wide))])
    else:
        eqn = eqn.replace(invars=[core.Var(v.aval) for v in eqn.invars])  # two operands, whatever they were named
    pair = lambda weight: [u, weight] if w == 1 else [weight, u]
    stacked = [i != w for i in range(2)]
    return jax.linear_transpose(lambda weight: product(eqn, pair(weight), stacked), weight.update(dtype=wide))(dz)[0]
