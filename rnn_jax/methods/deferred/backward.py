"""The backward step: the vjp of the forward one, and what of it is stored, made again or left for after the loop."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.layout import sum_by_product, turn_products
from rnn_jax.methods.deferred.placement import LOOP, is_float, variables
from rnn_jax.methods.deferred.plan import Plan, weight_after
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.methods.deferred.step import step_values
from rnn_jax.tracing import effects_of, flatten, live

# What is dear to compute and cheap to store: the backward pass reads these values, where arithmetic is all it does and
# they are not spread out.
TRANSCENDENTAL = ("tanh", "logistic", "exp", "exp2", "expm1", "erf", "sqrt", "rsqrt", "cbrt", "pow", "log", "log1p")
ARITHMETIC = ("add", "add_any", "sub", "mul", "div", "neg", "square", "integer_pow", "one_minus_square")


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
