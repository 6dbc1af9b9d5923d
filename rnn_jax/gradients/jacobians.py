"""State Jacobians and their products over time, on a log scale.

In column vectors dh_t = J_t dh_{t-1}, so dh_t/dh_k = J_t ... J_{k+1} (Pascanu, Mikolov & Bengio, 2013); for
h_t = s(W h_{t-1} + ...) J_t = diag(s'(a_t)) W. h is the whole state: all float leaves of the carry of one sequence,
flattened in tree order; an LSTM's (h, c) has D = 2d. Products leave the range of floats within 100 steps: they are kept
as a normalised matrix and an exponent, or as triangular factors (Benettin et al., 1980).

When every float leaf of the carry has at least two axes, and they agree on the first, that axis is the batch b, whose
rows are taken to be independent: D vector-Jacobian products of the step, each seeding the same unit in all rows, give
the Jacobians of all rows. Otherwise the carry is one sequence's, and results have no axis b. (Only vjp: a step with a
custom_vjp has no jvp.)
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.gradients import flat


class _State:
    """A step as a function of its state alone, with its Jacobian [rows D D]."""

    def __init__(self, caller, step, params, carry, xs, length):
        params, carry, xs = flat.as_arrays(params, carry, xs)
        self.length, _ = flat.check(caller, step, params, carry, xs, 2, length=length)
        self.flat = flat.flatten(step, params, carry, xs, self.length)
        leaves = flat.floats(self.flat.carry)
        if not leaves:
            raise ValueError(f"{caller}: the carry has no float leaf, so the step has no Jacobian")
        if any(jnp.issubdtype(a.dtype, jnp.complexfloating) for a in leaves):
            raise ValueError(f"{caller}: complex carry leaves are unsupported; carry real and imaginary parts apart")
        self.batched = min(a.ndim for a in leaves) >= 2 and len({a.shape[0] for a in leaves}) == 1
        self.rows = leaves[0].shape[0] if self.batched else 1
        self.dtype = flat.wide(*leaves)
        shapes = [a.shape[1:] if self.batched else a.shape for a in leaves]
        sizes = [a.size // self.rows if self.rows else 0 for a in leaves]
        self.size, at = sum(sizes), 0
        unit, self.seeds = jnp.eye(self.size), []
        for a, shape, size in zip(leaves, shapes, sizes, strict=True):
            seed = unit[:, at : at + size].reshape(self.size, *((1, *shape) if self.batched else shape))
            self.seeds.append(jnp.broadcast_to(seed, (self.size, *a.shape)).astype(a.dtype))
            at += size

    def advance(self, carry, x):
        """(carry after the step, J [rows D D])."""

        def move(leaves):
            new, _ = self.flat.body(self.flat.fixed, flat.rejoin(carry, leaves), x)
            return flat.floats(new), new

        _, pull, new = jax.vjp(move, flat.floats(carry), has_aux=True)
        (grads,) = jax.vmap(lambda seed: pull(seed))(self.seeds)  # each [D (of the output) rows ...]
        grads = [g.reshape(self.size, self.rows, -1).astype(self.dtype) for g in grads]
        return new, jnp.concatenate(grads, axis=-1).swapaxes(0, 1)

    def over_time(self, body, start, xs=None):
        """`lax.scan` of state, out = body(state, J, x), along the trajectory of the carry."""

        def one(both, inputs):
            carry, state = both
            carry, J = self.advance(carry, inputs[0])
            state, out = body(state, J, inputs[1])
            return (carry, state), out

        (_, state), out = lax.scan(one, (self.flat.carry, start), (self.flat.xs, xs), length=self.length)
        return state, out

    def eye(self):
        return jnp.broadcast_to(jnp.eye(self.size, dtype=self.dtype), (self.rows, self.size, self.size))

    def out(self, a, axis=0):
        return a if self.batched else jnp.squeeze(a, axis)


def jacobians(step: Callable, params, carry, xs=None, *, length: int | None = None) -> jax.Array:
    """J[t, b, i, j] = d h_t[i] / d h_{t-1}[j], [t b D D] (or [t D D]: see the module), along the trajectory.

    Raises ValueError: t < 2, NaN in the arguments, complex carry leaves.
    """
    state = _State("jacobians", step, params, carry, xs, length)
    return state.out(state.over_time(lambda _, J, x: (None, J), None)[1], 1)


def jacobian_product_log10norms(
    step: Callable, params, carry, xs=None, lags: Sequence[int] | None = None, *, length: int | None = None
) -> jax.Array:
    """log10 of the spectral norm of dh_i/dh_0 = J_i ... J_1, at index i - 1: [t b] (or [t]); -inf where exactly 0.

    lags     ints in 1 ... t: only those, in that order (a singular value decomposition each, and no other).

    Its slope over the lags is log10 of the growth per step, at h = 0 of a tanh network the spectral radius of W; at any
    lag it is at most lag * `local_bound`. Raises ValueError: a lag outside 1 ... t, t < 2, NaN, complex carry leaves.
    """
    me = "jacobian_product_log10norms"
    state = _State(me, step, params, carry, xs, length)
    lags = list(range(1, state.length + 1)) if lags is None else list(lags)
    if bad := [k for k in lags if not 1 <= k <= state.length]:
        raise ValueError(f"{me}: lag {bad[0]} is outside 1 ... t = {state.length}")
    at = jnp.asarray([k - 1 for k in lags], jnp.int32)

    def body(product, J, wanted):
        (P,), exponent = flat.renormalised([_mul(J, product[0])], product[1], 1)
        norm = lax.cond(wanted, lambda: jnp.linalg.svd(P, compute_uv=False)[:, 0], lambda: jnp.zeros_like(P[:, 0, 0]))
        return (P, exponent), flat.scaled_log10(norm, exponent)

    start = state.eye(), jnp.zeros(state.rows, jnp.int32)
    norms = state.over_time(body, start, jnp.zeros(state.length, bool).at[at].set(True))[1]
    return state.out(norms[at], 1)


def jacobian_product_log10singular(
    step: Callable, params, carry, xs=None, *, length: int | None = None, sweeps: int = 8
) -> jax.Array:
    """log10 of all singular values of dh_t/dh_0, descending: [b D] (or [D]), over hundreds of decades.

    QR through time, J_t Q_{t-1} = Q_t R_t, leaves J_t ... J_1 = Q_t (R_t ... R_1). A sweep then factors the transposed
    product R_1^T ... R_t^T in the same way, and back: the products of the diagonals converge to the singular values
    (the QR algorithm on a product kept in factors; Stewart, 1997). The rest falls as
    r^(4 sweeps), r the ratio of neighbours: of close ones an unlucky start leaves up to 0.1 in log10 after 8 sweeps,
    0.04 after 16, 0.01 after 32. Values within half the digits of the largest are taken from a decomposition of the
    product itself, which has no such rest.
    Memory [t b D D]. A product that is exactly singular reads rounding noise, or -inf, in place of its zeros.
    Raises ValueError: t < 2, NaN in the arguments, complex carry leaves.
    """
    state = _State("jacobian_product_log10singular", step, params, carry, xs, length)

    def body(both, J, _):
        Q, P, exponent = both
        Q, R = jnp.linalg.qr(_mul(J, Q))
        (P,), exponent = flat.renormalised([_mul(J, P)], exponent, 1)
        return (Q, P, exponent), R

    start = state.eye(), state.eye(), jnp.zeros(state.rows, jnp.int32)
    (_, P, exponent), R = state.over_time(body, start)

    def factor(Q, R):
        Q, R = jnp.linalg.qr(_mul(R.swapaxes(-1, -2), Q))
        return Q, R  # a plain pair, as scan wants it on every JAX

    def sweep(_, R):  # the transposed product begins at its other end
        R = lax.scan(factor, state.eye(), R, reverse=True)[1]
        return lax.scan(factor, state.eye(), R)[1]

    swept = jnp.sum(_log10_diagonal(lax.fori_loop(0, sweeps, sweep, R)), axis=0)
    direct = flat.scaled_log10(jnp.linalg.svd(P, compute_uv=False), exponent[:, None])
    swept = -jnp.sort(-swept, axis=-1)
    near = direct > direct[:, :1] + jnp.log10(jnp.finfo(state.dtype).eps) / 2
    return state.out(jnp.where(near, direct, swept))


def lyapunov_spectrum(step: Callable, params, carry, xs=None, *, length: int | None = None, skip: int = 0) -> jax.Array:
    """Lyapunov exponents in nats per step, descending: [b D] (or [D]), the mean over t of log |diag R_t|.

    J_t Q_{t-1} = Q_t R_t from Q_0 = I (Benettin et al., 1980). Exponents > 0: chaos, gradients explode; all < 0: they
    vanish. `skip`: the first steps, which turn Q and are not counted. The error falls as 1/t.
    Raises ValueError: skip outside 0 ... t - 1, t < 2, NaN in the arguments, complex carry leaves.
    """
    state = _State("lyapunov_spectrum", step, params, carry, xs, length)
    if not 0 <= skip < state.length:
        raise ValueError(f"lyapunov_spectrum: skip = {skip} is outside 0 ... t - 1 = {state.length - 1}")

    def body(both, J, counted):
        Q, total = both
        Q, R = jnp.linalg.qr(_mul(J, Q))
        return (Q, total + jnp.where(counted, _log10_diagonal(R), 0)), None

    start = state.eye(), jnp.zeros((state.rows, state.size), state.dtype)
    (_, total), _ = state.over_time(body, start, jnp.arange(state.length) >= skip)
    return state.out(-jnp.sort(-total * (jnp.log(10) / (state.length - skip)), axis=-1))


def _mul(a, b):
    return jnp.matmul(a, b, precision="highest")


def _log10_diagonal(R):
    return jnp.log10(jnp.abs(jnp.diagonal(R, axis1=-2, axis2=-1)))
