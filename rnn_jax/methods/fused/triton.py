"""The kernel by Pallas's Triton backend: whole blocks in registers, rows of a batch from 16 on."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply, half
from rnn_jax.methods.fused.axes import ELEMENTWISE
from rnn_jax.methods.fused.kernel import Kernel, elementwise, refusal


class Triton(Kernel):
    ROWS = 16

    def program(self, inputs, outputs, length, reverse):
        from jax.experimental import pallas as pl
        from jax.experimental.pallas import triton

        if not self.options.interpret:
            self.demand_gpu()
        cut = list(self.blocks)

        def spec(v, lead):
            at = [cut.index(axis) if axis in cut else None for axis in self.axes.of_all(v)]
            index = lambda *ids: (*(0 for _ in lead), *(0 if i is None else ids[i] for i in at))
            return pl.BlockSpec((*lead, *self.block(v)), index)

        def run(*refs):
            xs, rest = refs[self.then : len(inputs)], refs[len(inputs) :]
            last, ys = rest[: self.n_carry], rest[self.n_carry :]
            consts = [r[...] for r in refs[: self.first]]

            def one(i, carry):
                t = length - 1 - i if reverse else i
                out = self.evaluate(self.jaxpr, [*consts, *carry, *(r[t] for r in xs)], self.equation)
                for r, y in zip(ys, out[self.n_carry :], strict=True):
                    r[t] = y
                return out[: self.n_carry]

            carry = lax.fori_loop(0, length, one, [r[...] for r in refs[self.first : self.then]])
            for r, a in zip(last, carry, strict=True):
                r[...] = a

        return pl.pallas_call(
            run,
            grid=self.grid() or (1,),
            in_specs=[spec(*one) for one in inputs],
            out_specs=[spec(*one) for one in outputs],
            out_shape=[jax.ShapeDtypeStruct((*lead, *self.padded(v)), v.aval.dtype) for v, lead in outputs],
            interpret=bool(self.options.interpret),
            name="rnn_jax_fused",
            compiler_params=triton.CompilerParams(num_warps=self.options.num_warps, num_stages=2),
        )

    def equation(self, eqn, values):
        if eqn.primitive.name == "dot_general":
            return [product(eqn, *values).reshape(self.block(eqn.outvars[0]))]
        if eqn.primitive.name in ELEMENTWISE:
            return [elementwise(eqn, values)]
        small = resized(eqn, [self.block(v) for v in eqn.outvars])
        read = {a: value for a, value in zip(eqn.invars, values, strict=True) if not isinstance(a, core.Literal)}
        return apply(small, list(read.values()))

    def demand_gpu(self):
        """Refuses what Triton does not compile, before it is asked to."""
        for eqn in self.axes.products:
            shapes = [[n for n in self.block(v) if n != 1] for v in eqn.invars]
            if any(len(shape) != 2 or min(shape) < 16 for shape in shapes):
                why = f"a GPU multiplies matrices of at least 16 by 16, got {shapes[0]} by {shapes[1]}"
                if max(map(len, shapes)) > 2:
                    why += " (heads are apart where no equation within the loop joins them, nor a reshape)"
                raise refusal(why)
        for v in self.axes.seen:
            if (n := math.prod(self.block(v))) & (n - 1):
                raise refusal(f"a GPU wants axes that are powers of two, and the step has a value {v.aval.str_short()}")


def product(eqn, a, b):
    """A dot_general without its axes of size 1: that of one head, of which it is a batch axis, multiplies matrices.
    Half precision is summed in float32."""
    (contract, batch), out = eqn.params["dimension_numbers"], eqn.outvars[0].aval.dtype
    kind = jnp.float32 if half(out) else eqn.params["preferred_element_type"]
    kwargs = {"precision": eqn.params["precision"], "preferred_element_type": kind}
    if any(a.shape[i] != 1 for i in batch[0]):
        return lax.dot_general(a, b, (contract, batch), **kwargs).astype(out)
    sides = []
    for x, c in zip((a, b), contract, strict=True):
        kept = [i for i, n in enumerate(x.shape) if n != 1 or i in c]
        sides.append((x.reshape([x.shape[i] for i in kept]), [kept.index(i) for i in c]))
    (a, left), (b, right) = sides
    return lax.dot_general(a, b, ((left, right), ((), ())), **kwargs).astype(out)


def resized(eqn, blocks):
    """The equation with the shapes of blocks in its parameters."""
    kind, params = eqn.primitive.name, dict(eqn.params)
    if kind in ("broadcast_in_dim", "iota"):
        params["shape"] = blocks[0]
    elif kind == "reshape":
        params["new_sizes"] = blocks[0]
    elif kind == "slice":
        whole = [n == m for n, m in zip(eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape, strict=True)]
        ends = zip(whole, blocks[0], params["limit_indices"], strict=True)
        params["limit_indices"] = tuple(block if w else end for w, block, end in ends)
    return eqn.replace(params=params)
