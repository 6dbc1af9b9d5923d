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
adds to dW in every step (and in a data-parallel program all-reduces it in every step). What is many times larger than
what it is made of, such as the scores of all keys in attention, is not stored for all steps on a CPU (`spread_out`).

How a step writes its products is no matter: W @ h of one sample under vmap, or an einsum, becomes h @ W first (see
`transposes`; for loops of machine code so do those of heads, see `heads`), and a product with a concatenation,
concat([x, h]) @ W, is taken apart, so that x's share runs ahead. The products that stay in the loop are taken in the
layout that is fastest (see `layout`).

Reverse mode of any order works; pure forward mode (jvp) needs method="reference".
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools

import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.equations import evaluate, evaluate_stacked, half, over_time
from rnn_jax.methods.deferred.loop import make_loop
from rnn_jax.methods.deferred.placement import AHEAD, ONCE, place, variables
from rnn_jax.methods.deferred.plan import make_plan
from rnn_jax.tracing import Body, effects_of


def run(body: Body, fixed, carry, xs, length: int, reverse: bool, make=make_loop, inside=False):
    """The method: (carry, ys) of `body` over `length` steps, flat lists in and out.

    make  (plan, length, reverse) -> loop, the function (once, ahead [t ...], carry) -> (carry, out [t ...]) that does
          what is left when the equations known beforehand are done. Other methods bring their own.
    inside  are products of x and weight gradients left to the loop (see `make_plan`)?
    """
    if length == 0:
        return carry, [jnp.zeros((0, *v.aval.shape), v.aval.dtype) for v in body.jaxpr.outvars[body.n_carry :]]
    plan = make_plan(body, length, inside)
    where, jaxpr = plan.where, plan.body.jaxpr
    env = dict(zip(jaxpr.invars, [*fixed, *carry, *xs], strict=True))
    for eqn in plan.once:
        evaluate(eqn, env)
    for full, small in plan.widened:
        env[full] = jnp.broadcast_to(env[small], full.aval.shape)
    for eqn in plan.ahead:
        evaluate_stacked(eqn, env, where)
    for total, terms in plan.presums:
        stacked = where[total] == AHEAD

        def term(a):
            if isinstance(a, core.Literal):
                return a.val
            return over_time(env[a], length) if stacked and where[a] == ONCE and half(a.aval.dtype) else env[a]

        value = functools.reduce(jnp.add, map(term, terms))
        lead = (length,) if stacked else ()
        env[total] = jnp.broadcast_to(value, (*lead, *total.aval.shape)).astype(total.aval.dtype)

    looped = make(plan, length, reverse)
    carry, out = looped([env[v] for v in plan.loop_once], [env[v] for v in plan.loop_ahead], list(carry))
    env.update(zip(plan.loop_out, out, strict=True))
    for eqn in plan.after:
        evaluate_stacked(eqn, env, where)

    def stack(a):
        if isinstance(a, core.Literal):
            return jnp.broadcast_to(jnp.asarray(a.val, a.aval.dtype), (length, *a.aval.shape))
        return env[a] if where[a] > ONCE else jnp.broadcast_to(env[a], (length, *a.aval.shape))

    return carry, [stack(a) for a in jaxpr.outvars[body.n_carry :]]


def hoist(body: Body, fixed, length: int) -> tuple[Body, list]:
    """The body without what depends on params alone, and that, evaluated: for a method that runs it many times."""
    jaxpr, (where, _) = body.jaxpr, place(body, length)
    env = dict(zip(jaxpr.invars, fixed, strict=False))
    once = lambda eqn: bool(eqn.outvars) and where[eqn.outvars[0]] == ONCE
    for eqn in filter(once, jaxpr.eqns):
        evaluate(eqn, env)
    rest = [e for e in jaxpr.eqns if not once(e)]
    reads = dict.fromkeys(variables([*(a for e in rest for a in e.invars), *jaxpr.outvars]))
    fixed = [v for v in reads if v in env]
    jaxpr = jaxpr.replace(
        invars=[*fixed, *jaxpr.invars[body.n_fixed :]], eqns=rest, effects=effects_of(rest),
    )  # fmt: skip
    return Body(jaxpr, len(fixed), body.n_carry), [env[v] for v in fixed]
