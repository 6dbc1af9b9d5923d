"""What the carry does not wait for, taken for a block of steps at once, while it is in the caches.

    before the steps of a block   products of an input with a weight: x W
    after them                    products that only leave the loop: dx = dz W^T
                                  gradients of weights, dW = sum_t u_t^T dz_t: each thread sums its rows, and at the end
                                  the sums of all threads are added

So neither x W nor dz is ever an array over all t. The operands lie side by side, [steps rows ...]: as many steps as fit
the cache, and at least as many as make a product worth its while (loop.h).
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

import itertools
import math
from collections import Counter
from typing import Any

from jax.extend import core

from rnn_jax.methods.deferred.placement import is_plain, variables
from rnn_jax.methods.native.expressions import kind, stored
from rnn_jax.methods.native.places import Place, dense
from rnn_jax.tracing import live

ADD = ("add", "add_any")


def take_gains(eqns, carry, outs):
    """Takes totals out of the equations: leaves of the carry to which each step adds a product of rows, a^T b, and that
    nothing else reads. Returns the other equations, and (a [r i], b [r k]) by the index of the leaf."""
    made_by = {v: e for e in eqns for v in e.outvars}
    uses = Counter(variables([*(a for e in eqns for a in e.invars), *outs]))
    gains: dict[int, tuple[Any, Any]] = {}
    sums = set()
    for i, (total, new) in enumerate(zip(carry, outs, strict=False)):
        e = made_by.get(new) if not isinstance(new, core.Literal) and uses[new] == 1 == uses[total] else None
        if e is None or e.primitive.name not in ADD or total not in e.invars or len(set(variables(e.invars))) < 2:
            continue
        pair = product_of_rows(made_by, e.invars[1 - e.invars.index(total)])
        if pair and kind(total) == kind(pair[0]) == kind(pair[1]):
            gains[i] = pair
            sums.add(id(e))
    read = [v for i, v in enumerate(outs) if i not in gains] + [v for pair in gains.values() for v in pair]
    return live([e for e in eqns if id(e) not in sums], variables(read)), gains


def maker(made_by, v):
    return None if isinstance(v, core.Literal) else made_by.get(v)


def product_of_rows(made_by, v):
    """(a, b) where v [i k] is a^T b, of a [r i] and b [r k]; else None."""
    turned = False
    while (e := maker(made_by, v)) is not None and e.primitive.name == "transpose" and v.aval.ndim == 2:
        turned, v = turned != (e.params["permutation"] == (1, 0)), e.invars[0]
    if e is None or e.primitive.name != "dot_general" or any(isinstance(a, core.Literal) for a in e.invars):
        return None
    a, b = e.invars[::-1] if turned else e.invars
    plain = a.aval.ndim == b.aval.ndim == 2 and e.params["dimension_numbers"] == (((0,), (0,)), ((), ()))
    return (a, b) if plain else None


class Blocks:
    """Of one loop; `code` is its Code."""

    def __init__(self, code):
        self.code = code
        self.names: dict[Any, str] = {}  # values that a block of steps has side by side, and their arrays
        self.sizes: list[str] = []  # of those of a step, in bytes
        self.first, self.last = self.apart()
        self.leaving = [e.outvars[0] for e in self.last]
        for e in [*self.first, *self.last]:
            self.add(e.invars[0])
            self.add(e.outvars[0])
        for v in itertools.chain(*code.gains.values()):
            self.add(v)
        self.bytes_of_step = " + ".join(self.sizes) or "0"
        self.rows = "rows" if code.row else str(max((v.aval.shape[0] for v in self.names), default=1))
        second = dict.fromkeys(b for _, b in code.gains.values())
        self.panels = {b: self.room(b, f"packed_size<{kind(b)}>(1, {b.aval.shape[1]})") for b in second}
        self.columns = {t: self.room(b, "MR") for t, b in {kind(b): b for b in second}.items()}

    def apart(self):
        """The products with a weight that are taken before the steps of a block, and those after."""
        code = self.code
        users = Counter(variables([*(a for e in code.eqns for a in e.invars), *code.outs]))
        later = set(variables(code.outs[code.n_carry :])) - set(variables(code.outs[: code.n_carry]))
        inputs = [v for i, v in enumerate(code.ins) if i >= code.n_consts + code.n_carry and i not in code.ends]
        first, last = [], []
        for e in filter(self.is_plain, code.eqns):
            if e.invars[0] in inputs:
                first.append(e)
            elif e.outvars[0] in later and users[e.outvars[0]] == 1:
                last.append(e)
        return first, last

    def is_plain(self, e) -> bool:
        """Is it a product [r k] with a weight [k m]?"""
        if not is_plain(e, 1) or any(isinstance(a, core.Literal) for a in e.invars):
            return False
        (u, weight), consts = e.invars, self.code.ins[: self.code.n_consts]
        return weight in consts and u not in consts and self.code.row_axis(weight) is None

    def takes(self, e) -> bool:
        return any(e is other for other in [*self.first, *self.last])

    def add(self, v):
        """Room for a value of all steps of a block."""
        if v not in self.names:
            self.names[v] = self.room(v, f"{v.aval.shape[1]}L")
            self.sizes.append(f"{self.code.bound(v, 0)} * {v.aval.shape[1] * v.aval.dtype.itemsize}L")

    def room(self, v, columns: str) -> str:
        """The name of an array of so many columns for each row of a value and each step of a block."""
        code, name, t = self.code, f"b{next(self.code.numbers)}", stored(v)
        code.memory.append(f"most * {code.bound(v, 0)} * {columns} * sizeof({t})")
        code.declared.append(f"{t}* {name} = ({t}*)memory.take({code.memory[-1]});")
        return name

    def place(self, v) -> Place:
        """Where the value of the step at hand lies."""
        return Place(f"{self.names[v]}s", 0, dense(v.aval.shape))

    # --------------------------------------------------------------------------------------------------------- the code

    def copy_in(self):
        """At the end of a step: operands that lie elsewhere."""
        for v in self.names:
            place = self.code.places.get(v)
            if place is not None and v not in self.leaving and place != self.place(v):
                self.code.copy(v, place, self.place(v))

    def around(self, lines) -> list[str]:
        """The loop over the steps of a block, of these lines each, and what comes before and after it."""
        code, before, after = self.code, [], []
        for v in dict.fromkeys(e.invars[0] for e in self.first):
            before += self.each_step(v, f"arrays.in[{code.ins.index(v)}]", True)
        before += map(self.product, self.first)
        after += map(self.product, self.last)
        for v in self.leaving:
            after += self.each_step(v, f"arrays.out[{code.outs.index(v)}]", False)
        rows = lambda v: f"count * {code.bound(v, 0)}"
        for b, room in self.panels.items():
            n = b.aval.shape[1]
            after.append(f"pack<{kind(b)}>({rows(b)}, {n}, {self.names[b]}, {n}, nullptr, {room});")
        for i, (a, b) in code.gains.items():
            t, (m, n) = kind(b), code.outs[i].aval.shape
            operands = f"{self.names[a]}, {self.panels[b]}, g{i}, {self.columns[t]}"
            after.append(f"accumulate<{t}>({rows(a)}, {m}, {n}, {operands});")
        return [*before, *self.steps(self.names), *lines, "}", *after]

    def steps(self, values) -> list[str]:
        """The beginning of the loop over the steps of a block."""
        lines = ["for (long s = 0; s < count; s++) {"]
        lines.append("const long step = block + s, t = reverse ? steps - 1 - step : step;")
        for v in values:
            name = self.names[v]
            lines.append(f"{stored(v)}* {name}s = {name} + s * {self.code.bound(v, 0)} * {v.aval.shape[1]}L;")
        return lines

    def each_step(self, v, pointer: str, inwards: bool) -> list[str]:
        """Lines that copy a value of each step of a block from an input, or to an output."""
        size = math.prod(v.aval.shape) * v.aval.dtype.itemsize
        moved = self.code.moved(f"({pointer} + t * {size}L)", v, self.place(v), inwards)
        return [*self.steps([v]), *moved, "}"]

    def product(self, e) -> str:
        (u, weight), out = e.invars, e.outvars[0]
        c, t, k, n = e.params["dimension_numbers"][0][1][0], kind(u), u.aval.shape[1], out.aval.shape[1]
        packed, rows = self.code.products.pack(weight, c, [1 - c], ()), f"count * {self.code.bound(u, 0)}"
        return f"multiply<{t}>({rows}, {k}, {n}, {self.names[u]}, {k}, {packed}, {self.names[out]}, {n});"

    def totals(self) -> tuple[list[str], list[str], int]:
        """Lines that say where a thread's sums are, and that add those of all; the bytes that a thread has for them."""
        here, added, at = [], [], 0
        for i in [*self.code.gains, *self.code.partial]:
            v = self.code.outs[i]
            t, n = kind(v), math.prod(v.aval.shape)
            here.append(f"{t}* g{i} = ({t}*)(totals + {at});")
            whole = f"(const {t}*)arrays.in[{self.code.n_consts + i}], ({t}*)arrays.out[{i}]"
            added.append(f"add_parts<{t}>({n}, {whole}, totals + {at}, totals_bytes, parts, slice, slices);")
            at += -(-n * v.aval.dtype.itemsize // 64) * 64
        return here, added, at
