"""method="fused": the whole loop over time in one GPU kernel, for any step function.

On a GPU the loop of `lax.scan` waits for the launch of a few small kernels at every step. Here one Pallas kernel runs
all t: it reads the recurrent weights once, keeps them and the carry on the chip, and evaluates the step's own
equations. This is method "deferred" with `lax.scan` replaced, forward and backward: what can be known ahead is computed
before the kernel, and each weight gradient is one product over t and b after it. (Persistent kernels: Diamos et al.,
2016, https://proceedings.mlr.press/v48/diamos16.html; fused cells with block-diagonal heads: Poppel et al., 2024,
arXiv:2412.07752.)

What may run in parallel is read from the equations: an axis that all of them map over (see `Axes`), such as the batch,
the heads of block-diagonal weights, or the units of an element-wise cell, is cut into blocks, a program each. A step
that mixes its rows runs as one program: slower, and as right.

The kernel is Pallas's, by its Triton backend (triton.py) or, on a Hopper, by Mosaic GPU (mosaic.py), which newer
versions of JAX keep when Triton's is gone. The tests interpret either, and lower it for a GPU. On an H100 `heads_lstm`
ran by Triton, forward and backward, in 5.4 ms at 16x1024x768x768 in bfloat16, where "deferred" took 25.7
(configs/speed/gpu.py). Mosaic was not run on a GPU yet (2026-11-29): its kernels were compiled for an H100 by the
compiler of CUDA 12.9, without the device, those of the same cell with 255 registers and 112 bytes of them spilled.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import dataclasses
import functools
import importlib.util
from numbers import Integral

import jax
import jax.numpy as jnp

from rnn_jax.methods import deferred, kernels
from rnn_jax.methods.deferred.loop import make_loop
from rnn_jax.methods.fused.kernel import refusal
from rnn_jax.methods.fused.mosaic import Mosaic
from rnn_jax.methods.fused.slices import slice_early
from rnn_jax.methods.fused.triton import Triton
from rnn_jax.tracing import Body

KERNELS = {"triton": Triton, "mosaic": Mosaic}


@functools.cache
def has_triton() -> bool:
    return importlib.util.find_spec("jax.experimental.pallas.triton") is not None


@dataclasses.dataclass(frozen=True)
class Fused:
    """The method: equal to "deferred" up to rounding, in reverse mode of any order.

    block_b    rows of the batch per program; the batch is padded to a multiple of it. None: 16 by Triton, 64 by Mosaic,
               which wants a multiple of 64.
    num_warps  per program, of 32 threads each, by Triton. Mosaic has 4.
    memory     limit in bytes of what a program holds on the chip, weights and x of a step: what an H100 has for it (an
               A100 has 163 KiB). With block-diagonal heads, params [heads d_h k d_h], a program has one head.
    interpret  None compiles, and needs a GPU. True interprets the kernel on any device, for tests. False compiles for
               whatever it is lowered for.
    backend    "triton" or "mosaic". None: Triton's while JAX has it.

    Triton wants axes that are powers of two, 16 at least in a product, and no slices or concatenations of the carry
    (gates that are slices of one product are taken apart); Mosaic weights of whole tiles, 64 by 8 and up to 256 columns
    in half precision. Float32 products are TF32, as elsewhere on such a GPU; where `jax.default_matmul_precision` says
    otherwise Triton follows, and Mosaic refuses. A kernel is not partitioned: where the batch is sharded over
    devices, call it within `jax.shard_map(..., check_vma=False)`.

    >>> rnn_jax.scan(step, params, carry, xs, method=rnn_jax.methods.Fused(block_b=32))
    """

    block_b: int | None = None
    num_warps: int = 8
    memory: int = 227 * 1024
    interpret: bool | None = None
    backend: str | None = None

    def __post_init__(self):
        for name in ("block_b", "num_warps"):
            n = getattr(self, name)
            if n is not None and (not isinstance(n, Integral) or n < 1 or n & (n - 1)):
                raise ValueError(f"fused: {name} is a power of two, got {n!r}")

        if self.backend not in (None, *KERNELS):
            raise ValueError(f'fused: backend is "triton" or "mosaic", got {self.backend!r}')

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        platform = jax.default_backend()
        if self.interpret is None and platform != "gpu":
            raise refusal(f'needs a GPU, and JAX runs on "{platform}" (in tests, methods.Fused(interpret=True))')
        backend = self.backend or ("triton" if has_triton() else "mosaic")
        if backend == "triton" and not has_triton():
            raise refusal("this version of JAX has no Pallas for Triton")
        kernel = lambda jaxpr, n_consts, n_carry: KERNELS[backend](jaxpr, n_consts, n_carry, self)
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
