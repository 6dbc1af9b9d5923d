"""Which axes of the values of a step every equation maps over: those along which it can be cut."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

from typing import Any

import numpy as np
from jax.extend import core

from rnn_jax.methods.deferred.placement import variables
from rnn_jax.tracing import INLINED

ELEMENTWISE = frozenset((
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil",
    "clamp", "convert_element_type", "copy", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2",
    "expm1", "floor", "ge", "gt", "imag", "integer_pow", "is_finite", "le", "log", "log1p", "logistic", "lt", "max",
    "min", "mul", "ne", "neg", "nextafter", "not", "one_minus_square", "or", "pow", "real", "reduce_precision", "rem",
    "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan", "tanh",
    "xor",
))  # fmt: skip
# Equations that see some axes as a whole, told by this parameter, and map over the rest. The latter drop them.
ALONG = {"concatenate": "dimension", "split": "axis", "rev": "dimensions", "sort": "dimension"}
ALONG |= dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), "axis")
WITHOUT = {f"reduce_{kind}": "axes" for kind in ("sum", "prod", "max", "min", "and", "or", "xor")}
WITHOUT |= {"argmax": "axes", "argmin": "axes", "squeeze": "dimensions"}
CALLS = INLINED | {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}


def called(eqn):
    """The equations that a call holds, which are evaluated as all others; or None."""
    inside = eqn.params.get(CALLS.get(eqn.primitive.name))
    return inside.jaxpr if isinstance(inside, core.ClosedJaxpr) and not inside.consts else None


class Axes:
    """The axes (variable, position) of a step's values: which are one, and which of those every equation maps over.

    An equation joins the axes that it maps one to one, such as the rows of h and those of h @ W. What it sums over,
    cuts or reorders is mixed, with all that is joined to it; so is everything in an equation that is not known here.
    Along an axis that is not mixed, an index of the outcome depends on that index of the inputs alone.
    sums: equations that may sum over an axis that is cut, a part in each piece.
    """

    def __init__(self, jaxpr: core.Jaxpr, carry, sums=()):
        self.carry, self.seen, self.products, self.sums = carry, [], [], sums
        self.parent: dict[Any, Any] = {}
        self.mixed: list[Any] = []
        self.batched: list[Any] = []  # axes over which a product maps in both operands
        self.free: list[list[Any]] = []  # the others, of each operand of a product
        self.relate(jaxpr)
        for old, new in zip(carry, jaxpr.outvars, strict=False):
            self.join(old, new)
        for v in self.seen:
            axes = self.of_all(v)  # an index of one that is two of a value's axes is seen beside each of the other's
            self.mix(v, [i for i, axis in enumerate(axes) if axes.count(axis) > 1])

    def of(self, axis):
        """The one axis that stands for all that are joined to this one."""
        while axis in self.parent:
            axis = self.parent[axis]
        return axis

    def of_all(self, v):
        return [self.of((v, i)) for i in range(v.aval.ndim)]

    def size(self, axis):
        return axis[0].aval.shape[axis[1]]

    def join(self, a, b, pairs=None):
        """The axes i of a and k of b are one, for (i, k) in pairs; all by default."""
        for i, k in [(i, i) for i in range(a.aval.ndim)] if pairs is None else pairs:
            one, other = self.of((a, i)), self.of((b, k))
            if one != other:
                self.parent[one] = other

    def fit(self, a, b, pairs):
        """Joins pairs of axes of one size; where size 1 is stretched, the one index is seen by all."""
        same = [(i, k) for i, k in pairs if a.aval.shape[i] == b.aval.shape[k]]
        self.join(a, b, same)
        self.mix(a, [i for i, k in pairs if (i, k) not in same])

    def mix(self, v, axes=None):
        self.mixed += [(v, i) for i in (range(v.aval.ndim) if axes is None else axes)]

    def blocks(self, block_b: int) -> dict[Any, int]:
        """The axes that are cut, those of all leaves of the carry, and how many indices of each a program has.

        Rows of matrices: block_b. What a product would have as a further axis, such as heads: 1. Units of an
        element-wise cell: up to 128.
        """
        mixed, heads = ({self.of(axis) for axis in axes} for axes in (self.mixed, self.batched))
        operands = [[self.of(axis) for axis in axes] for axes in self.free]
        leaves = [self.of_all(v) for v in self.carry if v.aval.ndim]
        blocks: dict[Any, int] = {}
        for axis in leaves[0] if leaves else []:
            if axis in mixed or not all(axis in leaf for leaf in leaves):
                continue
            beside = {other for axes in operands if axis in axes for other in axes}
            if axis in heads or any(blocks.get(other, 1) > 1 for other in beside):
                blocks[axis] = 1
            elif beside or axis == leaves[0][0]:
                blocks[axis] = block_b
            else:
                blocks[axis] = min(128, 1 << (self.size(axis) - 1).bit_length())
        return blocks

    def relate(self, jaxpr: core.Jaxpr):
        """Joins and mixes axes as the equations do."""
        self.seen += jaxpr.invars
        for eqn in jaxpr.eqns:
            self.seen += eqn.outvars
            kind, params = eqn.primitive.name, eqn.params
            args = [a for a in variables(eqn.invars) if a.aval.ndim]
            both, out = [*args, *eqn.outvars], eqn.outvars[0] if eqn.outvars else None
            if any(a.aval.ndim for a in eqn.invars if isinstance(a, core.Literal)):  # it cannot be cut
                for a in both:
                    self.mix(a)
            elif (inside := called(eqn)) is not None:
                self.relate(inside)
                for a, b in zip([*eqn.invars, *inside.outvars], [*inside.invars, *eqn.outvars], strict=True):
                    self.join(a, b)
            elif kind in ELEMENTWISE and len({a.aval.ndim for a in both}) == 1:
                for a in args:
                    self.fit(a, out, [(i, i) for i in range(out.aval.ndim)])
            elif kind in ALONG or kind in ("slice", "pad"):
                for a in both:
                    self.join(a, out, [(i, i) for i in range(out.aval.ndim) if i not in whole(eqn)])
                    self.mix(a, whole(eqn))
            elif kind in WITHOUT and args:
                kept = [i for i in range(args[0].aval.ndim) if i not in params[WITHOUT[kind]]]
                self.join(args[0], out, [(i, k) for k, i in enumerate(kept)])
                if not any(eqn is e for e in self.sums):
                    self.mix(args[0], params[WITHOUT[kind]])
            elif kind == "transpose":
                self.join(args[0], out, [(i, k) for k, i in enumerate(params["permutation"])])
            elif kind == "broadcast_in_dim":
                for a in args:
                    self.fit(a, out, list(enumerate(params["broadcast_dimensions"])))
            elif kind == "reshape" and args:
                same = unchanged(args[0].aval.shape, out.aval.shape)
                self.join(args[0], out, same)
                for v, kept in zip((args[0], out), zip(*same, strict=True) if same else ((), ()), strict=True):
                    self.mix(v, [i for i in range(v.aval.ndim) if i not in kept])
            elif kind == "dot_general" and len(args) == 2:
                self.relate_product(eqn)
            elif kind == "iota":
                self.mix(out, [params["dimension"]])
            else:
                for a in both:
                    self.mix(a)

    def relate_product(self, eqn):
        self.products.append(eqn)
        (contract, batch), out = eqn.params["dimension_numbers"], eqn.outvars[0]
        at, summed = len(batch[0]), any(eqn is e for e in self.sums)
        if summed:
            self.join(eqn.invars[0], eqn.invars[1], list(zip(*contract, strict=True)))
        for a, c, m in zip(eqn.invars, contract, batch, strict=True):
            free = [i for i in range(a.aval.ndim) if i not in c and i not in m]
            self.join(a, out, [*zip(m, range(len(m)), strict=True), *((i, at + k) for k, i in enumerate(free))])
            self.mix(a, () if summed else c)
            self.batched += [(a, i) for i in m]
            self.free.append([(a, i) for i in free])
            at += len(free)


def whole(eqn) -> list[int]:
    """The axes that an equation sees as a whole, of one that keeps the rank."""
    kind, params = eqn.primitive.name, eqn.params
    if kind == "slice":
        shapes = zip(eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape, strict=True)
        return [i for i, (n, m) in enumerate(shapes) if n != m]
    if kind == "pad":
        return [i for i, padding in enumerate(params["padding_config"]) if any(padding)]
    return np.atleast_1d(params[ALONG[kind]]).tolist()


def unchanged(before, after):
    """The pairs (i, k) of axes that a reshape leaves as they are."""
    pairs, i, k = [], 0, 0
    while 0 not in before and i < len(before) and k < len(after):
        n, m = before[i], after[k]
        if n == m:
            pairs.append((i, k))
        i, k = i + (m != 1 or n == 1), k + (n != 1 or m == 1)
        while n != m and 1 not in (n, m):  # until what is merged or split has the same size
            if n < m:
                n, i = n * before[i], i + 1
            else:
                m, k = m * after[k], k + 1
    return pairs
