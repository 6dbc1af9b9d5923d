"""method="fused": the whole loop over time in one GPU kernel, for any step function.

On a GPU the loop of `lax.scan` waits for the launch of a few small kernels at every step. Here one Pallas kernel (its
Triton backend) runs all t: it reads the recurrent weights once, keeps them and the carry on the chip, and evaluates
the step's own equations. This is method "deferred" with `lax.scan` replaced, forward and backward: what can be known
ahead is computed before the kernel, and each weight gradient is one product over t and b after it. (Persistent kernels:
Diamos et al., 2016, https://proceedings.mlr.press/v48/diamos16.html; fused cells with block-diagonal heads: Poppel et
al., 2024, arXiv:2412.07752.)

What may run in parallel is read from the equations: an axis that all of them map over (see `Axes`), such as the batch,
the heads of block-diagonal weights, or the units of an element-wise cell, is cut into blocks, a program each. A step
that mixes its rows runs as one program: slower, and as right.

The tests interpret the kernel, and lower it for a GPU. On an H100 `heads_lstm` ran, forward and backward, in 5.3 ms
at 16x1024x768x768 in bfloat16, where "deferred" took 24.2 (configs/speed/gpu.py); its values were not compared there.
Compiled for an H100 (by the compiler of JAX 0.7.2, without the device), it keeps the weights in shared memory
throughout the loop.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import dataclasses
import functools
from numbers import Integral

import jax
import jax.numpy as jnp

from rnn_jax.methods import deferred, kernels
from rnn_jax.methods.deferred.loop import make_loop
from rnn_jax.methods.fused.kernel import Kernel, refusal
from rnn_jax.methods.fused.slices import slice_early
from rnn_jax.tracing import Body


@dataclasses.dataclass(frozen=True)
class Fused:
    """The method: equal to "deferred" up to rounding, in reverse mode of any order.

    block_b    rows of the batch per program; the batch is padded to a multiple of it.
    num_warps  per program, of 32 threads each.
    memory     limit in bytes of what a program holds on the chip, weights and x of a step: what an H100 has for it (an
               A100 has 163 KiB). With block-diagonal heads, params [heads d_h k d_h], a program has one head.
    interpret  None compiles, and needs a GPU. True interprets the kernel on any device, for tests. False compiles for
               whatever it is lowered for.

    A GPU wants axes that are powers of two, 16 at least in a product, and no slices or concatenations of the carry
    (gates that are slices of one product are taken apart). Its float32 products are TF32, as elsewhere on such a GPU,
    unless `jax.default_matmul_precision` says otherwise. A kernel is not partitioned: where the batch is sharded over
    devices, call it within `jax.shard_map(..., check_vma=False)`.

    >>> rnn_jax.scan(step, params, carry, xs, method=rnn_jax.methods.Fused(block_b=32))
    """

    block_b: int = 16
    num_warps: int = 8
    memory: int = 227 * 1024
    interpret: bool | None = None

    def __post_init__(self):
        for name in ("block_b", "num_warps"):
            n = getattr(self, name)
            if not isinstance(n, Integral) or n < 1 or n & (n - 1):
                raise ValueError(f"fused: {name} is a power of two, got {n!r}")

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        backend = jax.default_backend()
        if self.interpret is None and backend != "gpu":
            raise refusal(f'needs a GPU, and JAX runs on "{backend}" (in tests, methods.Fused(interpret=True))')
        kernel = lambda jaxpr, n_consts, n_carry: Kernel(jaxpr, n_consts, n_carry, self)
        make = functools.partial(make_loop, run=functools.partial(kernels.scan, kernel))
        return deferred.run(slice_early(body, length), fixed, carry, xs, length, reverse, make)

    def refuses(self, body: Body) -> str:
        """Why it does not take this step, forward and backward; empty where it does. Nothing is run."""
        steps, avals = 2, [v.aval for v in body.jaxpr.invars]
        x = body.n_fixed + body.n_carry
        types = [jax.ShapeDtypeStruct((steps,) * (i >= x) + a.shape, a.dtype) for i, a in enumerate(avals)]
        smooth = [i for i, a in enumerate(types) if jnp.issubdtype(a.dtype, jnp.floating)]

        def loss(floats, values):
            values = [floats[smooth.index(i)] if i in smooth else a for i, a in enumerate(values)]
            out = jax.tree.leaves(
                self(body, values[: body.n_fixed], values[body.n_fixed : x], values[x:], steps, False)
            )
            floats = (jnp.sum(a.astype(jnp.float32)) for a in out if jnp.issubdtype(a.dtype, jnp.floating))
            return sum(floats, jnp.zeros(()))

        try:
            jax.eval_shape(jax.grad(loss), [types[i] for i in smooth], types)
        except ValueError as e:
            return str(e)
        return ""
