"""The products of a step: with a weight by `multiply` (runtime.cc), any other by plain loops."""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

import math
from typing import Any

import numpy as np
from jax.extend import core

from rnn_jax.methods.native.expressions import Refused, kind
from rnn_jax.methods.native.places import dense


class Products:
    """Of one loop; `code` is its Code."""

    def __init__(self, code):
        self.code = code
        self.packs: list[str] = []  # lines that lay out the weights, before the loop
        self.packed: dict[Any, str] = {}
        self.size = "0"  # of all of them, in bytes

    def emit(self, e):
        """A dot_general."""
        code, out = self.code, e.outvars[0]
        contract, batch = e.params["dimension_numbers"]
        if str(out.aval.dtype) != str(e.invars[0].aval.dtype) or any(isinstance(a, core.Literal) for a in e.invars):
            raise Refused("no code for this product")
        free = [
            [i for i in range(a.aval.ndim) if i not in c and i not in m]
            for a, c, m in zip(e.invars, contract, batch, strict=True)
        ]
        places = [code.places[a] for a in e.invars]
        known = [a in code.ins[: code.n_consts] for a in e.invars]
        w = known.index(True) if known.count(True) == 1 else None
        if w is not None and len(contract[0]) == 1 and self.by_panels(e, w, contract, batch, free, places):
            return
        self.by_loops(e, contract, batch, free, places)

    def by_loops(self, e, contract, batch, free, places):
        """Any other product: the innermost loop is over columns of the outcome, or a fold over what is summed."""
        code, place = self.code, self.code.places[e.outvars[0]]
        sizes = [code.bound(e.invars[0], i) for i in batch[0]]
        sizes += [code.bound(a, i) for a, part in zip(e.invars, free, strict=True) for i in part]
        within = [code.bound(e.invars[0], i) for i in contract[0]]
        flat, at = [], len(batch[0])  # the operands, by the axes of the outcome and those that are summed over
        for c, m, f, p in zip(contract, batch, free, places, strict=True):
            axis = dict(enumerate(m)) | dict(enumerate(f, at))
            outer = [p.strides[axis[i]] if i in axis else 0 for i in range(len(sizes))]
            flat.append(p._replace(strides=(*outer, *(p.strides[i] for i in c))))
            at += len(f)
        index, inner = [f"i{i}" for i in range(len(sizes))], [f"k{i}" for i in range(len(within))]
        product = " * ".join(p.at([*index, *inner]) for p in flat)
        target, total = place.at(index), f"{kind(e.outvars[0])} sum = 0;"
        loops = [f"for (long {k} = 0; {k} < {size}; {k}++) {{" for k, size in zip(inner, within, strict=True)]
        ends = "}" * len(loops)
        if sizes and place.strides[-1] == 1 and all(p.strides[len(sizes) - 1] in (0, 1) for p in flat):
            last = f"for (long {index[-1]} = 0; {index[-1]} < {sizes[-1]}; {index[-1]}++) {target}"
            simd = '_Pragma("omp simd")'
            code.nest(sizes[:-1], [simd, f"{last} = 0;", *loops, simd, f"{last} += {product};", ends], vector=False)
        elif all(p.strides[-1] == 1 for p in flat):
            rows = ", ".join(f"&{p.at([*index, *inner[:-1], '0'])}" for p in flat)
            fold = f"sum += dot({within[-1]}, {rows});"
            code.nest(sizes, [total, *loops[:-1], fold, ends[1:], f"{target} = sum;"], vector=False)
        else:
            code.slow.add("product")
            code.nest(sizes, [total, *loops, f"sum += {product};", ends, f"{target} = sum;"], vector=False)

    def by_panels(self, e, w, contract, batch, free, places) -> bool:
        """The product with a weight, the operand at w, of one axis of rows (or none) and any axes of columns; of each
        index of the batch axes, heads, one. False where the operands do not lie so."""
        code, u, weight = self.code, e.invars[1 - w], e.invars[w]
        place, of_u = code.places[e.outvars[0]], places[1 - w]
        (k_u,), rows, columns, heads = contract[1 - w], free[1 - w], free[w], len(batch[0])
        first = heads + (len(rows) if w == 1 else 0)  # of the outcome's axes: heads, then those of the first operand
        row = heads if w == 1 else heads + len(columns)
        shape = [weight.aval.shape[i] for i in columns]
        apart = code.row_axis(u) in batch[1 - w] or code.row_axis(weight) is not None
        gaps = of_u.strides[k_u] != 1 or place.strides[first : first + len(columns)] != dense(shape)
        if len(rows) > 1 or apart or gaps or kind(weight) not in ("float", "double"):
            return False
        t, k, n = kind(weight), weight.aval.shape[contract[w][0]], math.prod(shape)
        m, lda, ldc = "1", 0, 0
        if rows:
            m, lda, ldc = code.bound(u, rows[0]), of_u.strides[rows[0]], place.strides[row]
        name = self.pack(weight, contract[w][0], columns, batch[w])
        for head, ids in enumerate(np.ndindex(*(weight.aval.shape[i] for i in batch[w]))):
            at_u = of_u.offset + sum(i * of_u.strides[axis] for i, axis in zip(ids, batch[1 - w], strict=True))
            at = place.offset + sum(i * place.strides[axis] for axis, i in enumerate(ids))
            code.lines.append(
                f"multiply<{t}>({m}, {k}, {n}, {of_u.base} + {at_u}, {lda}, "
                f"{name} + {head} * packed_size<{t}>({k}, {n}), {place.base} + {at}, {ldc});"
            )
        return True

    def pack(self, weight, contract: int, columns, heads) -> str:
        """The name of a weight as `multiply` wants it, which is so laid out before the loop."""
        code, key = self.code, (weight, contract, tuple(heads))
        if key in self.packed:
            return self.packed[key]
        name, t, shape, strides = f"w{next(code.numbers)}", kind(weight), weight.aval.shape, dense(weight.aval.shape)
        offsets = lambda axes: [
            sum(i * strides[axis] for i, axis in zip(ids, axes, strict=True))
            for ids in np.ndindex(*(shape[axis] for axis in axes))
        ]
        places, k = offsets(columns), shape[contract]
        code.declared.append(f"const {t}* {name} = (const {t}*)(packed + {self.size});")
        if len(columns) == 1:
            self.packs.append(f"{{ long places[{len(places)}];")
            self.packs.append(f"for (long i = 0; i < {len(places)}; i++) places[i] = i * {strides[columns[0]]};")
        else:
            self.packs.append(f"{{ static const long places[] = {{{', '.join(map(str, places))}}};")
        for head, at in enumerate(offsets(heads)):
            self.packs.append(
                f"pack<{t}>({k}, {len(places)}, (const {t}*)arrays.in[{code.ins.index(weight)}] + {at}, "
                f"{strides[contract]}, places, "
                f"({t}*)(packed + {self.size}) + {head} * packed_size<{t}>({k}, {len(places)}));"
            )
        self.packs.append("}")
        self.size += f" + {len(offsets(heads))} * sizeof({t}) * packed_size<{t}>({k}, {len(places)})"
        self.packed[key] = name
        return name
