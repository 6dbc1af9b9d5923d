"""The loop as an operation of JAX's: its source is compiled while XLA compiles the program; vmap adds loops."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (what makes a primitive is not in JAX's annotations)

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.interpreters import batching, mlir

from rnn_jax.methods.native.build import TARGET, start
from rnn_jax.methods.native.code import Code

loop_p = core.Primitive("native_loop")  # consts, carry, xs [t ...] -> carry, ys [t ...], each [*added ...]
loop_p.multiple_results = True


def call(code: Code, values, length: int, reverse: bool):
    """The loop's carry and ys, one list."""
    return loop_p.bind(*values, code=code, length=length, reverse=reverse, added=())


def types(*avals, code, length, reverse, added):
    steps = lambda i: (length,) if i >= code.n_carry else ()
    shapes = [(*added, *steps(i), *v.aval.shape) for i, v in enumerate(code.outs)]
    return [v.aval.update(shape=shape, weak_type=False) for v, shape in zip(code.outs, shapes, strict=True)]


def lower(ctx, *values, code, length, reverse, added):
    rule = jax.ffi.ffi_lowering(TARGET)
    return rule(ctx, *values, loop=start(code.source), steps=np.int64(length), reverse=np.int64(reverse))


def batch(values, axes, *, code, length, reverse, added):
    """A loop for each index of the new axis, which stands first; what is not mapped is there once."""
    n = next(v.shape[axis] for v, axis in zip(values, axes, strict=True) if isinstance(axis, int))
    lead = lambda v, axis: jnp.moveaxis(v, axis, 0) if isinstance(axis, int) else v[None]
    values = [lead(v, axis) for v, axis in zip(values, axes, strict=True)]
    out = loop_p.bind(*values, code=code, length=length, reverse=reverse, added=(n, *added))
    return out, [0] * len(out)


@functools.lru_cache
def evaluated(**params):
    return jax.jit(functools.partial(loop_p.bind, **params))


loop_p.def_impl(lambda *values, **params: evaluated(**params)(*values))
loop_p.def_abstract_eval(types)
mlir.register_lowering(loop_p, lower, platform="cpu")
batching.primitive_batchers[loop_p] = batch
