"""Two helpers for every author of a cell: what does the engine make of my step, and are its gradients right?"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax.bptt import numeric_gradient
from rnn_jax.methods import METHODS
from rnn_jax.methods.auto import pick
from rnn_jax.methods.deferred.placement import is_product, variables, weight_of
from rnn_jax.methods.deferred.plan import Plan, make_plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.scan import masks, scan, time_axis
from rnn_jax.tracing import one_step, trace


def explain(step, params, carry, xs=None, *, length=None, lengths=None, resets=None, reverse=False) -> str:
    """Five lines: what of the step runs once, ahead of the loop, in it and after it, which weight gradients are
    deferred, and the method that "auto" picks. Arguments as for `rnn_jax.scan`; nothing is run.

    >>> print(rnn_jax.explain(cell.step, params, carry, xs))
    """
    carry, xs = jax.tree.map(jnp.asarray, carry), jax.tree.map(jnp.asarray, xs)
    t = time_axis(xs, length)
    active, reset = (None if m is None else one_step(m) for m in masks(carry, t, lengths, resets, reverse))
    traced = trace(step, params, carry, jax.tree.map(one_step, xs), taps={}, collect=[], active=active, reset=reset)
    plan = make_plan(traced.body, t)
    paths = [f"closed-over {list(np.shape(c))}" for c in traced.consts]
    paths += [f"params{jax.tree_util.keystr(p)}" for p, _ in jax.tree_util.tree_leaves_with_path(params)]
    inputs = dict(zip(plan.body.jaxpr.invars, paths, strict=False))
    origins = _origins(plan, inputs)
    flat = [e for i in plan.loop for e in (i.products if isinstance(i, Sum) else [i])]
    deferred = [e.invars[w] for e in flat if (w := weight_of(e, plan.where)) is not None]
    forward, gradient, why, *_ = pick(traced.body, t)
    picked = repr(gradient) if forward == gradient else f"{gradient!r} ({forward!r} where no gradient is asked for)"
    lines = [
        f"once        {_count(plan.once)}, from params alone",
        f"ahead       {_count(plan.ahead)}, for all {t} steps at once",
        f"loop        {_count(flat)}, {t} times in turn" + "".join(f"; {n}" for n in plan.notes),
        f"after       {_count(plan.after)}, for all {t} steps at once; gradients deferred to one product each: "
        + (", ".join(dict.fromkeys(_described(v, origins, inputs) for v in deferred)) or "none"),
        f"method      auto picks {picked}: {why}",
    ]
    return "\n".join(lines)


def _origins(plan: Plan, inputs):
    """Which params each once value is made of: variable -> their names, in order of use."""
    origins = {v: (name,) for v, name in inputs.items()}
    for eqn in plan.once:
        sources = dict.fromkeys(name for v in variables(eqn.invars) for name in origins.get(v, ()))
        origins.update(dict.fromkeys(eqn.outvars, tuple(sources)))
    return origins


def _described(v, origins, inputs):
    if v in inputs or not origins[v]:
        return inputs.get(v, "a constant")
    return f"a value of {' and '.join(origins[v])}"


def _count(eqns):
    names = Counter("matrix products" if is_product(e) else "other equations" for e in eqns)
    return (
        ", ".join(
            f"{names[k]} {k[:-1] if names[k] == 1 else k}" for k in ("matrix products", "other equations") if names[k]
        )
        or "nothing"
    )


def check(
    step, params, carry, xs=None, *, methods=None, tolerance=1e-10, numeric_tolerance=1e-6, eps=1e-5, **kwargs
) -> str:
    """Compares every method with "reference" (outputs and gradients), and the reference's gradients with central
    differences, in float64: a table. Raises ValueError with the table where they disagree. `methods` (names, or methods
    with settings) narrows it; one that does not take this step (callbacks, a nonlinear carry under "associative") is
    listed with its reason, and so is one that does not converge.

    params, carry and float xs are taken to float64 here; the loss is a weighted sum of sines of every float output.
    kwargs (lengths=, resets=, reverse=, length=, initial=) go to `rnn_jax.scan`. Errors: max |a - b| / max |b|.
    Central differences cost two evaluations per number in params, carry and xs: use small sizes (t 5, b 2, d 4).
    """
    if isinstance(methods, str):
        raise ValueError(f"check: methods is a sequence of methods, such as ({methods!r},)")
    if unknown := [m for m in methods or () if isinstance(m, str) and m not in METHODS]:
        raise ValueError(f"check: unknown method {unknown[0]!r}; known: {', '.join(METHODS)}")
    rows, unfit = [], []
    with double_precision():
        wide = lambda tree: jax.tree.map(_wide, tree)
        params, carry, xs = args = wide(params), wide(carry), wide(xs)
        kwargs = {k: wide(v) if k == "initial" else v for k, v in kwargs.items()}
        loss = lambda args, m: _scalar(scan(step, *args, method=m, **kwargs))
        both = lambda m: (scan(step, *args, method=m, **kwargs), jax.grad(loss, allow_int=True)(args, m))
        out, grads = both("reference")
        every = [m for m in METHODS if m != "auto"]  # which is one of the others
        for m in every if methods is None else ("reference", *methods):
            try:
                mine = jax.block_until_ready(both(m))
            except ValueError as e:  # a method may not take this step, and says why
                unfit.append(f"{m!s:12} does not apply: {str(e).removeprefix(f'{m}: ')}")
            except jax.errors.JaxRuntimeError as e:  # raised by the running program: newton, where it does not converge
                said = re.search(r"ArithmeticError: (?:newton: )?(.*)", str(e))
                if said is None:
                    raise
                unfit.append(f"{m!s:12} fails: {said[1]}")
            else:
                rows.append((m, _error(mine[0], out), _error(mine[1], grads), tolerance))
        numeric = numeric_gradient(lambda args: loss(args, "reference"), args, eps)
        rows.append(("differences", 0.0, _error(numeric, grads), numeric_tolerance))
    table = "\n".join(
        [f"{'method':12} {'values':>9} {'gradients':>9} {'allowed':>9}"]
        + [f"{m!s:12} {v:9.1e} {g:9.1e} {a:9.1e}{'' if max(v, g) <= a else '  DISAGREES'}" for m, v, g, a in rows]
        + unfit
    )
    if any(not max(v, g) <= a for _, v, g, a in rows):  # a NaN disagrees
        raise ValueError("check: the gradients of this step disagree with the reference\n" + table)
    return table


def double_precision():
    """A context in which float64 is float64 (its name changed between versions of JAX)."""
    return jax.enable_x64(True) if hasattr(jax, "enable_x64") else jax.experimental.enable_x64()


def _wide(a):
    a = jnp.asarray(a)
    if jnp.issubdtype(a.dtype, jnp.complexfloating):
        return a.astype(jnp.complex128)
    return a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a


def _scalar(tree):
    leaves = [jnp.asarray(a) for a in jax.tree.leaves(tree)]
    leaves = [a for a in leaves if jnp.issubdtype(a.dtype, jnp.inexact)]
    weight = lambda a, i: (1 + jnp.arange(a.size) / max(a.size, 1)).reshape(a.shape) * (1 + i)
    return sum((jnp.sum(jnp.real(jnp.sin(a)) * weight(a, i)) for i, a in enumerate(leaves)), jnp.zeros(()))


def _error(a, b):
    worst = 0.0
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if x.dtype == jax.dtypes.float0 or jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) or not x.size:
            continue
        x, y = np.asarray(x, np.complex128), np.asarray(y, np.complex128)
        worst = max(worst, float(np.max(np.abs(x - y)) / (np.max(np.abs(y)) or 1.0)))
    return worst
