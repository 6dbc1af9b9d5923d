"""Equations on values: one step's, or those of all steps at once."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import jax
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.placement import BILINEAR, ONCE, variables


def apply(eqn, args):
    """One equation on the values of its (distinct) variables, as a list."""
    invars = list(dict.fromkeys(variables(eqn.invars)))
    small = _EMPTY.replace(invars=invars, outvars=list(eqn.outvars), eqns=[eqn], effects=eqn.effects)
    return core.jaxpr_as_fun(core.ClosedJaxpr(small, []))(*args)


_EMPTY = jax.make_jaxpr(lambda: ())().jaxpr


def evaluate(eqn, env):
    env.update(zip(eqn.outvars, apply(eqn, [env[v] for v in dict.fromkeys(variables(eqn.invars))]), strict=True))


def one_device():
    """Rows of all steps may be merged into one axis (a faster product on the CPU) only where no batch axis is sharded:
    merging t with a sharded b would gather it. What a traced program will be sharded over is not known here."""
    return jax.device_count() == 1


def product(eqn, operands, stacked):
    """A bilinear equation with one or two of its operands stacked over time."""
    if eqn.primitive.name == "dot_general" and stacked.count(True) == 1 and one_device():
        (contract, batch), s = eqn.params["dimension_numbers"], stacked.index(True)
        rows = operands[s].ndim - 2
        if not batch[0] and contract[s] == (rows,) and (s == 0 or operands[0].ndim == 1 == len(contract[0])):
            lead = operands[s].shape[:-1]
            flat = operands[s].reshape(-1, operands[s].shape[-1])
            dims = (((1,), contract[1 - s]), ((), ()))
            out = lax.dot_general(
                flat, operands[1 - s], dims, precision=eqn.params["precision"],
                preferred_element_type=eqn.params["preferred_element_type"],
            )  # fmt: skip
            return out.reshape(*lead, *out.shape[1:])
    invars = list(dict.fromkeys(variables(eqn.invars)))
    values = {
        v: (o, k) for v, o, k in zip(eqn.invars, operands, stacked, strict=True) if not isinstance(v, core.Literal)
    }
    args, axes = [values[v][0] for v in invars], [0 if values[v][1] else None for v in invars]
    return jax.vmap(lambda *a: apply(eqn, a), in_axes=axes)(*args)[0]


def evaluate_stacked(eqn, env, where):
    """An equation for all t at once; values placed `once` have no time axis."""
    if eqn.primitive.name in BILINEAR and len(set(variables(eqn.invars))) == 2:
        out = product(eqn, [env[v] for v in eqn.invars], [where[v] > ONCE for v in eqn.invars])
        env[eqn.outvars[0]] = out
        return
    invars = list(dict.fromkeys(variables(eqn.invars)))
    axes = [0 if where[v] > ONCE else None for v in invars]
    outs = jax.vmap(lambda *a: apply(eqn, a), in_axes=axes)(*(env[v] for v in invars))
    env.update(zip(eqn.outvars, outs, strict=True))
