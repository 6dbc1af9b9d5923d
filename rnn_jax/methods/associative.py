"""method="associative": cells that are linear in their carry, in parallel over time (minGRU and minLSTM: Feng et al.,
2024, arXiv:2410.01201; LRU: Orvieto et al., 2023, arXiv:2303.06349; any diagonal linear RNN; a dense one too).

s_t = A_t s_{t-1} + r_t with A_t and r_t that depend on x_t alone: r_t is the step at s = 0, A_t its derivative, and the
recurrence is an associative scan (Blelloch, 1990; Martin & Cundy, 2018, arXiv:1709.04057). That the step is linear is
read from its equations, not trusted.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import dataclasses

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.methods import deferred
from rnn_jax.methods.deferred.plan import Plan
from rnn_jax.methods.deferred.step import loop_step
from rnn_jax.methods.linear import recurrence, shift
from rnn_jax.methods.states import Layout, demand_parallel, nothing
from rnn_jax.tracing import live, vary

ELEMENTWISE = (
    "add",
    "add_any",
    "sub",
    "neg",
    "mul",
    "div",
    "select_n",
    "convert_element_type",
    "copy",
    "pvary",
    "pcast",
)
MOVING = (
    "reshape", "broadcast_in_dim", "transpose", "squeeze", "slice", "concatenate", "pad", "rev", "reduce_sum",
    "cumsum", "dot_general", "conv_general_dilated", "split", "expand_dims",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Associative:
    """The method; it has no settings. Where no unit's state meets another's, the blocks have k = 1 (or one entry a leaf
    of the carry); else they are whole, d by d, and a product of two costs d^3."""

    def __call__(self, body, fixed, carry, xs, length: int, reverse: bool):
        if nothing(carry):
            return deferred.run(body, fixed, carry, xs, length, reverse)
        return deferred.run(body, fixed, carry, xs, length, reverse, make)


def make(plan: Plan, length: int, reverse: bool):
    demand_parallel(plan, "associative")
    elementwise = structure(plan)
    step = loop_step(plan)

    def loop(once, ahead, carry):
        layout = Layout(carry, "units" if elementwise else "full")
        first = layout.pack(carry)
        advance = lambda x: lambda state: layout.pack(step(once, x, layout.unpack(state))[0])
        jacobian = layout.elementwise_jacobian if elementwise else layout.jacobian
        zero = vary(jnp.zeros_like(first), jax.typeof(first))
        a = jax.vmap(lambda x: jacobian(advance(x), zero), axis_size=length)(ahead)
        r = jax.vmap(lambda x: advance(x)(zero), axis_size=length)(ahead)
        states = jax.vmap(layout.unpack)(recurrence(a, r, first, reverse))
        before = [shift(c, s, reverse) for c, s in zip(carry, states, strict=True)]
        _, out = jax.vmap(step, (None, 0, 0))(once, ahead, before)
        return [s[0 if reverse else -1] for s in states], out

    return loop


def is_cheap(plan: Plan) -> bool:
    """Whether it takes this step, and needs no products of whole matrices."""
    try:
        demand_parallel(plan, "associative")
        return structure(plan)
    except ValueError:
        return False


def structure(plan: Plan) -> bool:
    """Whether the new carry depends on each unit of the old one alone. Raises where it is not linear in it."""
    body = plan.body
    n = body.n_carry
    linear = set(body.jaxpr.invars[body.n_fixed : body.n_fixed + n])
    elementwise = len({v.aval.shape for v in linear}) == 1
    for eqn in live(body.jaxpr.eqns, body.jaxpr.outvars[:n]):
        of_carry = [not isinstance(a, core.Literal) and a in linear for a in eqn.invars]
        if not any(of_carry):
            continue
        if not _linear(eqn, of_carry):
            raise ValueError(
                "associative: the step is not known to be linear in its carry, which goes through "
                f'{eqn.primitive.name!r}; use method="newton", which takes any step, or "deferred"'
            )
        shapes = {a.aval.shape for a, of in zip(eqn.invars, of_carry, strict=True) if of}
        elementwise &= eqn.primitive.name in ELEMENTWISE and shapes == {eqn.outvars[0].aval.shape}
        linear.update(eqn.outvars)
    return elementwise


def _linear(eqn, of_carry) -> bool:
    kind = eqn.primitive.name
    if kind in ("mul", "dot_general", "conv_general_dilated"):
        return of_carry.count(True) == 1
    if kind in ("div", "select_n"):  # by what, and on what condition, is not of the carry
        return not of_carry[1 if kind == "div" else 0]
    if kind == "convert_element_type":
        complexity = [jnp.issubdtype(v.aval.dtype, jnp.complexfloating) for v in (*eqn.invars, *eqn.outvars)]
        return jnp.issubdtype(eqn.outvars[0].aval.dtype, jnp.inexact) and complexity[0] <= complexity[1]
    return kind in (*ELEMENTWISE, *MOVING)
