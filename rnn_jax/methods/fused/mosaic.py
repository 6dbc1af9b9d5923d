"""The kernel by Pallas's Mosaic GPU backend, for Hopper: weights in shared memory, products of 64 rows by its WGMMA.

A program is one warpgroup. Its carry lies in registers; x of the next step comes into shared memory while a step is
computed. A product wants its left operand in shared memory too, so those are written there.
"""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs and of Pallas's references are not in JAX's annotations)

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.fused.axes import ELEMENTWISE
from rnn_jax.methods.fused.kernel import Kernel, elementwise, refusal

TILE = 1024  # bytes: 8 rows of 128, as WGMMA and copies want them
ASIDE = 4 * TILE  # barriers, and what sums over units take


class Mosaic(Kernel):
    """On the chip a value has no axes of size 1, and its rows come first, however the step orders them: to transpose
    it is to do nothing. Of a weight the axis comes first that products sum over."""

    ROWS = 64

    @functools.cached_property
    def rows(self):
        """The axis that is cut into blocks of rows."""
        n = self.options.block_b or self.ROWS
        if n % 64:
            raise refusal(f"Mosaic multiplies blocks of 64 rows, and block_b is {n}")
        if n not in self.blocks.values():
            raise refusal("Mosaic cuts a batch into blocks of rows, and those of this step meet, or each has a matrix")
        return next(axis for axis, block in self.blocks.items() if block == n)

    @functools.cached_property
    def weights(self) -> dict[Any, int]:
        """The weights that products read, and the axis of each that they sum over."""
        found: dict[Any, int] = {}
        for eqn in self.axes.products:
            for v, axes in zip(eqn.invars, eqn.params["dimension_numbers"][0], strict=True):
                if v in self.jaxpr.invars[: self.first] and [found.setdefault(v, *axes)] != list(axes):
                    raise refusal("Mosaic holds a weight for products along one axis, and the step sums over both")
        return found

    @functools.cached_property
    def slots(self):
        """One value of each shape and type that passes through shared memory, where those without a place of their own
        take turns."""
        operands = [v for e in self.axes.products for v in e.invars]
        values = [v for v in [*self.jaxpr.invars, *operands, *self.jaxpr.outvars] if v not in self.weights]
        return list({self.kind(v): v for v in values if self.order(v)}.values())

    @functools.cached_property
    def own(self) -> tuple[list[int], list[int]]:
        """Which inputs come one step ahead, and which outputs leave while the next step runs: those that there is room
        for. (A single number is read or written when it is there.)"""
        room, chosen = self.options.memory - self.held(), ([], [])
        sides = (self.jaxpr.invars, self.then), (self.jaxpr.outvars, self.n_carry)
        for (values, first), own in zip(sides, chosen, strict=True):
            for i, v in enumerate(values):
                if i >= first and self.order(v) and self.room(v) <= room:
                    own.append(i)
                    room -= self.room(v)
        return chosen

    def held(self):
        return ASIDE + sum(map(self.room, [*self.weights, *self.slots]))

    def room(self, v):
        """Bytes of shared memory, where it begins at a whole tile."""
        return -(-self.bytes(v) // TILE) * TILE

    def order(self, v) -> list[int]:
        """The axes that a value has on the chip, in their order there."""
        axes = self.axes.of_all(v)
        first = axes[self.weights[v]] if v in self.weights else self.rows
        order = sorted((i for i, n in enumerate(self.block(v)) if n != 1), key=lambda i: axes[i] != first)
        return order[::-1] if self.turned(v) else order

    def turned(self, v):
        """WGMMA wants a float32 matrix along the axis that it sums over. (The interpreter transposes no memory.)"""
        return v in self.weights and v.aval.dtype.itemsize == 4 and not self.options.interpret

    def arranged(self, v):
        """The axes of a value in the order that they have in the memory of the GPU."""
        order = self.order(v)
        return [*(i for i in range(v.aval.ndim) if i not in order), *order]

    def kind(self, v):
        """The shape and the type of a value on the chip."""
        return tuple(self.block(v)[i] for i in self.order(v)), stored(v.aval.dtype)

    def program(self, inputs, outputs, length, reverse):
        shared = lambda values: [gpu().SMEM(*self.kind(v)) for v in values]
        names, (ahead, leaving) = tuple(f"axis{i}" for i in range(len(self.blocks))), self.own
        kernel = gpu().kernel(
            lambda *refs, **chip: Program(self, refs, names, length, reverse, **chip).run(),
            out_type=[
                jax.ShapeDtypeStruct((*lead, *(self.padded(v)[i] for i in self.arranged(v))), stored(v.aval.dtype))
                for v, lead in outputs
            ],
            grid=self.grid(),
            grid_names=names,
            scratch_types={
                "weights": shared(self.weights), "slots": shared(self.slots),
                "ahead": shared(self.jaxpr.invars[i] for i in ahead),
                "leaving": shared(self.jaxpr.outvars[i] for i in leaving),
                "come": gpu().Barrier(), "coming": gpu().Barrier(num_arrivals=max(1, len(ahead))),
            },
            interpret=interpreter() if self.options.interpret else None,
            compiler_params=gpu().CompilerParams(lowering_semantics=gpu().LoweringSemantics.Warpgroup),
        )  # fmt: skip

        def call(*args):
            axes = lambda v, lead: [*range(len(lead)), *(len(lead) + i for i in self.arranged(v))]
            back = lambda order: sorted(range(len(order)), key=order.__getitem__)
            args = [a.transpose(axes(*one)).astype(stored(a.dtype)) for a, one in zip(args, inputs, strict=True)]
            made = zip(kernel(*args), outputs, strict=True)
            return [restored(a.transpose(back(axes(*one))), one[0]) for a, one in made]

        return call


class Program:
    """One program as it runs: what it reads and writes in the memory of the GPU, and its part of the chip's."""

    def __init__(self, kernel: Mosaic, refs, names, length, reverse, *, weights, slots, ahead, leaving, come, coming):
        each = lambda values, refs: dict(zip(values, refs, strict=True))
        n = len(kernel.jaxpr.invars)
        self.kernel, self.length, self.reverse, self.come, self.coming = kernel, length, reverse, come, coming
        self.inputs, self.outputs = refs[:n], refs[n:]
        self.weights, self.ahead, self.leaving = each(kernel.weights, weights), *map(each, kernel.own, (ahead, leaving))
        self.slots = each(map(kernel.kind, kernel.slots), slots)
        self.ids = each(kernel.blocks, map(lax.axis_index, names))
        self.holds: dict[Any, Any] = {}  # of the slots: whose value they have

    def run(self):
        kernel, length = self.kernel, self.length
        first, then, n = kernel.first, kernel.then, kernel.n_carry
        if self.ahead and length:
            self.fetch(0)
        held = [self.read(i) for i in range(then)]

        def one(i, carry):
            if self.ahead:
                gpu().barrier_wait(self.coming)
            x = {k: restored(slot[...], kernel.jaxpr.invars[k]) for k, slot in self.ahead.items()}
            if self.ahead:
                pallas().when(i + 1 < length)(lambda: self.fetch(i + 1))
            x |= {k: self.read(k, self.time(i)) for k in range(then, len(self.inputs)) if k not in x}
            self.holds.clear()
            out = kernel.evaluate(kernel.jaxpr, [*held[:first], *carry, *(x[k] for k in sorted(x))], self.equation)
            self.write(out[n:], range(n, len(out)), self.time(i))
            return out[:n]

        carry = lax.fori_loop(0, length, one, held[first:])
        self.write(carry, range(n))
        gpu().wait_smem_to_gmem(0)

    def time(self, i):
        return self.length - 1 - i if self.reverse else i

    def part(self, ref, v, *lead):
        """The block of a value that this program has, in the memory of the GPU."""
        axes, block = self.kernel.axes.of_all(v), self.kernel.block(v)

        def at(i):
            if block[i] == 1:
                return self.ids.get(axes[i], 0)
            return pallas().ds(self.ids[axes[i]] * block[i], block[i]) if axes[i] in self.ids else slice(None)

        return ref.at[(*lead, *map(at, self.kernel.arranged(v)))]

    def fetch(self, i):
        """Sends for what comes ahead of the i-th step."""
        for k, slot in self.ahead.items():
            gpu().copy_gmem_to_smem(
                self.part(self.inputs[k], self.kernel.jaxpr.invars[k], self.time(i)), slot, self.coming
            )

    def read(self, k, *lead):
        """The k-th input now; a weight of products into shared memory."""
        v = self.kernel.jaxpr.invars[k]
        ref, slot = self.part(self.inputs[k], v, *lead), self.weights.get(v, self.slots.get(self.kernel.kind(v)))
        if slot is None:
            return restored(ref[...], v)
        gpu().copy_gmem_to_smem(ref, slot, self.come)
        gpu().barrier_wait(self.come)
        return slot if v in self.weights else restored(slot[...], v)

    def write(self, values, which, *lead):
        """Outputs by way of shared memory: those with a place there have left it when they are written again."""
        targets = {k: self.part(self.outputs[k], self.kernel.jaxpr.outvars[k], *lead) for k in which}
        values = {k: a.astype(stored(a.dtype)) for k, a in zip(which, values, strict=True)}
        gpu().wait_smem_to_gmem(0, wait_read_only=True)
        at_once = [k for k in which if lead and k in self.leaving]
        for k in at_once:
            self.leaving[k][...] = values[k]
        gpu().commit_smem()
        for k in at_once:
            gpu().copy_smem_to_gmem(self.leaving[k], targets[k])
        for k in which:
            slot = self.slots.get(self.kernel.kind(self.kernel.jaxpr.outvars[k]))
            if slot is None:
                targets[k][...] = values[k]
            elif k not in at_once:
                slot[...] = values[k]
                gpu().commit_smem()
                gpu().copy_smem_to_gmem(slot, targets[k])
                gpu().wait_smem_to_gmem(0, wait_read_only=True)

    def equation(self, eqn, values):
        kind, out, of = eqn.primitive.name, eqn.outvars[0], self.kernel
        if kind == "dot_general":
            return [self.product(eqn, *values)]
        if any(v in self.weights for v in variables(eqn.invars)):
            raise refusal(f"Mosaic reads a weight of products in them alone, and the step has {kind} of one")
        if kind in ELEMENTWISE:  # the sum of two gradients has a name of its own, which Mosaic does not know
            values = [a if a.ndim == 0 else self.stretched(a, v, out) for v, a in zip(eqn.invars, values, strict=True)]
            return [elementwise(eqn.replace(primitive=lax.add_p) if kind == "add_any" else eqn, values)]
        if len(eqn.invars) == len(eqn.outvars) == 1:
            (v,), (a,) = eqn.invars, values
            here, there = of.order(v) if v.aval.ndim else [], of.order(out)
            if kind == "broadcast_in_dim":
                return [self.stretched(a, v, out, eqn.params["broadcast_dimensions"])]
            if kind in ("reduce_sum", "reduce_max", "reduce_min"):
                along = tuple(here.index(i) for i in eqn.params["axes"] if i in here)
                return [eqn.primitive.bind(a, **eqn.params | {"axes": along})] if along else [a]
            same = [of.axes.of_all(v)[i] for i in here] == [of.axes.of_all(out)[i] for i in there]
            if kind in ("transpose", "reshape", "squeeze", "copy") and same:
                return [a]
        raise refusal(f"a kernel by Mosaic has no {kind} of values like {out.aval.str_short()}")

    def stretched(self, a, v, out, dims=None):
        """A value v for each index of an outcome, its axis i along dims[i]."""
        here, there = self.kernel.order(v) if v.aval.ndim else [], self.kernel.order(out)
        shape, dims = self.kernel.kind(out)[0], range(v.aval.ndim) if dims is None else dims
        return a if a.shape == shape else lax.broadcast_in_dim(a, shape, [there.index(dims[i]) for i in here])

    def product(self, eqn, a, b):
        """a @ b, of which one is a weight, and the other is written to shared memory unless it is there."""
        v, w = eqn.invars if eqn.invars[1] in self.weights else eqn.invars[::-1]
        if w not in self.weights or v.aval.dtype != w.aval.dtype:
            raise refusal("Mosaic multiplies by weights known before the loop, of the type of what they multiply")
        if v.aval.dtype.itemsize == 4 and eqn.params["precision"] not in (None, (lax.Precision.DEFAULT,) * 2):
            raise refusal("Mosaic multiplies float32 as TF32, and jax.default_matmul_precision asks for more")
        key = self.kernel.kind(v)
        slot = self.slots[key]
        if self.holds.get(key) is not v:
            self.holds[key] = v
            slot[...] = a if v is eqn.invars[0] else b
            gpu().commit_smem()
        out = eqn.outvars[0]
        matrix = gpu().transpose_ref(self.weights[w].at[...], (1, 0)) if self.kernel.turned(w) else self.weights[w]

        def multiply(total):
            gpu().wgmma(total, slot, matrix)
            return total[...]

        made = pallas().run_scoped(multiply, gpu().ACC(self.kernel.kind(out)[0], jnp.float32))
        return made.astype(out.aval.dtype)


def stored(dtype):
    """Truth values are numbers in memory."""
    return jnp.dtype(jnp.int32) if jnp.issubdtype(dtype, jnp.bool_) else dtype


def restored(a, v):
    return a != 0 if jnp.issubdtype(v.aval.dtype, jnp.bool_) else a


def pallas():
    from jax.experimental import pallas

    return pallas


def gpu():
    if jax.__version_info__ < (0, 10):
        raise refusal("Mosaic is used in the form that it has since JAX 0.10")
    from jax.experimental.pallas import mosaic_gpu

    return mosaic_gpu


def interpreter():
    from jax._src.pallas.mosaic_gpu.interpret.params import InterpretGPUParams  # public since JAX 0.12

    return InterpretGPUParams()
