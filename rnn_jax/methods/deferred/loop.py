"""The loop, with a backward pass of its own in which no weight gradient is summed step by step."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import custom_derivatives, lax
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply, evaluate, product
from rnn_jax.methods.deferred.layout import (
    by_columns,
    is_turned,
    multiply,
    sum_by_product,
    sum_over_time,
    turn,
    turn_products,
)
from rnn_jax.methods.deferred.placement import AHEAD, LOOP, Plan, Sum, is_float, variables, weight_after, weight_of
from rnn_jax.tracing import effects_of, flatten, live, vary

# What is dear to compute and cheap to store: the backward pass reads these values, where arithmetic is all it does and
# they are not spread out.
TRANSCENDENTAL = ("tanh", "logistic", "exp", "exp2", "expm1", "erf", "sqrt", "rsqrt", "cbrt", "pow", "log", "log1p")
ARITHMETIC = ("add", "add_any", "sub", "mul", "div", "neg", "square", "integer_pow", "one_minus_square")
# Steps in an iteration of the loop. On an H100 4 took 0.52 to 0.78 of the time of 1; 8 took 0.85 to 1.02 of the time of
# 4, and twice as long to compile (configs/speed/gpu.py).
UNROLL = {"gpu": 4}


def step_values(plan: Plan, env, saved=None, turned=None):
    """Evaluates the loop's equations of one step into env. With `saved`, from the values the forward pass stored: each
    Sum is its stored z (through which gradients pass on to its terms), effects are not run again. With `turned`, the
    transposes of weights, products are taken in the layout that is fastest (see `layout`)."""
    for item in plan.loop:
        if isinstance(item, Sum):
            pairs = [[a.val if isinstance(a, core.Literal) else env[a] for a in e.invars] for e in item.products]
            if saved is not None:
                env[item.z] = restored(plan, item)(saved[item.z], [env[v] for v in added(plan, item)], pairs)
                continue
            z = [term(plan, e, env, turned) for e in item.products]
            z += [env[v] for v in item.outside + item.inner]
            env[item.z] = functools.reduce(jnp.add, z)
        elif saved is not None and item.effects:
            env.update({v: saved[v] for v in item.outvars})
        else:
            evaluate(item, env)


def term(plan: Plan, eqn, env, turned):
    """The value of a product in a Sum."""
    w = weight_of(eqn, plan.where)
    if turned is None or w is None or not (is_turned(eqn, w) or by_columns(eqn, w)):
        return apply(eqn, [env[v] for v in dict.fromkeys(variables(eqn.invars))])[0]
    weight = eqn.invars[w]
    return multiply(eqn, w, env[eqn.invars[1 - w]], turned[weight] if is_turned(eqn, w) else env[weight])


def added(plan: Plan, item: Sum):
    """The terms of a Sum, but for products, whose gradient is taken in the loop."""
    return item.inner + item.outside if plan.inside else item.inner


def restored(plan: Plan, item: Sum):
    """The function (z, inner, operands) -> z whose gradient is that of a sum of products: dz to z itself and to every
    inner term, dz W^T to the operand of a product. A once weight gets its gradient after the loop, not here."""

    @jax.custom_vjp
    def restore(z, inner, pairs):
        return z

    def backward(pairs, dz):
        grads = []
        for eqn, (a, b) in zip(item.products, pairs, strict=True):
            w = weight_after(plan, eqn)
            f = lambda a, b, eqn=eqn: apply(eqn, [a, b] if eqn.invars[0] is not eqn.invars[1] else [a])[0]
            if w is None:
                da, db = jax.vjp(lambda a, b: product_of(eqn, a, b), a, b)[1](dz)
                grads.append([da, db])
            elif w == 1:
                grads.append([jax.vjp(lambda a: f(a, b), a)[1](dz)[0], None])
            else:
                grads.append([None, jax.vjp(lambda b: f(a, b), b)[1](dz)[0]])
        return dz, [dz] * len(added(plan, item)), grads

    restore.defvjp(lambda z, inner, pairs: (z, pairs), backward)
    return restore


def product_of(eqn, a, b):
    """A bilinear equation as a function of two operands, also where both are one variable or one is a literal."""
    fresh = [core.Var(v.aval) for v in eqn.invars]
    return apply(eqn.replace(invars=fresh), [a, b])[0]


def loop_step(plan: Plan, keep=(), turned=None):
    """One step of the loop, (once, ahead_t, carry) -> (carry, out), where out is plan.loop_out, then `keep`."""
    body = plan.body
    carry_in = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    value = lambda env, a: jnp.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]

    def step(once, ahead, carry):
        env = dict(zip([*plan.loop_once, *plan.loop_ahead, *carry_in], [*once, *ahead, *carry], strict=True))
        step_values(plan, env, turned=turned)
        return [value(env, a) for a in body.jaxpr.outvars[: body.n_carry]], [env[v] for v in (*plan.loop_out, *keep)]

    return step


class Backward(NamedTuple):
    """The backward step, traced: which stored values it needs, and how its outputs are laid out."""

    step: Any  # (once, ahead, carry, kept, dcarry, sums, dout, made, turned) -> (dcarry, sums, dahead, dz, operands)
    carries: list[int]  # indices of the carry leaves it reads
    kept: list[core.Var]  # z and outputs of effects that it reads
    made: list[core.Var]  # loop values that it reads instead of making them again: gates, and outputs of the loop
    once: list[core.Var]  # float values with a gradient summed in the loop
    ahead: list[core.Var]  # float values with a gradient per step
    sums: list[Sum]  # those whose dz is handed out
    operands: list[core.Var]  # loop values that multiply a once weight, recomputed
    turned: list[core.Var]  # once weights that it reads transposed


def trace_backward(plan: Plan, turning=True, without=frozenset()) -> Backward:
    """Traces the backward step once, as the vjp of the forward step evaluated from stored values. without: values
    known ahead of which no gradient is asked for."""
    body, where = plan.body, plan.where
    carry_in = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    carry_out = body.jaxpr.outvars[: body.n_carry]
    sums = [s for s in plan.loop if isinstance(s, Sum)]
    outsides = set() if plan.inside else {v for s in sums for v in s.outside}
    deferred = [(e, w) for s in sums for e in s.products if (w := weight_after(plan, e)) is not None]
    weights_only = {e.invars[w] for e, w in deferred}
    elsewhere = (
        {v for item in plan.loop if not isinstance(item, Sum) for v in variables(item.invars)}
        | set(variables(carry_out))
        | {v for s in sums for e in s.products if weight_after(plan, e) is None for v in variables(e.invars)}
        | {v for s in sums for v in s.outside if plan.inside}
    )
    once = [
        v for v in plan.loop_once if is_float(v) and v not in outsides and (v not in weights_only or v in elsewhere)
    ]
    ahead = [v for v in plan.loop_ahead if is_float(v) and v not in without and (v not in outsides or v in elsewhere)]
    handed = [
        s for s in sums if (s.outside and not plan.inside) or any(weight_after(plan, e) is not None for e in s.products)
    ]
    operands = [e.invars[1 - w] for e, w in deferred]
    operands = [v for v in dict.fromkeys(operands) if v not in carry_in and where[v] == LOOP]
    stored = [s.z for s in sums] + [v for e in plan.loop if not isinstance(e, Sum) and e.effects for v in e.outvars]
    smooth_in, smooth_out = [v for v in carry_in if is_float(v)], [i for i, v in enumerate(carry_out) if is_float(v)]
    smooth_y = [v for v in plan.loop_out if is_float(v)]
    remade = [
        v for item in plan.loop if not isinstance(item, Sum) and not item.effects for v in item.outvars
        if v in plan.loop_out
        or (item.primitive.name in TRANSCENDENTAL and is_float(v) and v not in plan.spread)
    ]  # fmt: skip

    def step(once_values, ahead_values, carry, kept, dcarry, sums_so_far, dy):
        known = dict(zip(plan.loop_once, once_values, strict=True))
        known |= dict(zip([*plan.loop_ahead, *carry_in], [*ahead_values, *carry], strict=True))
        kept = dict(zip(stored, kept, strict=True))

        def forward(once_smooth, ahead_smooth, carry_smooth, z):
            env = known | dict(zip(once, once_smooth, strict=True)) | dict(zip(ahead, ahead_smooth, strict=True))
            env |= dict(zip(smooth_in, carry_smooth, strict=True))
            step_values(plan, env, kept | dict(zip([s.z for s in sums], z, strict=True)))
            value = lambda a: jnp.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]
            outputs = [value(carry_out[i]) for i in smooth_out], [env[v] for v in smooth_y]
            return outputs, ([env[v] for v in operands], [env[v] for v in remade])

        inputs = *([known[v] for v in vs] for vs in (once, ahead, smooth_in)), [kept[s.z] for s in sums]
        _, pull, (us, made) = jax.vjp(forward, *inputs, has_aux=True)
        d_once, d_ahead, d_carry, dz = pull((dcarry, dy))
        sums_so_far = [a + d.astype(a.dtype) for a, d in zip(sums_so_far, d_once, strict=True)]
        dz = [d for s, d in zip(sums, dz, strict=True) if any(s is h for h in handed)]
        return (d_carry, sums_so_far, d_ahead, dz, us), made

    types = lambda vs: [v.aval for v in vs]
    totals = [v.aval.update(dtype=total_dtype(v)) for v in once]
    args = (
        types(plan.loop_once), types(plan.loop_ahead), types(carry_in), types(stored),
        types([carry_out[i] for i in smooth_out]), totals, types(smooth_y),
    )  # fmt: skip
    leaves, tree = jax.tree.flatten(args)
    out_tree = []

    def flat(*leaves):
        out, made = step(*jax.tree.unflatten(tree, leaves))
        out_tree.append(jax.tree.structure(out))
        return *jax.tree.leaves(out), *made

    jaxpr, consts = flatten(jax.make_jaxpr(flat)(*leaves))
    jaxpr, made = reuse(sum_by_product(jaxpr), remade)
    of_once = jax.tree.unflatten(tree, jaxpr.invars[len(consts) : len(consts) + len(leaves)])[0]
    jaxpr, turned = turn_products(jaxpr, dict(zip(of_once, plan.loop_once, strict=True)) if turning else {})
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

    return Backward(backward_step, carries, kept, made, once, ahead, handed, operands, turned)


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
    jaxpr = jaxpr.replace(invars=invars, outvars=outvars, eqns=eqns, effects=effects_of(eqns))
    return jaxpr, [name for _, name in known]


def total_dtype(v):
    """Gradients of half-precision values are summed over time in float32, and cast at the end."""
    return jnp.promote_types(v.aval.dtype, jnp.float32)


@dataclasses.dataclass(frozen=True)
class Next:
    """Of x, one that is at each step what `values` [t ...] has for the next step of the loop, and at the last `end`:
    going back through time, what the carry was."""

    values: Any
    end: Any


def stacked(x, reverse: bool):
    """The array over t of an x."""
    if not isinstance(x, Next):
        return x
    return jnp.concatenate([x.end[None], x.values[:-1]] if reverse else [x.values[1:], x.end[None]])


def in_turn(step, carry, xs, length: int, reverse: bool):
    """`lax.scan`, of UNROLL steps an iteration."""
    xs = jax.tree.map(lambda x: stacked(x, reverse), xs)
    return lax.scan(step, carry, xs, length, reverse, unroll=UNROLL.get(jax.default_backend(), 1))


def make_loop(plan: Plan, length: int, reverse: bool, run=in_turn, turning=True):
    """(once, ahead [t ...], carry) -> (carry, out [t ...]) with its own backward pass.

    run      (step, carry, xs, length, reverse) -> (carry, ys): what runs the loops over time, forward and backward,
             some of whose xs are `Next`.
    turning  are products taken in the layout that is fastest for XLA (see `layout`)?
    """
    body, where = plan.body, plan.where
    carry_in = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    carry_out = body.jaxpr.outvars[: body.n_carry]

    products = [(e, weight_of(e, where)) for s in plan.loop if isinstance(s, Sum) for e in s.products]
    wanted = dict.fromkeys(e.invars[w] for e, w in products if turning and w is not None and is_turned(e, w))

    def forward(once, ahead, carry, keep=(), keep_carry=()):
        turned = {v: turn(once[plan.loop_once.index(v)]) for v in wanted} if turning else None
        one, n = loop_step(plan, keep, turned), len(plan.loop_out)

        def step(carry, x):
            new, out = one(once, x, carry)
            return new, (out[:n], out[n:], [carry[i] for i in keep_carry])

        return run(step, carry, ahead, length, reverse)

    backward = functools.cache(functools.partial(trace_backward, plan, turning))  # only where a gradient is asked for

    @jax.custom_vjp
    def loop(once, ahead, carry):
        carry, (out, _, _) = forward(once, ahead, carry)
        return carry, out

    # A carry that is an output as well is stored once: h_{t-1} is the output of the step before.
    as_output = {i: plan.loop_out.index(v) for i, v in enumerate(carry_out) if v in plan.loop_out}

    def loop_forward(once, ahead, carry):
        without = frozenset(v for v, a in zip(plan.loop_ahead, ahead, strict=True) if not a.perturbed)
        back = backward(without)
        once, ahead, carry = ([a.value for a in group] for group in (once, ahead, carry))
        own = [i for i in back.carries if i not in as_output]
        keep = [v for v in dict.fromkeys([*back.kept, *back.made]) if v not in plan.loop_out]
        last, (out, kept, stacks) = forward(once, ahead, carry, keep, own)
        return (last, out), (once, ahead, carry, out, kept, stacks, Without(without))

    def loop_backward(residuals, cotangents):
        once, ahead, carry, out, kept, stacks, without = residuals
        back = backward(without.gradient)
        d_last, d_out = jax.tree.map(instantiate, cotangents, is_leaf=is_zero)
        own = [i for i in back.carries if i not in as_output]
        carries: list[Any] = [None] * body.n_carry
        for i in back.carries:
            if i in as_output:
                carries[i] = Next(out[as_output[i]], carry[i])
            else:
                carries[i] = stacks[own.index(i)]
        sums = [s for s in plan.loop if isinstance(s, Sum)]
        stored = [s.z for s in sums] + [v for e in plan.loop if not isinstance(e, Sum) and e.effects for v in e.outvars]
        keep = [v for v in dict.fromkeys([*back.kept, *back.made]) if v not in plan.loop_out]
        at_hand = dict(zip(keep, kept, strict=True)) | dict(zip(plan.loop_out, out, strict=True))
        slots = [at_hand[v] if v in back.kept else None for v in stored]
        smooth = lambda vs, values: [d for v, d in zip(vs, values, strict=True) if is_float(v)]
        turned = [turn(once[plan.loop_once.index(v)]) for v in back.turned]
        totals = [jnp.zeros_like(once[plan.loop_once.index(v)], total_dtype(v)) for v in back.once]

        def step(state, x):
            ahead_t, carry_t, kept_t, dy, made_t = x
            d_carry, totals, *stacked = back.step(once, ahead_t, carry_t, kept_t, *state, dy, made_t, turned)
            return (d_carry, totals), stacked

        state = smooth(carry_out, d_last), totals
        inputs = ahead, carries, slots, smooth(plan.loop_out, d_out), [at_hand[v] for v in back.made]
        (d_carry, totals), (d_ahead, dz, us) = run(step, state, inputs, length, not reverse)

        grads: dict[Any, Any] = dict(zip(back.once, totals, strict=True)) | dict(zip(back.ahead, d_ahead, strict=True))

        def add(v, g):
            grads[v] = grads[v] + g if v in grads else g

        operands = dict(zip(back.operands, us, strict=True)) | dict(zip(carry_in, carries, strict=True))
        operands |= dict(zip(plan.loop_ahead, ahead, strict=True))
        for s, d in zip(back.sums, dz, strict=True):
            for v in () if plan.inside else s.outside:
                add(v, d if where[v] == AHEAD else sum_over_time(d, total_dtype(s.z)))
            for eqn in s.products:
                w = weight_after(plan, eqn)
                if w is not None:
                    u = stacked(operands[eqn.invars[1 - w]], not reverse)
                    add(eqn.invars[w], weight_gradient(eqn, w, u, d))
        # A zero, not None: JAX 0.7 wants as many gradients whenever this loop's is taken. Nothing reads it.
        grads |= {v: jnp.zeros_like(a) for v, a in zip(plan.loop_ahead, ahead, strict=True) if v in without.gradient}
        cast = lambda v: grads[v].astype(v.aval.dtype) if v in grads and is_float(v) else None
        d_smooth = iter(d_carry)
        d_first = [next(d_smooth) if is_float(v) else None for v in carry_in]
        return [cast(v) for v in plan.loop_once], [cast(v) for v in plan.loop_ahead], d_first

    loop.defvjp(loop_forward, loop_backward, symbolic_zeros=True)
    return loop


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Without:
    gradient: frozenset[Any]  # of these values none is asked for


def is_zero(cotangent):
    return isinstance(cotangent, custom_derivatives.SymbolicZero)


def instantiate(cotangent):
    return vary(jnp.zeros(cotangent.shape, cotangent.dtype), cotangent.aval) if is_zero(cotangent) else cotangent


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
