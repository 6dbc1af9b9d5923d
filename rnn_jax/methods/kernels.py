"""A whole loop as one kernel, in place of `lax.scan`: the frame that "fused" and "native" share."""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.loop import Next, stacked
from rnn_jax.methods.deferred.placement import variables
from rnn_jax.tracing import flatten, one_step


def scan(make: Callable, step, carry, xs, length: int, reverse: bool, nexts=False):
    """`lax.scan` by the kernel make(jaxpr, n_consts, n_carry): (consts, carry, xs [t ...], length, reverse) -> (carry,
    ys [t ...]), flat lists, of the step (*consts, *carry, *x) -> (*carry, *y) as equations. Its own derivative, which
    only second derivatives ask for, is that of `lax.scan`.

    nexts  does the kernel read each `Next` where it lies? make(jaxpr, n_consts, n_carry, ends) then knows by `ends` at
           which x there is one, and which of the consts is its end.
    """
    leaves, tree = jax.tree.flatten((carry, xs))
    n, trees = len(jax.tree.leaves(carry)), []
    leaves = leaves if nexts else [stacked(a, reverse) for a in leaves]
    ends = {i: a.end for i, a in enumerate(leaves) if isinstance(a, Next)}
    leaves = [a.values if isinstance(a, Next) else a for a in leaves]

    def flat(*leaves):
        out = step(*jax.tree.unflatten(tree, leaves))
        trees.append(jax.tree.structure(out))
        return jax.tree.leaves(out)

    types = [jax.typeof(a).update(weak_type=False) for a in leaves[:n]] + [one_step(a) for a in leaves[n:]]
    jaxpr, consts = flatten(jax.make_jaxpr(flat)(*types), keep_names=False)
    start, values = len(consts), [*map(jnp.asarray, consts), *leaves]
    read = {v for e in jaxpr.eqns for v in variables(e.invars)} | set(variables(jaxpr.outvars))
    kept = [i for i, v in enumerate(jaxpr.invars) if v in read or 0 <= i - start < n]
    jaxpr = jaxpr.replace(invars=[jaxpr.invars[i] for i in kept])
    consts, carry, xs = (
        [values[i] for i in kept if i in part]
        for part in (range(start), range(start, start + n), range(start + n, len(values)))
    )
    ends = {x: ends[i - start] for x, i in enumerate(kept[len(consts) + n :]) if i - start in ends}
    unread = [core.Var(jax.typeof(end).update(weak_type=False)) for end in ends.values()]
    ends_at = {x: len(consts) + k for k, x in enumerate(ends)}
    jaxpr = jaxpr.replace(invars=[*jaxpr.invars[: len(consts)], *unread, *jaxpr.invars[len(consts) :]])
    consts = [*consts, *ends.values()]
    kernel = make(jaxpr, len(consts), n, *([ends_at] if nexts else []))

    def plain(consts, carry, xs):
        xs = [stacked(Next(x, consts[ends_at[i]]), reverse) if i in ends_at else x for i, x in enumerate(xs)]

        def one(carry, x):
            out = core.jaxpr_as_fun(core.ClosedJaxpr(jaxpr, []))(*consts, *carry, *x)
            return out[:n], out[n:]

        return lax.scan(one, carry, xs, length, reverse)

    @jax.custom_vjp
    def run(consts, carry, xs):
        return kernel(consts, carry, xs, length, reverse)

    def forward(*args):
        # The barrier: of residuals that are arguments JAX 0.10 returns others, in a scan over a scan, second order.
        return run(*args), lax.optimization_barrier(args)

    run.defvjp(forward, lambda args, d: jax.vjp(plain, *args)[1](d))
    last, ys = run(consts, carry, xs)
    return jax.tree.unflatten(trees[-1], [*last, *ys])
