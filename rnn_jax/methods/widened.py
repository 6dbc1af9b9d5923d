"""A step in float32 in place of bfloat16 or float16: what "auto" runs on a CPU.

XLA's loops on a CPU turn each value of half precision to float32, compute, and round, one operation at a time: a
sigmoid times h plus h takes 24 us of 32 x 512 values in bfloat16, and 6 in float32 (its products take as long). Here
values are rounded where they enter and leave the layer, not in between; what a gradient keeps takes twice the memory.

Measured 2026-11-27, jax 0.10.2, 2 CPU cores (Zen 5), the gradient in bfloat16, "deferred" over this: 6.6, 2.0 and 2.0
for the LSTM at 20x200x6x50, 32x100x64x128 and 50x50x128x128, 5.2, 2.8 and 2.1 for the GRU, 4.1, 2.4, 1.8 for tanh
(configs/speed/default.py).
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.equations import half
from rnn_jax.tracing import Body, flatten, inner_jaxprs

REINTERPRETING = ("bitcast_convert_type", "reduce_precision", "nextafter")


def wide(dtype):
    """float32 for a dtype of half precision; others stay."""
    return jnp.dtype(jnp.float32) if half(dtype) else dtype


def widen(value):
    return value.astype(jnp.float32) if half(value.dtype) else value


def widened(body: Body) -> Body | None:
    """The body in float32. None where nothing in it is half, or an equation cannot be had in another type: one that
    holds equations itself (a relu with its own gradient, a cond), one that reads bits."""
    if not any(half(v.aval.dtype) for v in body.jaxpr.invars):
        return None
    jaxpr, _ = flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)
    for eqn in jaxpr.eqns:
        halves = any(half(v.aval.dtype) for v in [*eqn.invars, *eqn.outvars])
        if halves and (eqn.primitive.name in REINTERPRETING or eqn.effects or any(inner_jaxprs(eqn))):
            return None

    def run(*args):
        env = dict(zip(jaxpr.invars, args, strict=True))
        read = lambda a: widen(jnp.asarray(a.val, a.aval.dtype)) if isinstance(a, core.Literal) else env[a]
        for eqn in jaxpr.eqns:
            params = {k: wide(v) if isinstance(v, jnp.dtype) else v for k, v in eqn.params.items()}
            out = eqn.primitive.bind(*map(read, eqn.invars), **params)
            env.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out], strict=True))
        return [read(a) for a in jaxpr.outvars]

    closed = jax.make_jaxpr(run)(*(v.aval.update(dtype=wide(v.aval.dtype)) for v in jaxpr.invars))
    flat, consts = flatten(closed)
    return None if consts else Body(flat, body.n_fixed, body.n_carry)
