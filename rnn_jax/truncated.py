"""Truncated back-propagation through time, the three kinds, for any step: `rnn_jax.scan` with a shorter gradient.

Full BPTT of a loss E(y_1 ... y_T) sums over every output and every step before it (Werbos, 1990),

    dE/dW = sum_tau sum_{s <= tau} dE/dy_tau dy_tau/dh_s d+h_s/dW,

and each kind here leaves terms (tau, s) out of the inner sum, so that any loss has a truncated gradient:

    jax.grad(lambda p: loss(truncated.windows(step, p, carry, xs, k1=5, k2=20)[1]))(params)

    kind        function  the terms kept                                values       parallel in
    I           chunks    s and tau in one chunk of k steps             of chunks    t/k chunks
    II          windows   s in the last k2 steps of tau's window        scan's       the windows
    III         last      s and tau in the last k2 steps                scan's       -

All gradients are cut the same way: those of params, of arrays that the step closes over, of xs, of carry. What is cut
is exactly zero, what is kept is exact. `method` goes to `rnn_jax.scan`. In torch each kind is a loop by hand over
slices of the sequence, with `state.detach()` at the cuts, a `backward` each, and for II one graph kept per open window.

Noise: windows run a step twice, and it must draw the same numbers both times: keys in xs or carry, as everywhere here.
Where keys draw other numbers under vmap (rbg), windows and chunks run one after another.
"""

# pyright: reportAssignmentType=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (scan returns two values without `collect`; jax.config and jax.dtypes are not in JAX's annotations)

import weakref
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.scan import scan


def chunks(step, params, carry, xs, k, *, method="auto"):
    """Kind I: t/k chunks of k steps, each an instance of its own that starts from `carry` (k = 4, for example).

        h_s = carry before s = 0, k, 2k, ...;    dy_tau/dh_s = 0 unless s and tau lie in one chunk

    (the carry after the last chunk, ys [t ...]). Values differ from `scan`'s: no chunk knows what came before it, and
    nothing longer than k steps can be learned. k = t is full BPTT. dE/dcarry is the sum over chunks.
    Cost: that of one scan of k steps over t/k times the batch. In torch: a reshape, the one easy kind there.

    Errors: ValueError unless 1 <= k divides t. Source: the usual practice of cutting a corpus into samples.
    """
    t = _length("chunks", xs)
    _at_least_one("chunks: k", k)
    _divides("chunks: k", k, t)
    if not t:
        return scan(step, params, carry, xs, method=method)
    cut = jax.tree.map(lambda a: a.reshape(t // k, k, *a.shape[1:]), jax.tree.map(jnp.asarray, xs))
    lasts, ys = _side_by_side(lambda x: scan(step, params, carry, x, method=method), (params, carry, xs), cut)
    return jax.tree.map(lambda a: a[-1], lasts), _in_a_row(ys)


def windows(step, params, carry, xs, *, k1, k2, method="auto"):
    """Kind II: every k1 steps, BPTT over the last k2 steps; the state is carried on.

        window j = 1 ... t/k1: the outputs of steps ((j-1) k1, j k1] send their gradient back to step j k1 - k2, whose
        state is a constant;    dy_tau/dh_s = 0 for s <= a = ceil(tau/k1) k1 - k2, if a > 0

    So an output reaches from k2 - k1 + 1 to k2 steps back, its own among them; k1 = 1 gives every output k2. k1 divides
    t (not t divides k1, a usual error in lecture notes); k2 >= k1 need be no multiple of it, and may exceed t. Windows
    that would begin before the first step reach it, and the initial carry: k2 >= t is full BPTT.

    (carry, ys [t ...]) are `scan`'s. A stream hands the carry to the next call; its gradient is the last window's.
    Cost: about k2/k1 scans in time and in memory, and one forward scan: all windows run in parallel, each from the
    state that this scan found. In torch: k2/k1 graphs are alive at once, and every window's backward is a loop over
    detached states, by hand.

    Errors: ValueError unless 1 <= k1 <= k2 and k1 divides t. Source: Williams & Peng (1990), BPTT(h; h');
    Sutskever (2013), thesis, whose k1 and k2 these are.
    """
    t = _length("windows", xs)
    _at_least_one("windows: k1", k1)
    if k2 < k1:
        raise ValueError(
            f"windows: k2 = {k2} is below k1 = {k1}, so some outputs would have no gradient; take k2 >= k1"
        )
    _divides("windows: k1", k1, t)
    if k2 >= t:  # every window reaches the first step
        return scan(step, params, carry, xs, method=method)
    xs = jax.tree.map(jnp.asarray, xs)
    values = scan(_recording(step), *lax.stop_gradient((params, carry, xs)), method=method)
    final, (states, ys) = lax.stop_gradient(values)  # again, for arrays that the step closes over

    # The windows that reach the first step are together one scan with its whole gradient. The others are k2 steps each.
    first = k2 // k1 * k1
    _, early = scan(step, params, carry, jax.tree.map(lambda a: a[:first], xs), method=method)
    begin = jnp.arange(first + k1, t + 1, k1) - k2
    starts = jax.tree.map(lambda a: a[begin], states)
    inside = jax.tree.map(lambda a: a[begin[:, None] + jnp.arange(k2)], xs)
    run = lambda start, x: scan(step, params, start, x, method=method)
    lasts, late = _side_by_side(run, (params, carry, xs), starts, inside)
    late = _in_a_row(jax.tree.map(lambda a: a[:, k2 - k1 :], late))
    return (
        jax.tree.map(lambda value, a: _by_way_of(value, a[-1]), final, lasts),
        jax.tree.map(lambda value, a, b: _by_way_of(value, jnp.concatenate([a, b])), ys, early, late),
    )


def last(step, params, carry, xs, k2, *, method="auto"):
    """Kind III, many-to-one: forward over all t steps, the gradient through the last k2 of them alone.

        dy_tau/dh_s = 0 for s <= t - k2;    the state before step t - k2 + 1 is a constant, and so are earlier outputs

    (carry, ys [t ...]) are `scan`'s. k2 >= t is full BPTT. The gradient of `carry` is zero if k2 < t.
    Cost: a forward scan of t steps and a backward one of k2, whose memory alone counts. In torch: the first t - k2
    steps under `no_grad`, then `detach`, then the rest.

    Errors: ValueError unless k2 >= 1.
    """
    t = _length("last", xs)
    _at_least_one("last: k2", k2)
    if k2 >= t:
        return scan(step, params, carry, xs, method=method)
    xs = jax.tree.map(jnp.asarray, xs)
    head, tail = (jax.tree.map(lambda a: a[part], xs) for part in (slice(t - k2), slice(t - k2, None)))
    values = scan(step, *lax.stop_gradient((params, carry, head)), method=method)
    carry, before = lax.stop_gradient(values)  # again, for arrays that the step closes over
    carry, after = scan(step, params, carry, tail, method=method)
    return carry, jax.tree.map(lambda a, b: jnp.concatenate([a, b]), before, after)


# ---------------------------------------------------------------------------------------------------------- arguments


def _length(who, xs):
    shapes: list[Any] = [jnp.shape(a) for a in jax.tree.leaves(xs)]
    if not shapes or not all(shapes) or len({s[0] for s in shapes}) != 1:
        raise ValueError(f"{who}: xs needs leaves that share a leading time axis, got the shapes {shapes}")
    return shapes[0][0]


def _at_least_one(what, k):
    if k < 1:
        raise ValueError(f"{what} = {k} is no number of steps; take at least 1")


def _divides(what, k, t):
    if t % k:
        fits = [d for d in range(1, t + 1) if t % d == 0]
        near = [max(d for d in fits if d < k), *[d for d in fits if d > k][:1]]
        raise ValueError(f"{what} = {k} does not divide t = {t}; {' or '.join(map(str, near))} would")


# ------------------------------------------------------------------------------------------------------------- pieces


@jax.custom_jvp
def _by_way_of(value, way):
    """`value`, whose gradient travels by `way`: the same number, computed where the gradient is cut."""
    del way
    return value


_by_way_of.defjvp(lambda primals, tangents: (_by_way_of(*primals), tangents[1]))

_recorders: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _recording(step):
    """The step with the state before it beside its output; the same object each time, for scan's cache of traces."""

    def record(get):
        def recording(params, carry, x):
            after, y = get()(params, carry, x)
            return after, (carry, y)

        return recording

    if hasattr(step, "__self__"):  # a method: its object may have changed, so scan traces it again
        return record(lambda: step)
    try:  # held weakly: the step is its own key, and would otherwise live for ever
        return _recorders.get(step) or _recorders.setdefault(step, record(weakref.ref(step)))
    except TypeError:  # cannot be hashed or referenced weakly
        return record(lambda: step)


def _side_by_side(run, read, *trees):
    """run over the leading axis of trees: by vmap, or in turn if a key that it reads draws other numbers under vmap."""
    kinds = [str(jax.random.key_impl(a)) for a in jax.tree.leaves(read) if _is_key(a)]
    if all("fry" in kind for kind in kinds) and jax.config.jax_default_prng_impl.startswith("threefry"):
        return jax.vmap(run)(*trees)
    return lax.map(lambda args: run(*args), trees)


def _is_key(a):
    return jax.dtypes.issubdtype(jnp.asarray(a).dtype, jax.dtypes.prng_key)


def _in_a_row(tree):
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)
