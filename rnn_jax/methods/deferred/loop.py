"""The loop, with a backward pass of its own in which no weight gradient is summed step by step."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import custom_derivatives, lax
from jax.extend import core

from rnn_jax.methods.deferred.backward import total_dtype, trace_backward
from rnn_jax.methods.deferred.equations import product
from rnn_jax.methods.deferred.layout import is_turned, sum_over_time, turn
from rnn_jax.methods.deferred.placement import AHEAD, is_float, weight_of
from rnn_jax.methods.deferred.plan import Plan, weight_after
from rnn_jax.methods.deferred.rewriting import Sum, in_type
from rnn_jax.methods.deferred.step import loop_step
from rnn_jax.tracing import vary

# Steps in an iteration of the loop. On an H100 4 took 0.52 to 0.78 of the time of 1; 8 took 0.85 to 1.02 of the time of
# 4, and twice as long to compile (configs/speed/gpu.py).
UNROLL = {"gpu": 4}


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
    eqn = eqn.replace(invars=[core.Var(v.aval) for v in eqn.invars])  # two operands, whatever they were named
    if wide != weight.dtype:
        eqn, u, dz = in_type(eqn, wide), u.astype(wide), dz.astype(wide)
    pair = lambda weight: [u, weight] if w == 1 else [weight, u]
    stacked = [i != w for i in range(2)]
    return jax.linear_transpose(lambda weight: product(eqn, pair(weight), stacked), weight.update(dtype=wide))(dz)[0]
