"""method="newton": any step function in parallel over time, forward and backward (DEER: Lim et al., 2024,
arXiv:2309.12252; quasi-DEER and ELK: Gonzalez et al., 2024, arXiv:2407.19115).

The states s_1..s_t of a sequence are the root of s_t - f(s_{t-1}, x_t). Newton's method evaluates f and its Jacobian at
all steps at once, at a guess, and corrects the guess by the linear recurrence d_t = J_t d_{t-1} + (f_t - s_t), which is
itself parallel over time. The backward pass is such a root as well, of the adjoint step: the same code solves it.
"""

import dataclasses
import functools
from numbers import Integral, Real
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.methods import deferred
from rnn_jax.methods.deferred.step import loop_step
from rnn_jax.methods.linear import apply, product, recurrence, shift, transpose
from rnn_jax.methods.states import Layout, demand_parallel, nothing
from rnn_jax.tracing import Body

TRUST = 4  # how far beyond the largest value of f, over time, a unit's guess may go


@dataclasses.dataclass(frozen=True)
class Newton:
    """The method.

    jacobian    "full": of each row's state, d by d, quadratic convergence, O(t b d^2) memory. "diagonal": of each unit
                alone (of its h and c together, in an LSTM), O(t b d) memory, more iterations, the same root.
    damping     0 is Newton's method. Above, Levenberg and Marquardt's (ELK): a correction is held near 0 by a parallel
                Kalman smoother, with this weight times the residual (Yamashita & Fukushima, 2001), where plain
                iterations overshoot. The same root.
    tolerance   of the residual |f(s_{t-1}) - s_t| over the largest state of the row up to t; None is 32 times the
                resolution of float32 or float64, 4 times that of a narrower type. One more iteration follows, and is
                kept if it helps: where convergence is quadratic, the rest is rounding.
    iterations  at most; then an error is raised and the values are NaN. Without damping t suffice.

    Reports by `collect`: "newton/iterations", int [t], after how many iterations each step was within the
    tolerance, and "newton/residual" [t]. Needs float leaves in the carry, no callbacks in the step. Rows of the leading
    axis that all leaves of a carry share count as independent in the Jacobian; where they are not, it converges later.

    >>> rnn_jax.scan(step, params, carry, xs, method=rnn_jax.methods.Newton(jacobian="diagonal"))
    """

    jacobian: Literal["full", "diagonal"] = "full"
    damping: float = 0.0
    tolerance: float | None = None
    iterations: int = 100

    reports = ("newton/iterations", "newton/residual")

    def __post_init__(self):
        if self.jacobian not in ("full", "diagonal"):
            raise ValueError(f"newton: jacobian is 'full' or 'diagonal', got {self.jacobian!r}")
        right = {
            "damping": isinstance(self.damping, Real) and self.damping >= 0,
            "iterations": isinstance(self.iterations, Integral) and self.iterations >= 1,
            "tolerance": self.tolerance is None or (isinstance(self.tolerance, Real) and self.tolerance > 0),
        }
        if wrong := [f"{name}={getattr(self, name)!r}" for name, is_right in right.items() if not is_right]:
            raise ValueError(
                "newton: damping is a number of at least 0, iterations an int of at least 1, tolerance above 0 or "
                f"None; got {', '.join(wrong)}"
            )

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        if nothing(carry):
            report = {name: jnp.zeros(length, kind) for name, kind in zip(self.reports, (jnp.int32, None), strict=True)}
            return *deferred.run(body, fixed, carry, xs, length, reverse), report
        report = {"newton/iterations": jnp.zeros(length, jnp.int32), "newton/residual": jnp.zeros(length)}

        def make(plan, length, reverse):
            demand_parallel(plan, "newton")
            step = loop_step(plan)

            def loop(once, ahead, carry):
                states, counts = trajectory(lambda *args: step(*args)[0], self, length, reverse)(once, ahead, carry)
                report.update(zip(self.reports, counts, strict=True))
                before = [shift(c, s, reverse) for c, s in zip(carry, states, strict=True)]
                _, out = jax.vmap(step, (None, 0, 0))(once, ahead, before)
                return [s[0 if reverse else -1] for s in states], out

            return loop

        return *deferred.run(body, fixed, carry, xs, length, reverse, make), report


def trajectory(step, options: Newton, length: int, reverse: bool):
    """(fixed, xs [t ...], first) -> (states [t ...], (iterations [t], residual [t])) of step(fixed, x, state)."""
    everywhere = jax.vmap(step, (None, 0, 0))

    @jax.custom_vjp
    def solve(fixed, xs, first):
        return iterate(step, options, length, reverse, fixed, xs, first)

    def forward(fixed, xs, first):
        states, counts = solve(fixed, xs, first)
        return (states, counts), (fixed, xs, first, states)

    def backward(residuals, cotangents):
        """m_t = J_t^T (ds_t + m_{t+1}) reaches the state before step t, and ds_t + m_{t+1} the params at step t."""
        fixed, xs, first, states = residuals
        ds = cotangents[0]
        before = [shift(k, s, reverse) for k, s in zip(first, states, strict=True)]

        def adjoint(fixed, at, m):
            x, state, ds = at
            return jax.vjp(lambda state: step(fixed, x, state), state)[1](_add(ds, m))[0]

        zero = jax.tree.map(jnp.zeros_like, first)
        # The adjoint is linear in m: whole Jacobians solve it at once, where damping would only hold them back.
        straight = dataclasses.replace(options, damping=0.0) if options.jacobian == "full" else options
        m, _ = trajectory(adjoint, straight, length, not reverse)(fixed, (xs, before, ds), zero)
        reaching = _add(ds, [shift(z, a, not reverse) for z, a in zip(zero, m, strict=True)])
        d_fixed, d_xs = jax.vjp(lambda fixed, xs: everywhere(fixed, xs, before), fixed, xs)[1](reaching)
        return d_fixed, d_xs, [a[-1 if reverse else 0] for a in m]

    solve.defvjp(forward, backward)
    return solve


def iterate(step, options: Newton, length, reverse, fixed, xs, first):
    """The root, by Newton's iterations on packed states [t rows units k]."""
    layout = Layout(first, "full" if options.jacobian == "full" else "units")
    packed = layout.pack(first)
    advance = lambda x, state: layout.pack(step(fixed, x, layout.unpack(state)))
    at_all = jax.vmap(advance)
    jacobians = jax.vmap(lambda x, state: layout.jacobian(functools.partial(advance, x), state))
    real = jnp.finfo(packed.dtype).dtype
    tolerance = options.tolerance or layout.resolution

    def residual(states, new):
        """[t]: how far each step is from f of the one before it, against the largest state of its row so far: one that
        blows up later on must not excuse an error before."""
        largest = jnp.max(jnp.abs(new), axis=(2, 3))
        scale = lax.cummax(jnp.maximum(largest, jnp.max(jnp.abs(packed), axis=(1, 2))), reverse=reverse)
        each = jnp.max(jnp.abs(new - states), axis=(2, 3)) / jnp.where(scale > 0, scale, 1)
        return jnp.max(each, axis=1).astype(real)

    def improve(states, distance):
        """Newton's correction of a guess, and f of that: every step after a right one is right, and where the cell is
        bounded no guess is far off."""
        before = shift(packed, states, reverse)
        a, new = jacobians(xs, before), at_all(xs, before)
        error = new - states
        if options.damping:
            change = smoothed(a, error, options.damping * jnp.minimum(distance, 1), reverse)
        else:
            change = recurrence(a, error, jnp.zeros_like(packed), reverse)
        # Products of Jacobians overflow far from the root, and an LSTM forgets a huge c only slowly. What overflows
        # takes f's value; no unit passes TRUST times what f gives it anywhere in its row, where that is finite: what
        # overflows late in a row must not take away what is right before.
        corrected = jnp.where(jnp.isfinite(change), states + change, new)
        allowed = TRUST * jnp.max(jnp.where(jnp.isfinite(new), jnp.abs(new), 0), axis=0)
        corrected *= jnp.minimum(1, allowed / jnp.maximum(jnp.abs(corrected), jnp.finfo(real).tiny))
        states = at_all(xs, shift(packed, corrected, reverse))
        return states, residual(states, at_all(xs, shift(packed, states, reverse)))

    def going(state):
        count, _, r, _ = state
        return (count < options.iterations) & ~(jnp.max(r) <= tolerance)

    def one(state):
        count, states, r, since = state
        states, r = improve(states, jnp.max(r))
        since = jnp.where(r <= tolerance, jnp.where(since < 0, count + 1, since), -1)
        return count + 1, states, r, since

    guess = jnp.broadcast_to(packed, (length, *packed.shape))
    r = residual(guess, at_all(xs, shift(packed, guess, reverse)))
    since = jnp.where(r <= tolerance, 0, -1).astype(jnp.int32)
    count, states, r, since = lax.while_loop(going, one, (jnp.int32(0), guess, r, since))
    # One iteration more, where it helps: in float32 products of many Jacobians can be worse than the guess.
    better, r_better = improve(states, jnp.max(r))
    helps = jnp.max(r_better) <= jnp.max(r)
    states, r = jnp.where(helps, better, states), jnp.where(helps, r_better, r)
    converged = jnp.max(r) <= tolerance
    demand_convergence(converged, count, jnp.max(r), tolerance)
    states = at_all(xs, shift(packed, states, reverse))
    return jax.vmap(layout.unpack)(jnp.where(converged, states, jnp.nan)), (since, r)


def demand_convergence(converged, count, residual, tolerance):
    """Raises where the residual stayed above the tolerance, from within the running program."""

    def complain(converged, count, residual):
        if not converged:
            raise ArithmeticError(
                f"newton: after {int(count)} iterations the residual is {float(residual):.1e}, above the tolerance "
                f"{tolerance:.1e}; the values are NaN. Raise `iterations` or `damping` (of rnn_jax.methods.Newton), or "
                'use method="deferred"'
            )

    call = lambda: jax.debug.callback(complain, converged, count, residual)
    lax.cond(converged, lambda: None, call)


def smoothed(a, error, damping, reverse):
    """The change d that minimises sum_t |d_t - A_t d_{t-1} - e_t|^2 + damping |d_t|^2, with d_0 = 0.

    It is the smoothed mean of a Kalman model with transitions A_t, inputs e_t, unit noise, and observations of 0 with
    the precision `damping`: filter and smoother are parallel over time (Sarkka & Garcia-Fernandez, 2021,
    arXiv:1905.13002, lemmas 8 to 11).
    """
    flip = lambda a: jnp.flip(a, 0) if reverse else a
    a, error = flip(a), flip(error)
    eye = jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    gain = damping / (1 + damping)  # of an observation, given the state before: Q (Q + R)^-1
    f = a.at[0].set(0)  # d_0 is known
    at = transpose(f)
    elements = (1 - gain) * f, (1 - gain) * error, (1 - gain) * eye, -gain * apply(at, error), gain * product(at, f)

    def compose(one, two):
        (a1, b1, c1, h1, j1), (a2, b2, c2, h2, j2) = one, two
        inverse = invert(eye[: a1.shape[0]] + product(c1, j2))
        left, right = product(a2, inverse), product(transpose(a1), transpose(inverse))
        return (
            product(left, a1),
            apply(left, b1 + apply(c1, h2)) + b2,
            product(left, product(c1, transpose(a2))) + c2,
            apply(right, h2 - apply(j2, b1)) + h1,
            product(right, product(j2, a1)) + j1,
        )

    _, mean, spread, _, _ = lax.associative_scan(compose, elements)
    ahead = jnp.concatenate([f[1:], jnp.zeros_like(f[:1])])  # A_{t+1}: 0 after the last, so that its mean stays
    back = product(product(spread, transpose(ahead)), invert(product(product(ahead, spread), transpose(ahead)) + eye))
    seen = apply(ahead, mean) + jnp.concatenate([error[1:], jnp.zeros_like(error[:1])])
    return flip(recurrence(back, mean - apply(back, seen), jnp.zeros_like(error[0]), reverse=True))


def invert(a):
    return 1 / a if a.shape[-1] == 1 else jnp.linalg.inv(a)


def _add(a, b):
    return jax.tree.map(jnp.add, a, b)
