"""A step's equations as one GPU kernel that holds the loop: what any backend of Pallas is told of it."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import abc
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from rnn_jax.methods.deferred.equations import half
from rnn_jax.methods.fused.axes import Axes, called


def refusal(why):
    return ValueError(f'fused: {why}; use method="deferred", which takes any step')


class Kernel(abc.ABC):
    """A step (*consts, *carry, *x) -> (*carry, *y), as equations, to be run over time."""

    ROWS = 1  # of the batch in a program, where the options have no number

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
        self.blocks = self.axes.blocks(options.block_b or self.ROWS)
        held, weights = self.held(), sum(map(self.bytes, jaxpr.invars[:n_consts]))
        if held > options.memory:
            kib = lambda n: f"{n / 1024:.0f} KiB"
            raise refusal(
                f"a program would hold {kib(held)} on the chip, {kib(weights)} of them weights, and the limit is "
                f"{kib(options.memory)} (`memory`): make the weights block-diagonal heads of d <= 128, or narrower"
            )

    def __call__(self, consts, carry, xs, length: int, reverse: bool):
        """consts, carry, xs [t ...] -> (carry, ys [t ...])."""
        inputs = [(v, (length,) if i >= self.then else ()) for i, v in enumerate(self.jaxpr.invars)]
        outputs = [(v, (length,) if i >= self.n_carry else ()) for i, v in enumerate(self.jaxpr.outvars)]
        call = self.program(inputs, outputs, length, reverse)
        args = [pad(a, (*lead, *self.padded(v))) for a, (v, lead) in zip([*consts, *carry, *xs], inputs, strict=True)]
        if not self.options.interpret:
            types = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in args]
            try:
                jax.jit(call).trace(*types).lower(lowering_platforms=("cuda",))
            except Exception as e:
                if str(e).startswith("fused: "):
                    raise
                why = (str(e).strip() or repr(e)).splitlines()[0]
                raise refusal(f"Pallas does not compile this step for a GPU ({why})") from e
        out = [a[tuple(map(slice, (*lead, *v.aval.shape)))] for a, (v, lead) in zip(call(*args), outputs, strict=True)]
        return out[: self.n_carry], out[self.n_carry :]

    @abc.abstractmethod
    def program(self, inputs, outputs, length: int, reverse: bool) -> Callable[..., Any]:
        """The kernel, a function of the padded inputs; inputs and outputs are (variable, leading axes)."""

    def evaluate(self, jaxpr: core.Jaxpr, args, equation):
        """The equations on the blocks of one program; equation(eqn, values) evaluates one."""
        env: dict[Any, Any] = dict(zip(jaxpr.invars, args, strict=True))
        value = lambda a: np.asarray(a.val, a.aval.dtype) if isinstance(a, core.Literal) else env[a]
        for eqn in jaxpr.eqns:
            values, inside = [value(a) for a in eqn.invars], called(eqn)
            made = equation(eqn, values) if inside is None else self.evaluate(inside, values, equation)
            env.update(zip(eqn.outvars, made, strict=True))
        return [jnp.asarray(value(a)) for a in jaxpr.outvars]

    def block(self, v) -> tuple[Any, ...]:
        """The shape of a value within one program."""
        return tuple(self.blocks.get(axis, n) for axis, n in zip(self.axes.of_all(v), v.aval.shape, strict=True))

    def bytes(self, v):
        return math.prod(self.block(v)) * v.aval.dtype.itemsize

    def padded(self, v):
        """The shape of a value of all programs."""
        return tuple(n + -n % block for n, block in zip(v.aval.shape, self.block(v), strict=True))

    def held(self) -> int:
        """Bytes on the chip: weights, x of a step (read ahead), and what is multiplied by them."""
        weights, x = self.jaxpr.invars[: self.first], self.jaxpr.invars[self.then :]
        operands = [v for e in self.axes.products for v in e.invars if v not in weights]
        return sum(map(self.bytes, [*weights, *x, *operands]))

    def grid(self):
        """How many programs there are along each axis that is cut."""
        return tuple(-(-self.axes.size(axis) // block) for axis, block in self.blocks.items())


def pad(a, shape):
    return jnp.pad(a, [(0, n - m) for n, m in zip(shape, a.shape, strict=True)]) if a.shape != shape else a


def elementwise(eqn, values):
    """Half precision is computed in float32 and rounded, as XLA does: a GPU has no other form of most functions."""
    out = eqn.outvars[0].aval.dtype
    made = eqn.primitive.bind(*(a.astype(jnp.float32) if half(a.dtype) else a for a in values), **eqn.params)
    return made.astype(out) if half(out) else made
