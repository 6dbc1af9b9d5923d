"""method="native": the whole loop over time as machine code for this CPU, for any step function.

XLA runs a loop on a CPU operation by operation: some thirty kernels and copies a step for an LSTM, its products by
routines made for larger ones. Here the equations of the step, forward and backward, are written as one C++ loop (see
`code`), which the machine's compiler makes into one function (see `build`): products with weights that are packed
before the loop, in blocks that stay in registers (runtime.cc), and between them one vectorised loop over all that is
element-wise; sums over the last axis are vectors, too (loop.h). This is method "deferred" with `lax.scan` replaced:
what can be known ahead is computed before. Where the batch has ROWS for each thread, products of x and the gradients of
weights are part of the loop, a block of steps at a time (see `blocks`); with fewer they are one product over t and b by
XLA, on all threads.

Rows of the batch that no equation mixes are divided among XLA's threads, once for all t; networks that vmap trains side
by side are, too. A sum over rows that is only added up over the steps, such as the gradient of a bias that the loop
reads, is one of each thread's rows, and those are added at the end. Where the step mixes its rows otherwise, the loop
runs on one thread.

It needs a C++ compiler ($CXX, c++, g++ or clang++; RNN_JAX_NATIVE=0 makes "auto" do without): 0.1 to 0.3 s for each
loop, and once on a machine (see `build`). float32 or float64; complex values are pairs (see `complexes`). Reverse mode
of any order works, the second one by `lax.scan`; a loop that vmap maps is as many loops in one call. Figures:
configs/speed/default.py.
"""

# pyright: reportAttributeAccessIssue=false
# (the types of jaxprs are not in JAX's annotations)

import functools
import os
import warnings

import jax
import jax.numpy as jnp

from rnn_jax.methods import deferred, kernels
from rnn_jax.methods.deferred.loop import in_turn, make_loop
from rnn_jax.methods.deferred.placement import AHEAD
from rnn_jax.methods.deferred.plan import Plan
from rnn_jax.methods.deferred.step import loop_step
from rnn_jax.methods.fused.slices import slice_early
from rnn_jax.methods.native.build import problem
from rnn_jax.methods.native.call import call
from rnn_jax.methods.native.code import Code
from rnn_jax.methods.native.complexes import apart, in_pairs, together
from rnn_jax.methods.native.expressions import Refused
from rnn_jax.tracing import Body, flatten

ROWS = 8  # for each thread: fewer do not fill a block of registers


def run(body: Body, fixed, carry, xs, length: int, reverse: bool, strict=True):
    """The method. strict: refuse a loop for which there is no code; else XLA runs that one, which is told."""
    if jax.default_backend() != "cpu":
        raise Refused(f'needs a CPU, and JAX runs on "{jax.default_backend()}"')
    make = functools.partial(make_loop, run=functools.partial(scan, strict=strict), turning=False)
    if inside := takes_in(body):
        body = slice_early(body, length, AHEAD)
    return deferred.run(body, fixed, carry, xs, length, reverse, make, inside)


def takes_in(body: Body) -> bool:
    """Are products of x and weight gradients part of the loop?"""
    carry = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    return max((v.aval.shape[0] for v in carry if v.aval.ndim > 1), default=1) >= ROWS * threads()


@functools.cache
def threads() -> int:
    """As many as XLA has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scan(step, carry, xs, length: int, reverse: bool, strict: bool):
    try:
        return kernels.scan(loop, step, carry, xs, length, reverse, nexts=True)
    except Refused as refused:
        if strict:
            raise
        warnings.warn(f'a loop runs by XLA (native: {refused.why}); try method="deferred"', stacklevel=2)
        return in_turn(step, carry, xs, length, reverse)


def loop(jaxpr, n_consts: int, n_carry: int, ends):
    code = Code(*in_pairs(jaxpr, n_consts, n_carry, ends))

    def looped(consts, carry, xs, length: int, reverse: bool):
        out = call(code, apart([*consts, *carry, *xs], jaxpr.invars), length, reverse)
        out = together(out, jaxpr.outvars)
        return out[:n_carry], out[n_carry:]

    return looped


def unfit(plan: Plan) -> str:
    """Why it is not what "auto" picks on a CPU for this step; empty where it is."""
    if jax.device_count() > 1:
        return "there are several devices"
    body, one = plan.body, loop_step(plan)
    carry = body.jaxpr.invars[body.n_fixed : body.n_fixed + body.n_carry]
    read = [*plan.loop_once, *carry, *plan.loop_ahead]
    if any(v.aval.dtype in (jnp.float64, jnp.complex128) for v in read):
        return "it is not in float32"
    types = lambda vs: [v.aval for v in vs]
    try:
        jaxpr, consts = flatten(
            jax.make_jaxpr(lambda once, carry, ahead: one(once, ahead, carry))(
                types(plan.loop_once), types(carry), types(plan.loop_ahead)
            ),
            keep_names=False,
        )
        code = Code(*in_pairs(jaxpr, len(consts) + len(plan.loop_once), body.n_carry, {}))
    except Refused as refused:
        return refused.why
    return f"XLA is faster at its {', '.join(sorted(code.slow))}" if code.slow else problem()
