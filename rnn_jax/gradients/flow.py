"""The flow of the gradient through time (Pascanu, Mikolov & Bengio, 2013, arXiv:1211.5063).

For L = sum_t E_t(y_t), with d+ the immediate derivative (step k's own, its incoming state held constant),

    dL/dw = sum_k dL/dh_k d+h_k/dw;    dL/dh_k = sum_{t >= k} dE_t/dh_k;    dE_t/dh_k = dE_t/dh_t dh_t/dh_k

`hidden_gradients` is dL/dh_k, `influence` the size of each dE_t/dh_k, `immediate_partials` each term of dL/dw.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.gradients import flat
from rnn_jax.scan import scan


def hidden_gradients(
    step: Callable, params, carry, xs, loss: Callable, name: str | Sequence[str] | None = "h", **masks
):
    """dL/dh_t at every t, for L = loss(ys): the total derivative, through y_t and through all later steps.

    name     a value that the step names with `name(value, "h")`: an array [t ...]; a sequence of names: a dict of them.
             None, and the default where the step names no "h": the state that leaves step t, a tree like the carry of
             [t ...] with None at integer, bool and key leaves. Two things read that state: step t + 1, and y_t as far
             as it is computed from the new state.
    loss     ys -> real scalar, ys as `rnn_jax.scan` returns them.
    masks    lengths, resets, initial, reverse, method, and length for xs=None, as for `rnn_jax.scan`.

    In units of L per unit of h. Raises ValueError: a loss that is no scalar, NaN in the arguments, t < 2, no such name.
    """
    me = "hidden_gradients"
    params, carry, xs = flat.as_arrays(params, carry, xs)
    t, ys = flat.check(me, step, params, carry, xs, 2, **masks)
    flat.check_loss(me, loss, ys)
    stack = lambda a: jnp.zeros((t, *a.shape[1:]), a.dtype)
    if _of_state(step, params, carry, xs, name):
        run, zero = flat.tapped(step, params, carry, xs, None)
        taps = [jnp.broadcast_to(a, (t, *a.shape)) for a in zero]
        grads = iter(jax.grad(lambda taps: loss(scan(run, params, carry, (xs, taps), **masks)[1]))(taps))
        return jax.tree.map(lambda a: next(grads) if flat.is_float(a) else None, carry)
    names = [name] if isinstance(name, str) else list(name or ())
    values = jax.eval_shape(lambda p, c, x: scan(step, p, c, x, collect=names, **masks)[-1], params, carry, xs)
    taps = jax.tree.map(stack, values)
    grads = jax.grad(lambda taps: loss(scan(step, params, carry, xs, taps=taps, **masks)[1]))(taps)
    return grads[name] if isinstance(name, str) else {k: grads[k] for k in names}


def influence(
    step: Callable, params, carry, xs, loss: Callable, name: str | None = "h", rows: Sequence[int] | None = None
) -> jax.Array:
    """log10 ||dE_t/dh_k||, [t k]: how far step t's loss reaches back. -inf for k > t and where it is exactly 0.

    E_t is the part of the loss that enters at y_t: back-propagation through time started with dL/dy_t alone. For
    L = sum_t E_t(y_t) it is that E_t, and the vectors dE_t/dh_k add up over t to `hidden_gradients` at k. The norm is
    over all of h_k, batch included. `name` is as in `hidden_gradients` (one name). `rows`: only these t, e.g. (-1,),
    which costs a t-th of the whole; all rows cost t backward passes, run side by side.

    Every row is renormalised at every step and its scale kept apart, so that 1e-300 and 1e+300 are finite in float32.
    Raises ValueError: a loss that is no scalar, NaN in the arguments, t < 2, no such name, a row beyond t.
    """
    me = "influence"
    params, carry, xs = flat.as_arrays(params, carry, xs)
    t, ys = flat.check(me, step, params, carry, xs, 2)
    flat.check_loss(me, loss, ys)
    rows = list(range(t)) if rows is None else list(rows)
    if bad := [r for r in rows if not -t <= r < t]:
        raise ValueError(f"{me}: row {bad[0]} is beyond t = {t}; rows are {-t} to {t - 1}")
    run, zero = flat.tapped(step, params, carry, xs, None if _of_state(step, params, carry, xs, name) else name)
    sources = jnp.asarray([r % t for r in rows], jnp.int32)
    tree = jax.tree.structure(carry)
    leaves = flat.flatten(step, params, carry, xs, t).carry

    def one(leaves, x, tap):
        new, y = run(params, jax.tree.unflatten(tree, leaves), (x, tap))
        return jax.tree.leaves(new), jax.tree.leaves(y)

    def forward(leaves, x):
        new, y = one(leaves, x, zero)
        return new, (leaves, y)

    _, (before, y_leaves) = lax.scan(forward, leaves, xs)
    partial = lambda f: loss(jax.tree.unflatten(jax.tree.structure(ys), flat.rejoin(y_leaves, f)))
    dys = jax.grad(partial)(flat.floats(y_leaves))

    def backward(state, inputs):
        dh, exponent = state  # dh: float leaves of the carry, [row ...]
        k, leaves, x, dy = inputs
        outs = lambda f, tap: [flat.floats(a) for a in one(flat.rejoin(leaves, f), x, tap)]
        _, pull = jax.vjp(outs, flat.floats(leaves), zero)
        own = lambda row: [jnp.where(row == k, a, jnp.zeros_like(a)) for a in dy]
        dh, dtap = jax.vmap(lambda dh, row: pull([dh, own(row)]))(dh, sources)
        return flat.renormalised(dh, exponent, 1), flat.log10_norm(dtap, exponent, 1)

    dh = [jnp.zeros((len(rows), *a.shape), a.dtype) for a in flat.floats(leaves)]
    start = dh, jnp.zeros(len(rows), jnp.int32)
    return lax.scan(backward, start, (jnp.arange(t), before, xs, dys), reverse=True)[1].T


def immediate_partials(step: Callable, params, carry, xs, loss: Callable, **masks):
    """dL/dh_k d+h_k/dw: step k's term of dL/dw = sum_k (...), a tree like params of [t ...]. They add up to `jax.grad`.

    Every step gets its own copy of params, and the gradient is taken with respect to the copies: t times the memory of
    params. Arrays that the step closes over have no term here. `loss`, `masks`: as in `hidden_gradients`. Integer
    leaves of params get float0, as from `jax.grad(allow_int=True)`. Raises ValueError: a loss that is no scalar, NaN in
    the arguments, t < 2.
    """
    me = "immediate_partials"
    params, carry, xs = flat.as_arrays(params, carry, xs)
    t, ys = flat.check(me, step, params, carry, xs, 2, **masks)
    flat.check_loss(me, loss, ys)
    each = lambda _, carry, both: step(both[0], carry, both[1])
    copies = jax.tree.map(lambda w: jnp.broadcast_to(w, (t, *w.shape)), params)
    return jax.grad(lambda p: loss(scan(each, (), carry, (p, xs), **masks)[1]), allow_int=True)(copies)


def _of_state(step, params, carry, xs, name):
    return name is None or (name == "h" and "h" not in flat.names(step, params, carry, xs))
