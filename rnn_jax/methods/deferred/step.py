"""One step of the loop, forward, and the same from stored values, whose gradient the backward step is."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import functools

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply, evaluate
from rnn_jax.methods.deferred.layout import by_columns, is_turned, multiply
from rnn_jax.methods.deferred.placement import variables, weight_of
from rnn_jax.methods.deferred.plan import Plan, weight_after
from rnn_jax.methods.deferred.rewriting import Sum


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
