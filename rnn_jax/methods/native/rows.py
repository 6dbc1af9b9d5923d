"""Which axis is divided among the threads: that of rows which no equation mixes, but for sums over them that are only
added up over the steps. Of those each thread has a part, and the parts are added at the end."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

from collections import Counter
from typing import Any

from jax.extend import core

from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.fused.axes import Axes
from rnn_jax.methods.native.blocks import ADD, maker
from rnn_jax.methods.native.expressions import kind

LINEAR = ("transpose", "reshape", "squeeze", "broadcast_in_dim", "copy", "copy_p")


def divide(code, jaxpr) -> tuple[Axes, Any, list[int]]:
    """(axes, that of rows or None, the leaves of the carry of which each thread has a part)."""
    sums = take_sums(code.eqns, code.ins[code.n_consts : code.n_consts + code.n_carry], code.outs)
    sums = {i: e for i, e in sums.items() if i not in code.gains}
    axes, row = divided(code, jaxpr, sums)
    partial = {i: e for i, e in sums.items() if row and sums_over(e, axes, row)}
    if len(partial) < len(sums):  # the others are leaves like any other
        axes, row = divided(code, jaxpr, partial)
    if partial and not row:
        partial = {}
        axes, row = divided(code, jaxpr, partial)
    return axes, row, list(partial)


def divided(code, jaxpr, sums):
    """(axes, that of rows or None), where these equations, by leaf of the carry, may sum over rows."""
    n, m = code.n_consts, code.n_carry
    leaves = [i for i in range(m) if i not in code.gains and i not in sums]
    outs = [*(code.outs[i] for i in leaves), *code.outs[m:]]
    axes = Axes(jaxpr.replace(eqns=code.eqns, outvars=outs), [code.ins[n + i] for i in leaves], list(sums.values()))
    for a, b in code.gains.values():
        axes.join(a, b, [(0, 0)])
    for i, end in code.ends.items():
        axes.join(code.ins[i], code.ins[end])
    return axes, next((axis for axis in axes.blocks(1)), None)


def sums_over(e, axes: Axes, row) -> bool:
    summed = e.params["axes"] if e.primitive.name == "reduce_sum" else e.params["dimension_numbers"][0][0]
    return any(axes.of((e.invars[0], i)) == row for i in summed)


def take_sums(eqns, carry, outs) -> dict[int, Any]:
    """By the index of a leaf of the carry, to which each step adds one sum, and that nothing else reads, the equation
    that sums: over rows, each thread could add its own part."""
    made_by = {v: e for e in eqns for v in e.outvars}
    uses = Counter(variables([*(a for e in eqns for a in e.invars), *outs]))
    found = {}
    for i, (total, new) in enumerate(zip(carry, outs, strict=False)):
        e = made_by.get(new) if not isinstance(new, core.Literal) and uses[new] == 1 == uses[total] else None
        if e is None or e.primitive.name not in ADD or total not in e.invars or kind(total) not in ("float", "double"):
            continue
        v = e.invars[1 - e.invars.index(total)]
        while (e := maker(made_by, v)) is not None and uses[v] == 1 and e.primitive.name in LINEAR:
            v = e.invars[0]
        if e is None or e.primitive.name not in ("reduce_sum", "dot_general") or uses[v] > 1:
            continue
        if not any(isinstance(a, core.Literal) for a in e.invars):
            found[i] = e
    return found
