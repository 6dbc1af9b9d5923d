"""C++ for a loop over time: the equations of a step, in order, on the rows of one thread.

A value lies in memory where a `Place` says (see `places`).
Element-wise equations of one shape, and rows, that wait for nothing else become one loop; what only they read stays in
registers.
A value that leaves the loop is written where it is to stay, and so are the parts of a concatenation.
What the carry does not wait for is taken for a block of steps at once (see `blocks`).
"""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import itertools
import math
import re
from typing import Any

import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.native import folds, rows
from rnn_jax.methods.native.blocks import Blocks, take_gains
from rnn_jax.methods.native.expressions import SLOW, Refused, expression, is_elementwise, kind, literal, stored
from rnn_jax.methods.native.places import VIEWS, Place, dense, indices, inlined, once, parts, viewed
from rnn_jax.methods.native.products import Products


class Code:
    """The source of a loop (*consts, *carry, *x) -> (*carry, *y), and what is to be known of it. ends: see
    `kernels.scan`."""

    def __init__(self, jaxpr: core.Jaxpr, n_consts: int, n_carry: int, ends: dict[int, int]):
        if jaxpr.effects:
            raise Refused("the step has callbacks or prints")
        self.eqns, self.outs = once(*inlined(jaxpr))
        self.ins, self.n_consts, self.n_carry = jaxpr.invars, n_consts, n_carry
        self.ends = {n_consts + n_carry + x: end for x, end in ends.items()}
        every = self.eqns
        self.eqns, self.gains = take_gains(every, self.ins[n_consts : n_consts + n_carry], self.outs)
        self.divide(jaxpr)
        if self.row and any(self.row_axis(v) != 0 for pair in self.gains.values() for v in pair):
            self.eqns, self.gains = every, {}  # sums over what is not rows
            self.divide(jaxpr)
        if any(0 in v.aval.shape for v in [*self.ins, *self.outs]) or not self.outs:
            raise Refused("the step has nothing to compute")
        self.slow: set[str] = set()  # what makes the loop slower than XLA's
        self.places: dict[Any, Place] = {}
        self.memory: list[str] = []  # the sizes of its pieces, in bytes
        self.lines: list[str] = []
        self.declared: list[str] = []
        self.numbers = itertools.count()
        self.place_inputs()
        self.items = self.schedule()
        self.products = Products(self)
        self.blocks = Blocks(self)
        self.place_values()
        for item in self.items:
            if not self.blocks.takes(item[0]):
                self.emit(item)
        self.blocks.copy_in()
        self.finish_step()
        self.lines = self.blocks.around(self.lines)
        self.source = self.whole()

    def divide(self, jaxpr):
        self.axes, self.row, self.partial = rows.divide(self, jaxpr)
        self.carried = [i for i in range(self.n_carry) if i not in self.gains]  # leaves of the carry, in the loop
        self.rows = self.axes.size(self.row) if self.row else 1

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
        self.declared.append(f"{const}{stored(v)}* {name} = {pointer};")
        return name

    def new(self, v) -> Place:
        """A place of its own for a value within the loop, rows outermost."""
        strides = dense(v.aval.shape, self.row_axis(v))
        size = math.prod(v.aval.shape) * v.aval.dtype.itemsize
        self.memory.append(f"{size // self.rows} * rows" if self.row_axis(v) is not None else str(size))
        name = self.declare(v, f"({stored(v)}*)memory.take({self.memory[-1]})")
        return Place(name, 0, strides)

    def given(self, v, source: str, of_time: bool, const="const ", end="") -> Place:
        """The place of an input or an output; with an end, of the next step's."""
        strides, axis = dense(v.aval.shape), self.row_axis(v)
        skip = f" + from * {strides[axis]}" if axis is not None else ""
        if not of_time:
            return Place(self.declare(v, f"({stored(v)}*){source}{skip}", const), 0, strides)
        name, t = f"m{next(self.numbers)}", stored(v)
        size = math.prod(v.aval.shape)
        at = f"({t}*){source}{skip} + t * {size}L"
        if end:
            at = f"step + 1 < steps ? {at} + (reverse ? -{size}L : {size}L) : ({t}*){end}{skip}"
        self.lines.append(f"{const}{t}* {name} = {at};")
        return Place(name, 0, strides)

    def place_inputs(self):
        for i, v in enumerate(self.ins):
            if self.n_consts <= i < self.n_consts + self.n_carry:
                if (leaf := i - self.n_consts) in self.partial:
                    self.places[v] = Place(f"g{leaf}", 0, dense(v.aval.shape))
                elif leaf in self.carried:
                    self.places[v] = self.new(v)
            else:
                end = f"arrays.in[{self.ends[i]}]" if i in self.ends else ""
                self.places[v] = self.given(v, f"arrays.in[{i}]", i >= self.n_consts, end=end)
        self.y_places = {
            i: self.given(v, f"arrays.out[{i}]", True, "")
            for i, v in enumerate(self.outs)
            if i >= self.n_carry and not isinstance(v, core.Literal)
        }

    def place_values(self):
        """Gives a place to all values that must have one: an output's own, a part of a concatenation, or a new one."""
        made_by = {v: item for item in self.items for e in item for v in e.outvars}
        needed = {*variables(self.outs), *self.blocks.names}
        for item in self.items:
            for e in item:
                inside = is_elementwise(e)
                needed.update(v for v in variables(e.invars) if not inside or made_by.get(v) is not item)
        views = {v for item in self.items for e in item if e.primitive.name in (*VIEWS, "reshape") for v in e.outvars}
        for i, v in enumerate(self.outs[self.n_carry :], self.n_carry):
            if not isinstance(v, core.Literal) and v in made_by and v not in views and v not in self.places:
                self.places[v] = self.y_places[i]
        for i in self.carried:
            old, new = self.ins[self.n_consts + i], self.outs[i]
            known = isinstance(new, core.Literal) or new not in made_by or new in self.places
            if not known and self.in_place(made_by[new], old, new):
                self.places[new] = self.places[old]
        for v in self.blocks.names:
            if v in made_by and v not in views and (v not in self.places or made_by[v][0] in self.blocks.first):
                self.places[v] = self.blocks.place(v)
        for item in reversed(self.items):
            for e in item:
                for v in e.outvars:
                    if v in needed and v not in views and v not in self.places:
                        self.places[v] = self.new(v)
                if e.primitive.name == "concatenate":
                    for a, part in zip(e.invars, self.pieces(e), strict=True):
                        own = made_by.get(a) if not isinstance(a, core.Literal) else None
                        if own and is_elementwise(own[0]) and a not in self.places:
                            self.places[a] = part

    def in_place(self, item, old, new) -> bool:
        """May a leaf of the carry be overwritten where it is computed? Not if it, or a view of it, is read after that,
        nor where the same loop reads a view: that is another place of it."""
        if not is_elementwise(item[0]) or old.aval.shape != new.aval.shape:
            return False
        views = {old}
        for e in itertools.chain(*self.items):
            if e.primitive.name in (*VIEWS, "reshape") and not views.isdisjoint(variables(e.invars)):
                views.update(e.outvars)
        at = next(i for i, other in enumerate(self.items) if other is item)
        maker = next(k for k, e in enumerate(item) if new in e.outvars)
        after = [*item[maker + 1 :], *itertools.chain(*self.items[at + 1 :])]
        late = [*self.blocks.names, *self.outs, *(a for e in after for a in e.invars)]
        beside = [a for e in item for a in e.invars if a is not old]
        once = sum(v is new for v in self.outs) == 1
        return once and views.isdisjoint(variables([*late, *beside]))

    def pieces(self, e) -> list[Place]:
        """Where the operands of a concatenation lie in it."""
        axis = e.params["dimension"]
        return parts(self.places[e.outvars[0]], axis, [a.aval.shape[axis] for a in e.invars])

    # ------------------------------------------------------------------------------------------------- in which order

    def schedule(self) -> list[list[Any]]:
        """The equations in an order that keeps what can be one loop together: lists, of one equation or of a loop's."""
        done, left, items = set(self.ins), list(self.eqns), []
        ready = lambda e, known: all(v in known for v in variables(e.invars))
        while left:
            first = [e for e in left if ready(e, done) and not is_elementwise(e)]
            if first:
                items += [[e] for e in first]
                group = first
            else:
                # The smallest first: loops over larger ones are fewer, and longer, when all is there that they read.
                start = min((e for e in left if ready(e, done)), key=lambda e: math.prod(e.outvars[0].aval.shape))
                alike = lambda e: (e.outvars[0].aval.shape, self.row_axis(e.outvars[0]))
                wanted, group, known = alike(start), [], set(done)
                for e in left:
                    if is_elementwise(e) and alike(e) == wanted and ready(e, known):
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
        if is_elementwise(e):
            self.loop(item)
        elif name in (*VIEWS, "reshape"):
            self.view(e)
        elif name == "dot_general":
            self.products.emit(e)
        elif name == "concatenate":
            self.concatenate(e)
        elif name in folds.REDUCTIONS:
            folds.reduce(self, e)
        elif name in folds.CUMULATIVE:
            folds.cumulate(self, e)
        elif name in folds.FIRST:
            folds.first(self, e)
        elif name == "pad":
            self.pad(e)
        else:
            raise Refused(f"no code for {name}")

    def nest(self, bounds, body, vector=True, before=()):
        """Loops over indices i0, i1, ... around lines of code, and lines before the innermost."""
        out, n = ["{"], len(bounds)
        for i, bound in enumerate(bounds):
            out += before if i == n - 1 else ()
            if vector and i == n - 1:
                out.append('_Pragma("omp simd")')
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
        read = place._replace(strides=strides).at(index[: a.aval.ndim])
        return f"({read} != 0)" if kind(a) == "bool" else read

    def loop(self, group):
        """One loop for element-wise equations."""
        v = group[0].outvars[0]
        index, known, first, body = indices(v), {}, [], []
        alike: dict[str, str] = {}  # what the innermost loop reads at all indices alike, and its name

        def read(a):
            text = self.value(a, index, known)
            if isinstance(a, core.Literal) or a in known or not index or re.search(rf"\b{index[-1]}\b", text):
                return text
            if text not in alike:
                alike[text] = f"v{next(self.numbers)}"
                first.append(f"const {kind(a)} {alike[text]} = {text};")
            return alike[text]

        for e in group:
            out = e.outvars[0]
            text = expression(e, [read(a) for a in e.invars], index)
            if jnp.issubdtype(out.aval.dtype, jnp.floating):
                self.slow |= {e.primitive.name} & SLOW.keys()
            known[out] = f"v{next(self.numbers)}"
            body.append(f"const {kind(out)} {known[out]} = {text};")
            if out in self.places:
                body.append(f"{self.places[out].at(index)} = {known[out]};")
        self.nest(self.bounds(v), body, before=first)

    def view(self, e):
        a, out = e.invars[0], e.outvars[0]
        if isinstance(a, core.Literal):
            name = f"c{next(self.numbers)}"
            self.declared.append(f"static const {stored(out)} {name}[1] = {{{self.value(a, ())}}};")
            self.places[out] = Place(name, 0, (0,) * out.aval.ndim)
        elif e.primitive.name == "reshape":
            self.places[out] = self.reshaped(a, out)
        else:
            self.places.update(zip(e.outvars, viewed(e, self.places[a]), strict=True))

    def reshaped(self, a, out) -> Place:
        place, rows = self.places[a], [self.row_axis(v) for v in (a, out)]
        before = [row if row is None else math.prod(v.aval.shape[:row]) for v, row in zip((a, out), rows, strict=True)]
        if before[0] != before[1]:  # with the rows outermost, what is before and after them keeps its order
            raise Refused("no code for this reshape")
        if place.strides != dense(a.aval.shape, rows[0]):
            copy = self.new(a)
            self.copy(a, place, copy)
            place = copy
        return place._replace(strides=dense(out.aval.shape, rows[1]))

    def copy(self, v, one: Place, other: Place):
        index = indices(v)
        if not index or one.strides[-1] != 1 or other.strides[-1] != 1:
            return self.nest(self.bounds(v), [f"{other.at(index)} = {one.at(index)};"])
        at = [*index[:-1], "0"]
        pieces = f"&{other.at(at)}, &{one.at(at)}, {self.bounds(v)[-1]} * sizeof({stored(v)})"
        self.nest(self.bounds(v)[:-1], [f"__builtin_memcpy({pieces});"], vector=False)

    def concatenate(self, e):
        for a, part in zip(e.invars, self.pieces(e), strict=True):
            if isinstance(a, core.Literal) or self.places[a] != part:
                self.nest(self.bounds(a), [f"{part.at(indices(a))} = {self.value(a, indices(a))};"])

    def pad(self, e):
        (a, filler), out, index = e.invars, e.outvars[0], indices(e.outvars[0])
        whole, bounds, sources = self.places[out], self.bounds(a), list(index)
        self.nest(self.bounds(out), [f"{whole.at(index)} = {self.value(filler, ())};"])
        offset, strides = whole.offset, list(whole.strides)
        for i, (low, high, gap) in enumerate(e.params["padding_config"]):
            if low or high or gap:  # negative ones cut
                first = max(0, -(low // (gap + 1)))
                last = min(a.aval.shape[i] - 1, (out.aval.shape[i] - 1 - low) // (gap + 1))
                bounds[i], sources[i] = str(last + 1 - first), f"(i{i} + {first})"
                offset += (low + first * (gap + 1)) * strides[i]
                strides[i] *= gap + 1
        part = Place(whole.base, offset, tuple(strides))
        self.nest(bounds, [f"{part.at(index)} = {self.value(a, sources)};"])

    # -------------------------------------------------------------------------------------------------------- the whole

    def finish_step(self):
        """Outputs that lie elsewhere, then the carry: a value that is another leaf of the carry is saved first."""
        for i, v in enumerate(self.outs[self.n_carry :], self.n_carry):
            if v in self.blocks.leaving:
                continue
            if isinstance(v, core.Literal):
                name = f"m{next(self.numbers)}"
                self.lines.append(f"{stored(v)}* {name} = ({stored(v)}*)arrays.out[{i}] + t;")
                self.lines.append(f"{name}[0] = {self.value(v, ())};")
            elif self.places[v] != self.y_places[i]:
                self.copy(v, self.places[v], self.y_places[i])
        carry = [self.ins[self.n_consts + i] for i in self.carried]
        bases, found = {self.places[v].base for v in carry}, []
        for old, v in zip(carry, (self.outs[i] for i in self.carried), strict=True):
            if isinstance(v, core.Literal):
                found.append(self.value(v, ()))
                continue
            place = self.places[v]
            if place.base in bases and place != self.places[old]:
                place = self.new(v)
                self.copy(v, self.places[v], place)
            found.append(place.at(indices(old)))
        for old, value in zip(carry, found, strict=True):
            if value != (to := self.places[old].at(indices(old))):
                self.nest(self.bounds(old), [f"{to} = {value};"])

    def moved(self, pointer, v, place: Place, inwards: bool) -> list[str]:
        """Lines that copy a value from outside to its place in the loop, or from there."""
        before, self.lines = self.lines, []
        strides, axis = dense(v.aval.shape), self.row_axis(v)
        skip = f" + from * {strides[axis]}" if axis is not None else ""
        self.lines.append(f"{{ {stored(v)}* whole = ({stored(v)}*){pointer}{skip};")
        pair = Place("whole", 0, strides), place
        self.copy(v, *(pair if inwards else pair[::-1]))
        lines, self.lines = [*self.lines, "}"], before
        return lines

    def whole(self) -> str:
        carry = {i: self.ins[self.n_consts + i] for i in self.carried if i not in self.partial}
        start = [self.moved(f"arrays.in[{self.n_consts + i}]", v, self.places[v], True) for i, v in carry.items()]
        end = [self.moved(f"arrays.out[{i}]", v, self.places[v], False) for i, v in carry.items()]
        totals, gather, totals_bytes = self.blocks.totals()
        bytes_of = lambda vs: ", ".join(str(math.prod(v.aval.shape) * v.aval.dtype.itemsize) for v in vs) or "0"
        memory = " + ".join([*self.memory, f"{len(self.memory)} * ALIGNED"])
        lines = [
            '#include "loop.h"', "using namespace rnn_jax;",
            f"static const long in_bytes[] = {{{bytes_of(self.ins)}}}, out_bytes[] = {{{bytes_of(self.outs)}}};",
            "static void prepare(const Arrays& arrays, char* packed) {", *self.products.packs, "}",
            f"enum {{ totals_bytes = {totals_bytes} }};",
            "static void run(const Arrays& arrays, const char* packed, char* totals, long steps, bool reverse, "
            "long from, long to) {",
            "const long rows = to - from;",
            f"const long most = steps_at_once(steps, {self.blocks.rows}, {self.blocks.bytes_of_step});",
            f"Memory memory({memory});", *self.declared, *totals, *itertools.chain(*start),
            "for (long block = 0; block < steps; block += most) {",
            "const long count = steps - block < most ? steps - block : most;",
            *self.lines, "}", *itertools.chain(*end), "}",
            "static void gather(const Arrays& arrays, const char* totals, long parts, long slice, long slices) {",
            *gather, "}",
            f"static const Program all = {{{len(self.ins)}, {len(self.outs)}, {self.n_consts + self.n_carry}, "
            f"{self.n_carry}, {self.outs[0].aval.ndim + (self.n_carry == 0)}, in_bytes, out_bytes, {self.rows}, "
            f"({self.products.size} + ALIGNED - 1) / ALIGNED * ALIGNED, totals_bytes, prepare, run, gather}};",
            'extern "C" const Program* program() { return &all; }',
        ]  # fmt: skip
        return "\n".join(lines) + "\n"
