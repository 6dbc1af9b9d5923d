"""C++ for a loop over time: the equations of a step, in order, on the rows of one thread.

A value lies in memory where a `Place` says: slices, transposes and broadcasts are places too, and cost nothing.
Element-wise equations of one shape that wait for nothing else become one loop; what only they read stays in registers.
A value that leaves the loop is written where it is to stay, and so are the parts of a concatenation.
"""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import itertools
import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.extend import core

from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.fused.axes import Axes, called

TYPES = {"float32": "float", "float64": "double", "bool": "bool"}
TYPES |= {f"{sign}int{n}": f"{sign}int{n}_t" for sign in ("", "u") for n in (8, 16, 32, 64)}
BINARY = {
    "add": "{} + {}", "add_any": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "max": "f_max({}, {})",
    "min": "f_min({}, {})", "eq": "{} == {}", "ne": "{} != {}", "lt": "{} < {}", "le": "{} <= {}", "gt": "{} > {}",
    "ge": "{} >= {}", "and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}",
}  # fmt: skip
UNARY = {
    "neg": "-{}", "tanh": "f_tanh({})", "logistic": "f_logistic({})", "exp": "f_exp({})", "expm1": "f_expm1({})",
    "sqrt": "f_sqrt({})", "rsqrt": "1 / f_sqrt({})", "abs": "f_abs({})", "sign": "f_sign({})",
    "square": "{0} * {0}", "one_minus_square": "1 - {0} * {0}", "floor": "f_floor({})", "ceil": "f_ceil({})",
    "is_finite": "__builtin_isfinite({})", "copy": "{}", "copy_p": "{}", "stop_gradient": "{}", "real": "{}",
}  # fmt: skip
# Of these compilers make no vectors: XLA's own are faster.
SLOW = {f: f"f_{f}({{}})" for f in (
    "log", "log1p", "sin", "cos", "tan", "erf", "erfc", "exp2", "cbrt", "sinh", "cosh", "asinh", "acosh", "atanh",
)}  # fmt: skip
VIEWS = ("slice", "broadcast_in_dim", "reshape", "squeeze", "transpose", "split", "rev")
REDUCTIONS = {
    "reduce_sum": ("0", "{} + {}"), "reduce_max": (None, "f_max({}, {})"), "reduce_min": (None, "f_min({}, {})"),
    "reduce_and": ("1", "{} & {}"), "reduce_or": ("0", "{} | {}"), "reduce_prod": ("1", "{} * {}"),
}  # fmt: skip


class Refused(ValueError):
    """What this method has no code for."""

    def __init__(self, why):
        self.why = why
        super().__init__(f'native: {why}; use method="deferred", which takes any step')


class Place(NamedTuple):
    """Where a value lies: at base[offset + sum_i index_i * strides_i]."""

    base: str
    offset: int
    strides: tuple[int, ...]

    def at(self, index):
        terms = [f"{i} * {s}" if s != 1 else i for i, s in zip(index, self.strides, strict=True) if s]
        return f"{self.base}[{' + '.join([*terms, *([str(self.offset)] if self.offset or not terms else [])])}]"


def kind(v) -> str:
    """The C++ type of a value."""
    if (name := str(v.aval.dtype)) not in TYPES:
        raise Refused(f"no code for values of {name}")
    return TYPES[name]


def literal(value, dtype) -> str:
    if np.ndim(value):
        raise Refused("the step holds an array of constants")
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return str(bool(value)).lower()
    if dtype.kind != "f":
        return f"{TYPES[dtype.name]}({int(value)})"
    text = {"inf": "__builtin_inf()", "-inf": "-__builtin_inf()", "nan": "__builtin_nan(\"\")"}.get(repr(float(value)), repr(float(value)))
    return f"{TYPES[dtype.name]}({text})"


def dense(shape, first=None) -> tuple[int, ...]:
    """Strides of an array without gaps; `first`: the axis that is outermost in memory."""
    order = list(range(len(shape)))
    if first is not None:
        order.insert(0, order.pop(first))
    strides, step = [0] * len(shape), 1
    for i in reversed(order):
        strides[i], step = step, step * shape[i]
    return tuple(strides)


def inlined(jaxpr: core.Jaxpr, args=None) -> tuple[list[Any], list[Any]]:
    """(equations, outputs) with those of the calls that it holds."""
    env = dict(zip(jaxpr.invars, jaxpr.invars if args is None else args, strict=True))
    read = lambda a: a if isinstance(a, core.Literal) else env[a]
    eqns = []
    for eqn in jaxpr.eqns:
        read_here = [read(a) for a in eqn.invars]
        if (inside := called(eqn)) is not None:
            more, outs = inlined(inside, read_here)
            eqns += more
        else:
            outs = [core.Var(v.aval) for v in eqn.outvars]
            eqns.append(eqn.replace(invars=read_here, outvars=outs))
        env.update(zip(eqn.outvars, outs, strict=True))
    return eqns, [read(a) for a in jaxpr.outvars]


class Code:
    """The source of a loop (*consts, *carry, *x) -> (*carry, *y), and what is to be known of it."""

    def __init__(self, jaxpr: core.Jaxpr, n_consts: int, n_carry: int):
        if jaxpr.effects:
            raise Refused("the step has callbacks or prints")
        self.eqns, self.outs = inlined(jaxpr)
        self.ins, self.n_consts, self.n_carry = jaxpr.invars, n_consts, n_carry
        flat = jaxpr.replace(eqns=self.eqns, outvars=self.outs)
        carry = self.ins[n_consts : n_consts + n_carry]
        self.axes = Axes(flat, carry)
        self.row = next((axis for axis in self.axes.blocks(1)), None)
        self.rows = self.axes.size(self.row) if self.row else 1
        if any(0 in v.aval.shape for v in [*self.ins, *self.outs]) or not self.outs:
            raise Refused("the step has nothing to compute")
        self.slow: set[str] = set()  # what makes the loop slower than XLA's
        self.places: dict[Any, Place] = {}
        self.memory: list[str] = []  # the sizes of its pieces, in bytes
        self.lines: list[str] = []
        self.declared: list[str] = []
        self.packs: list[str] = []
        self.packed: dict[Any, str] = {}
        self.packed_size = "0"
        self.numbers = itertools.count()
        self.place_inputs()
        self.items = self.schedule()
        self.place_values()
        for item in self.items:
            self.emit(item)
        self.finish_step()
        self.source = self.whole()

    # ------------------------------------------------------------------------------------------------- where values lie

    def row_axis(self, v):
        """The position of the axis of independent rows in a value, or None."""
        found = self.axes.of_all(v) if self.row else []
        return found.index(self.row) if self.row in found else None

    def bound(self, v, i):
        return "rows" if self.row_axis(v) == i else str(v.aval.shape[i])

    def bounds(self, v):
        return [self.bound(v, i) for i in range(v.aval.ndim)]

    def declare(self, v, pointer, const=""):
        """A pointer to what is there of a value, from the first row of this thread on."""
        name = f"m{next(self.numbers)}"
        self.declared.append(f"{const}{kind(v)}* {name} = {pointer};")
        return name

    def new(self, v) -> Place:
        """A place of its own for a value within the loop, rows outermost."""
        strides = dense(v.aval.shape, self.row_axis(v))
        size = math.prod(v.aval.shape) * v.aval.dtype.itemsize
        self.memory.append(f"{size // self.rows} * rows" if self.row_axis(v) is not None else str(size))
        name = self.declare(v, f"({kind(v)}*)memory.take({self.memory[-1]})")
        return Place(name, 0, strides)

    def given(self, v, source: str, of_time: bool, const="const ") -> Place:
        """The place of an input or an output."""
        strides, axis = dense(v.aval.shape), self.row_axis(v)
        skip = f" + from * {strides[axis]}" if axis is not None else ""
        if not of_time:
            return Place(self.declare(v, f"({kind(v)}*){source}{skip}", const), 0, strides)
        name = f"m{next(self.numbers)}"
        size = math.prod(v.aval.shape)
        self.lines.append(f"{const}{kind(v)}* {name} = ({kind(v)}*){source}{skip} + t * {size}L;")
        return Place(name, 0, strides)

    def place_inputs(self):
        for i, v in enumerate(self.ins):
            if self.n_consts <= i < self.n_consts + self.n_carry:
                self.places[v] = self.new(v)
            else:
                self.places[v] = self.given(v, f"arrays.in[{i}]", i >= self.n_consts)
        self.y_places = [
            self.given(v, f"arrays.out[{i}]", True, "") if i >= self.n_carry and not isinstance(v, core.Literal) else None
            for i, v in enumerate(self.outs)
        ]

    def place_values(self):
        """Gives a place to all values that must have one: an output's own, a part of a concatenation, or a new one."""
        made_by = {v: item for item in self.items for e in item for v in e.outvars}
        needed = {v for v in variables(self.outs)}
        for item in self.items:
            for e in item:
                inside = self.is_elementwise(e)
                needed.update(v for v in variables(e.invars) if not inside or made_by.get(v) is not item)
        views = {v for item in self.items for e in item if e.primitive.name in VIEWS for v in e.outvars}
        for i, v in enumerate(self.outs[self.n_carry :], self.n_carry):
            if v in made_by and v not in views and v not in self.places:
                self.places[v] = self.y_places[i]
        for item in reversed(self.items):
            for e in item:
                for v in e.outvars:
                    if v in needed and v not in views and v not in self.places:
                        self.places[v] = self.new(v)
                if e.primitive.name == "concatenate":
                    whole, axis, at = self.places[e.outvars[0]], e.params["dimension"], 0
                    for a in e.invars:
                        part = whole._replace(offset=whole.offset + at * whole.strides[axis])
                        at += a.aval.shape[axis]
                        own = made_by.get(a) if not isinstance(a, core.Literal) else None
                        if own and self.is_elementwise(own[0]) and a not in self.places:
                            self.places[a] = part

    # ------------------------------------------------------------------------------------------------- in which order

    def is_elementwise(self, e):
        name = e.primitive.name
        return name in BINARY or name in UNARY or name in SLOW or name in OTHERS

    def schedule(self) -> list[list[Any]]:
        """The equations in an order that keeps what can be one loop together: lists, of one equation or of a loop's."""
        done, left, items = set(self.ins), list(self.eqns), []
        ready = lambda e, known: all(v in known for v in variables(e.invars))
        while left:
            first = [e for e in left if ready(e, done) and not self.is_elementwise(e)]
            if first:
                items += [[e] for e in first]
                group = first
            else:
                start = next(e for e in left if ready(e, done))
                shape, group, known = start.outvars[0].aval.shape, [], set(done)
                for e in left:
                    if self.is_elementwise(e) and e.outvars[0].aval.shape == shape and ready(e, known):
                        group.append(e)
                        known.update(e.outvars)
                items.append(group)
            done.update(v for e in group for v in e.outvars)
            taken = {id(e) for e in group}
            left = [e for e in left if id(e) not in taken]
        return items

    # --------------------------------------------------------------------------------------------------------- the code

    def emit(self, item):
        e, name = item[0], item[0].primitive.name
        if self.is_elementwise(e):
            self.loop(item)
        elif name in VIEWS:
            self.view(e)
        elif name == "dot_general":
            self.product(e)
        elif name == "concatenate":
            self.concatenate(e)
        elif name in REDUCTIONS:
            self.reduce(e)
        elif name == "pad":
            self.pad(e)
        else:
            raise Refused(f"no code for {name}")

    def nest(self, bounds, body, vector=True):
        """Loops over indices i0, i1, ... around lines of code."""
        out, n = ["{"], len(bounds)
        for i, bound in enumerate(bounds):
            if vector and i == n - 1:
                out.append("_Pragma(\"omp simd\")")
            out.append(f"for (long i{i} = 0; i{i} < {bound}; i{i}++) {{")
        self.lines += [*out, *body, "}" * n + "}"]

    def value(self, a, index, known=()):
        """The expression of an operand of an element-wise equation."""
        if isinstance(a, core.Literal):
            return literal(a.val, a.aval.dtype)
        if a in known:
            return known[a]
        place = self.places[a]  # an axis of size 1 is stretched to that of the other operands
        strides = tuple(s if n != 1 else 0 for s, n in zip(place.strides, a.aval.shape, strict=True))
        return place._replace(strides=strides).at(index[: a.aval.ndim])

    def loop(self, group):
        """One loop for element-wise equations."""
        v = group[0].outvars[0]
        index, known, body = [f"i{i}" for i in range(v.aval.ndim)], {}, []
        for e in group:
            out = e.outvars[0]
            text = self.elementwise(e, [self.value(a, index, known) for a in e.invars], index)
            known[out] = f"v{next(self.numbers)}"
            body.append(f"const {kind(out)} {known[out]} = {text};")
            if out in self.places:
                body.append(f"{self.places[out].at(index)} = {known[out]};")
        self.nest(self.bounds(v), body)

    def elementwise(self, e, args, index):
        name, out = e.primitive.name, e.outvars[0]
        if name in BINARY:
            return BINARY[name].format(*args)
        if name in UNARY:
            return UNARY[name].format(*args)
        if name in SLOW:
            self.slow.add(name)
            return SLOW[name].format(*args)
        return OTHERS[name](self, e, args, out, index)

    def view(self, e):
        name, out, params = e.primitive.name, e.outvars[0], e.params
        if isinstance(e.invars[0], core.Literal):
            place = self.new(out)
            value = literal(e.invars[0].val, e.invars[0].aval.dtype)
            self.nest(self.bounds(out), [f"{place.at([f'i{i}' for i in range(out.aval.ndim)])} = {value};"])
            self.places[out] = place
            return
        a = e.invars[0]
        place, shape = self.places[a], a.aval.shape
        if name == "slice":
            steps = params["strides"] or (1,) * len(shape)
            offset = sum(i * s for i, s in zip(params["start_indices"], place.strides, strict=True))
            strides = tuple(s * k for s, k in zip(place.strides, steps, strict=True))
            self.places[out] = Place(place.base, place.offset + offset, strides)
        elif name == "split":
            at = place.offset
            for v, n in zip(e.outvars, params["sizes"], strict=True):
                self.places[v] = place._replace(offset=at)
                at += n * place.strides[params["axis"]]
        elif name == "rev":
            strides = [-s if i in params["dimensions"] else s for i, s in enumerate(place.strides)]
            offset = sum((shape[i] - 1) * place.strides[i] for i in params["dimensions"])
            self.places[out] = Place(place.base, place.offset + offset, tuple(strides))
        elif name == "transpose":
            self.places[out] = place._replace(strides=tuple(place.strides[i] for i in params["permutation"]))
        elif name == "squeeze":
            kept = [s for i, s in enumerate(place.strides) if i not in params["dimensions"]]
            self.places[out] = place._replace(strides=tuple(kept))
        elif name == "broadcast_in_dim":
            strides = [0] * out.aval.ndim
            for i, k in enumerate(params["broadcast_dimensions"]):
                strides[k] = place.strides[i] if shape[i] == out.aval.shape[k] else 0
            self.places[out] = place._replace(strides=tuple(strides))
        else:
            self.places[out] = self.reshaped(a, out)

    def reshaped(self, a, out) -> Place:
        place, rows = self.places[a], [self.row_axis(v) for v in (a, out)]
        if rows not in ([None, None], [0, 0]):
            raise Refused("no code for this reshape")
        if place.strides != dense(a.aval.shape, rows[0]):
            copy = self.new(a)
            self.copy(a, place, copy)
            place = copy
        return place._replace(strides=dense(out.aval.shape, rows[1]))

    def copy(self, v, one: Place, other: Place):
        index = [f"i{i}" for i in range(v.aval.ndim)]
        self.nest(self.bounds(v), [f"{other.at(index)} = {one.at(index)};"])

    def concatenate(self, e):
        out, axis, at = e.outvars[0], e.params["dimension"], 0
        whole, index = self.places[out], [f"i{i}" for i in range(out.aval.ndim)]
        for a in e.invars:
            part = whole._replace(offset=whole.offset + at * whole.strides[axis])
            at += a.aval.shape[axis]
            if isinstance(a, core.Literal) or self.places[a] != part:
                self.nest(self.bounds(a), [f"{part.at(index)} = {self.value(a, index)};"])

    def pad(self, e):
        (a, filler), out = e.invars, e.outvars[0]
        if any(low < 0 or high < 0 for low, high, _ in e.params["padding_config"]):
            raise Refused("no code for a pad that cuts")
        whole, index = self.places[out], [f"i{i}" for i in range(out.aval.ndim)]
        self.nest(self.bounds(out), [f"{whole.at(index)} = {self.value(filler, ())};"])
        offset = sum(low * s for (low, _, _), s in zip(e.params["padding_config"], whole.strides, strict=True))
        strides = [s * (1 + gap) for (_, _, gap), s in zip(e.params["padding_config"], whole.strides, strict=True)]
        part = Place(whole.base, whole.offset + offset, tuple(strides))
        self.nest(self.bounds(a), [f"{part.at(index)} = {self.value(a, index)};"])

    def reduce(self, e):
        a, out, axes = e.invars[0], e.outvars[0], e.params["axes"]
        first, combine = REDUCTIONS[e.primitive.name]
        n, index = a.aval.ndim, [f"i{i}" for i in range(a.aval.ndim)]
        kept = [i for i in range(n) if i not in axes]
        place, source = self.places[out], self.places[a]
        start = first or source.at([index[i] if i in kept else "0" for i in range(n)])
        order = [*kept, *axes] if n - 1 in axes else [*kept[:-1], *axes, *kept[-1:]]
        rename = {i: f"i{order.index(i)}" for i in range(n)}
        if first is None:
            at_first = [f"i{kept.index(i)}" if i in kept else "0" for i in range(n)]
            start = source.at(at_first)
        total = place.at([f"i{k}" for k in range(len(kept))])
        self.nest([self.bound(a, i) for i in kept], [f"{total} = {start};"])
        target = place.at([rename[i] for i in kept])
        update = f"{target} = {combine.format(target, source.at([rename[i] for i in range(n)]))};"
        self.nest([self.bound(a, i) for i in order], [update], vector=n - 1 not in axes)
        self.slow.add("reduction") if n - 1 in axes else None

    def product(self, e):
        """A dot_general: of the rows and a weight by packed panels, any other by plain loops."""
        (contract, batch), out = e.params["dimension_numbers"], e.outvars[0]
        if str(out.aval.dtype) != str(e.invars[0].aval.dtype) or any(isinstance(a, core.Literal) for a in e.invars):
            raise Refused("no code for this product")
        free = [
            [i for i in range(a.aval.ndim) if i not in c and i not in m]
            for a, c, m in zip(e.invars, contract, batch, strict=True)
        ]
        places = [self.places[a] for a in e.invars]
        known = [a in self.ins[: self.n_consts] for a in e.invars]
        w = known.index(True) if known.count(True) == 1 else None
        if w is not None and len(contract[0]) == 1 and self.by_panels(e, w, contract, batch, free, places):
            return
        self.slow.add("product")
        sizes = [self.bound(e.invars[0], i) for i in batch[0]]
        sizes += [self.bound(a, i) for a, part in zip(e.invars, free, strict=True) for i in part]
        index, inner = [f"i{i}" for i in range(len(sizes))], [f"k{i}" for i in range(len(contract[0]))]
        operands, at = [], len(batch[0])
        for a, c, m, f, place in zip(e.invars, contract, batch, free, places, strict=True):
            names = dict(zip(m, index, strict=False)) | dict(zip(c, inner, strict=True))
            names |= {i: index[at + k] for k, i in enumerate(f)}
            at += len(f)
            operands.append(place.at([names[i] for i in range(a.aval.ndim)]))
        body = [f"{kind(out)} sum = 0;"]
        body += [f"for (long {k} = 0; {k} < {self.bound(e.invars[0], i)}; {k}++)" for k, i in zip(inner, contract[0], strict=True)]
        body += [f"sum += {operands[0]} * {operands[1]};", f"{self.places[out].at(index)} = sum;"]
        self.nest(sizes, body, vector=False)

    def by_panels(self, e, w, contract, batch, free, places) -> bool:
        u, weight, out, place = e.invars[1 - w], e.invars[w], e.outvars[0], self.places[e.outvars[0]]
        k_u, k_w, rows = contract[1 - w][0], contract[w][0], free[1 - w]
        n_batch = len(batch[0])
        if len(rows) > 1 or places[1 - w].strides[k_u] != 1 or str(out.aval.dtype) not in ("float32", "float64"):
            return False
        if any(self.row_axis(u) == i for i in batch[1 - w]) or self.row_axis(weight) is not None:
            return False
        columns = free[w]
        first = n_batch + (len(rows) if w == 1 else 0)
        of_columns = list(range(first, first + len(columns)))
        of_rows = n_batch if w == 1 else n_batch + len(columns)
        shape = [weight.aval.shape[i] for i in columns]
        if tuple(place.strides[i] for i in of_columns) != dense(shape):
            return False
        k, n, t = weight.aval.shape[k_w], math.prod(shape), kind(out)
        m, lda, ldc = "1", 0, 0
        if rows:
            m, lda, ldc = self.bound(u, rows[0]), places[1 - w].strides[rows[0]], place.strides[of_rows]
        if (weight, contract[w], batch[w]) not in self.packed:
            name, strides = f"w{next(self.numbers)}", dense(weight.aval.shape)
            self.declared.append(f"const {t}* {name} = (const {t}*)(packed + {self.packed_size});")
            own = [sum(i * strides[c] for i, c in zip(ids, columns, strict=True)) for ids in np.ndindex(*shape)]
            heads = [
                sum(i * strides[b] for i, b in zip(ids, batch[w], strict=True))
                for ids in np.ndindex(*(weight.aval.shape[b] for b in batch[w]))
            ]
            source = self.ins.index(weight)
            if len(columns) == 1:
                self.packs.append(f"{{ long places[{n}]; for (long i = 0; i < {n}; i++) places[i] = i * {strides[columns[0]]};")
            else:
                self.packs.append(f"{{ static const long places[] = {{{', '.join(map(str, own))}}};")
            for h, at in enumerate(heads):
                self.packs.append(
                    f"pack<{t}>({k}, {n}, (const {t}*)arrays.in[{source}] + {at}, {strides[k_w]}, places, "
                    f"({t}*)(packed + {self.packed_size}) + {h} * packed_size<{t}>({k}, {n}));"
                )
            self.packs.append("}")
            self.packed_size += f" + {len(heads)} * sizeof({t}) * packed_size<{t}>({k}, {n})"
            self.packed[(weight, contract[w], batch[w])] = name
        name = self.packed[(weight, contract[w], batch[w])]
        count = itertools.product(*(range(weight.aval.shape[b]) for b in batch[w]))
        for h, ids in enumerate(count):
            a_at = places[1 - w].offset + sum(i * places[1 - w].strides[b] for i, b in zip(ids, batch[1 - w], strict=True))
            c_at = place.offset + sum(i * place.strides[b] for b, i in enumerate(ids))
            self.lines.append(
                f"multiply<{t}>({m}, {k}, {n}, {places[1 - w].base} + {a_at}, {lda}, "
                f"{name} + {h} * packed_size<{t}>({k}, {n}), {place.base} + {c_at}, {ldc});"
            )
        return True

    def finish_step(self):
        """Outputs that lie elsewhere, then the carry: a value that is another leaf of the carry is saved first."""
        index = lambda v: [f"i{i}" for i in range(v.aval.ndim)]
        for i, v in enumerate(self.outs[self.n_carry :], self.n_carry):
            if isinstance(v, core.Literal):
                name = f"m{next(self.numbers)}"
                self.lines.append(f"{kind(v)}* {name} = ({kind(v)}*)arrays.out[{i}] + t;")
                self.lines.append(f"{name}[0] = {self.value(v, ())};")
            elif self.places[v] != self.y_places[i]:
                self.copy(v, self.places[v], self.y_places[i])
        carry = self.ins[self.n_consts : self.n_consts + self.n_carry]
        bases, late = {self.places[v].base for v in carry}, []
        for old, v in zip(carry, self.outs, strict=False):
            if isinstance(v, core.Literal):
                late.append((old, v))
            elif self.places[v] != self.places[old]:
                if self.places[v].base in bases:
                    saved = self.new(v)
                    self.copy(v, self.places[v], saved)
                    self.places[v] = saved
                late.append((old, v))
        for old, v in late:
            self.nest(self.bounds(old), [f"{self.places[old].at(index(old))} = {self.value(v, index(old))};"])

    def whole(self) -> str:
        carry = self.ins[self.n_consts : self.n_consts + self.n_carry]
        start, end = [], []
        for i, v in enumerate(carry):
            index, place = [f"i{k}" for k in range(v.aval.ndim)], self.places[v]
            for lines, pointer, const in ((start, f"arrays.in[{self.n_consts + i}]", "const "), (end, f"arrays.out[{i}]", "")):
                strides, axis = dense(v.aval.shape), self.row_axis(v)
                skip = f" + from * {strides[axis]}" if axis is not None else ""
                outside = Place("whole", 0, strides).at(index)
                one, other = (place.at(index), outside) if lines is start else (outside, place.at(index))
                lines += [f"{{ {const}{kind(v)}* whole = ({const}{kind(v)}*){pointer}{skip};"]
                self.lines, kept = [], self.lines
                self.nest(self.bounds(v), [f"{one} = {other};"])
                lines += [*self.lines, "}"]
                self.lines = kept
        bytes_of = lambda vs: ", ".join(str(math.prod(v.aval.shape) * v.aval.dtype.itemsize) for v in vs) or "0"
        lines = [
            '#include "loop.h"',
            f"static const long in_bytes[] = {{{bytes_of(self.ins)}}}, out_bytes[] = {{{bytes_of(self.outs)}}};",
            "static void prepare(const Arrays& arrays, char* packed) {", *self.packs, "}",
            "static void run(const Arrays& arrays, const char* packed, long steps, bool reverse, long from, long to) {",
            f"const long rows = to - from; Memory memory({' + '.join([*self.memory, str(64 * len(self.memory))])});", *self.declared, *start,
            "for (long step = 0; step < steps; step++) {", "const long t = reverse ? steps - 1 - step : step;",
            *self.lines, "}", *end, "}",
            f"static const Program program = {{{len(self.ins)}, {len(self.outs)}, {self.n_consts + self.n_carry}, "
            f"{self.n_carry}, {self.outs[0].aval.ndim + (self.n_carry == 0)}, in_bytes, out_bytes, {self.rows}, "
            f"({self.packed_size} + 63) / 64 * 64, prepare, run}};",
            'extern "C" XLA_FFI_Error* call(XLA_FFI_CallFrame* frame) { return serve(program, frame); }',
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


def _select(code, e, args, out, index):
    if str(e.invars[0].aval.dtype) != "bool":
        raise Refused("no code for a choice of more than two")
    return f"{args[0]} ? {args[2]} : {args[1]}"


def _cast(code, e, args, out, index):
    return f"{args[0]} != 0" if kind(out) == "bool" else f"({kind(out)})({args[0]})"


def _not(code, e, args, out, index):
    return f"!{args[0]}" if kind(out) == "bool" else f"~{args[0]}"


def _divide(code, e, args, out, index):
    if not jnp.issubdtype(out.aval.dtype, jnp.floating):
        raise Refused("no code for a division of integers")
    return f"{args[0]} / {args[1]}"


def _power(code, e, args, out, index):
    if (n := e.params["y"]) in (2, 3):
        return " * ".join(args * n)
    return f"f_power({args[0]}, {n})"


OTHERS = {
    "select_n": _select, "convert_element_type": _cast, "not": _not, "div": _divide, "integer_pow": _power,
    "iota": lambda code, e, args, out, index: f"({kind(out)}){index[e.params['dimension']]}",
    "clamp": lambda code, e, args, out, index: f"f_min(f_max({args[1]}, {args[0]}), {args[2]})",
}  # fmt: skip
