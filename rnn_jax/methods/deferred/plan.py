"""What is evaluated where: the plan that method "deferred" carries out, and `explain` tells."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

from typing import Any, NamedTuple

import jax
from jax.extend import core

from rnn_jax.methods.deferred.heads import as_matrices
from rnn_jax.methods.deferred.placement import AHEAD, LOOP, ONCE, is_plain, place, take_in, variables, weight_of
from rnn_jax.methods.deferred.rewriting import Sum, group, split_concatenations, spread_out, summed_in_turn, widen
from rnn_jax.methods.deferred.transposes import rows_first
from rnn_jax.tracing import Body, flatten


class Plan(NamedTuple):
    body: Body
    where: dict[core.Var, int]
    once: list[Any]  # equations, in order
    ahead: list[Any]
    after: list[Any]
    loop: list[Any]  # equations and Sums, in order
    presums: list[tuple[core.Var, list[Any]]]  # outside terms of a Sum -> their sum
    widened: list[tuple[core.Var, core.Var]]  # (full shape, small): once operands broadcast before the loop
    spread: set[core.Var]  # loop values that are not worth storing
    loop_once: list[core.Var]  # what the loop reads of each place
    loop_ahead: list[core.Var]
    loop_out: list[core.Var]  # loop values that leave it stacked: outputs, and inputs of `after`
    notes: list[str]  # what stays in the loop although it need not, for `explain`
    inside: bool  # are `plain` products, those of x too, and the gradients of their weights, left to the loop?


def weight_after(plan: Plan, eqn):
    """The index of the weight of a product whose gradient is taken after the loop, or None."""
    w = weight_of(eqn, plan.where)
    return None if plan.inside and is_plain(eqn, w) else w


def make_plan(body: Body, length: int, inside=False) -> Plan:
    jaxpr, _ = flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)
    body = body._replace(jaxpr=jaxpr)
    where, notes = place(body, length)
    for rewrite in (rows_first, split_concatenations, *([as_matrices] if inside else [])):
        if (rewritten := rewrite(jaxpr, where)) is not jaxpr:
            jaxpr = rewritten
            body = body._replace(jaxpr=jaxpr)
            where, notes = place(body, length)
    if inside:
        take_in(jaxpr, where)
    by_place: list[list[Any]] = [[], [], [], []]
    for eqn in jaxpr.eqns:
        by_place[where[eqn.outvars[0]] if eqn.outvars else LOOP].append(eqn)
    once, ahead, loop, after = by_place
    widened: list[tuple[core.Var, core.Var]] = []
    loop = [widen(e, where, widened) for e in loop]
    spread = spread_out(loop, where) if jax.default_backend() == "cpu" else set()  # not measured elsewhere yet
    if jax.device_count() == 1:  # else a gradient that is summed in the loop would be an all-reduce in each step
        loop = [e for eqn in loop for e in summed_in_turn(eqn, where, spread)]
    presums: list[tuple[core.Var, list[Any]]] = []
    loop = group(loop, after, jaxpr, where, presums)

    reads = []
    for item in loop:
        if isinstance(item, Sum):
            reads += [*(a for e in item.products for a in e.invars), *item.outside]
        else:
            reads += item.invars
    reads = variables([*reads, *jaxpr.outvars[: body.n_carry]])
    reads_of = lambda p: list(dict.fromkeys(v for v in reads if where[v] == p))
    made_in_loop = [
        v
        for v in variables([*jaxpr.outvars[body.n_carry :], *(v for e in after for v in e.invars)])
        if where[v] == LOOP
    ]
    return Plan(
        body, where, once, ahead, after, loop, presums, widened, spread,
        reads_of(ONCE), reads_of(AHEAD), list(dict.fromkeys(made_in_loop)), notes, inside,
    )  # fmt: skip
