"""The kernel: the equations of a step, on blocks of their values, in a loop over time."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply, half
from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.fused.axes import ELEMENTWISE, Axes, called


def refusal(why):
    return ValueError(f'fused: {why}; use method="deferred", which takes any step')


class Kernel:
    """A step (*consts, *carry, *x) -> (*carry, *y), as equations, to be run over time."""

    def __init__(self, jaxpr: core.Jaxpr, n_consts: int, n_carry: int, options):
        if jaxpr.effects:
            raise refusal("the step has callbacks or prints")
        if any(jax.dtypes.issubdtype(v.aval.dtype, jax.dtypes.extended) for v in jaxpr.invars):
            raise refusal("the step draws random numbers from a key within the loop")
        if any(jnp.issubdtype(v.aval.dtype, jnp.complexfloating) for v in jaxpr.invars):
            raise refusal("a kernel has no complex numbers")
        self.jaxpr, self.options, self.n_carry = jaxpr, options, n_carry
        self.first, self.then = n_consts, n_consts + n_carry  # of the inputs: the first carry, and the first x
        self.axes = Axes(jaxpr, jaxpr.invars[self.first : self.then])
        self.blocks = self.axes.blocks(options.block_b)
        self.demand_memory()

    def __call__(self, consts, carry, xs, length: int, reverse: bool):
        """consts, carry, xs [t ...] -> (carry, ys [t ...])."""
        from jax.experimental import pallas as pl

        try:
            from jax.experimental.pallas import triton
        except ImportError as e:
            raise refusal("this version of JAX has no Pallas for Triton") from e

        inputs = [(v, (length,) if i >= self.then else ()) for i, v in enumerate(self.jaxpr.invars)]
        outputs = [(v, (length,) if i >= self.n_carry else ()) for i, v in enumerate(self.jaxpr.outvars)]
        cut = list(self.blocks)

        def spec(v, lead):
            at = [cut.index(axis) if axis in cut else None for axis in self.axes.of_all(v)]
            index = lambda *ids: (*(0 for _ in lead), *(0 if i is None else ids[i] for i in at))
            return pl.BlockSpec((*lead, *self.block(v)), index)

        def program(*refs):
            xs, rest = refs[self.then : len(inputs)], refs[len(inputs) :]
            last, ys = rest[: self.n_carry], rest[self.n_carry :]
            consts = [r[...] for r in refs[: self.first]]

            def one(i, carry):
                t = length - 1 - i if reverse else i
                out = self.evaluate(self.jaxpr, [*consts, *carry, *(r[t] for r in xs)])
                for r, y in zip(ys, out[self.n_carry :], strict=True):
                    r[t] = y
                return out[: self.n_carry]

            carry = lax.fori_loop(0, length, one, [r[...] for r in refs[self.first : self.then]])
            for r, a in zip(last, carry, strict=True):
                r[...] = a

        call = pl.pallas_call(
            program,
            grid=tuple(-(-self.axes.size(axis) // block) for axis, block in self.blocks.items()) or (1,),
            in_specs=[spec(*one) for one in inputs],
            out_specs=[spec(*one) for one in outputs],
            out_shape=[jax.ShapeDtypeStruct((*lead, *self.padded(v)), v.aval.dtype) for v, lead in outputs],
            interpret=bool(self.options.interpret),
            name="rnn_jax_fused",
            compiler_params=triton.CompilerParams(num_warps=self.options.num_warps, num_stages=2),
        )
        args = [pad(a, (*lead, *self.padded(v))) for a, (v, lead) in zip([*consts, *carry, *xs], inputs, strict=True)]
        if not self.options.interpret:
            self.demand_gpu(call, args)
        out = [a[tuple(map(slice, (*lead, *v.aval.shape)))] for a, (v, lead) in zip(call(*args), outputs, strict=True)]
        return out[: self.n_carry], out[self.n_carry :]

    def block(self, v) -> tuple[Any, ...]:
        """The shape of a value within one program."""
        return tuple(self.blocks.get(axis, n) for axis, n in zip(self.axes.of_all(v), v.aval.shape, strict=True))

    def bytes(self, v):
        return math.prod(self.block(v)) * v.aval.dtype.itemsize

    def padded(self, v):
        """The shape of a value of all programs."""
        return tuple(n + -n % block for n, block in zip(v.aval.shape, self.block(v), strict=True))

    def evaluate(self, jaxpr: core.Jaxpr, args):
        """The equations on the blocks of one program."""
        env: dict[Any, Any] = dict(zip(jaxpr.invars, args, strict=True))
        value = lambda a: np.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]
        for eqn in jaxpr.eqns:
            values = [value(a) for a in eqn.invars]
            if (inside := called(eqn)) is not None:
                made = self.evaluate(inside, values)
            elif eqn.primitive.name == "dot_general":
                made = [product(eqn, *values).reshape(self.block(eqn.outvars[0]))]
            elif eqn.primitive.name in ELEMENTWISE:
                made = [elementwise(eqn, values)]
            else:
                small = resized(eqn, [self.block(v) for v in eqn.outvars])
                made = apply(small, [env[v] for v in dict.fromkeys(variables(eqn.invars))])
            env.update(zip(eqn.outvars, made, strict=True))
        return [jnp.asarray(value(a)) for a in jaxpr.outvars]

    def demand_memory(self):
        """Refuses what does not fit on the chip: weights, x of a step (read ahead), and what is multiplied by them."""
        weights, x = self.jaxpr.invars[: self.first], self.jaxpr.invars[self.then :]
        operands = [v for e in self.axes.products for v in e.invars if v not in weights]
        of_weights, of_all = (sum(map(self.bytes, part)) for part in (weights, [*weights, *x, *operands]))
        if of_all > self.options.memory:
            kib = lambda n: f"{n / 1024:.0f} KiB"
            raise refusal(
                f"a program would hold {kib(of_all)} on the chip, {kib(of_weights)} of them weights, and the limit is "
                f"{kib(self.options.memory)} (`memory`): make the weights block-diagonal heads of d <= 128, or narrower"
            )

    def demand_gpu(self, call, args):
        """Refuses what Pallas's Triton backend does not compile, before it is asked to."""
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
        types = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in args]
        try:
            jax.jit(call).trace(*types).lower(lowering_platforms=("cuda",))
        except Exception as e:
            why = (str(e).strip() or repr(e)).splitlines()[0]
            raise refusal(f"Pallas does not compile this step for a GPU ({why})") from e


def pad(a, shape):
    return jnp.pad(a, [(0, n - m) for n, m in zip(shape, a.shape, strict=True)]) if a.shape != shape else a


def elementwise(eqn, values):
    """Half precision is computed in float32 and rounded, as XLA does: a GPU has no other form of most functions."""
    out = eqn.outvars[0].aval.dtype
    made = eqn.primitive.bind(*(a.astype(jnp.float32) if half(a.dtype) else a for a in values), **eqn.params)
    return made.astype(out) if half(out) else made


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
