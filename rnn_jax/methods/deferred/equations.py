"""Equations on values: one step's, or those of all steps at once."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.placement import BILINEAR, ELEMENTWISE, ONCE, variables


def apply(eqn, args):
    """One equation on the values of its (distinct) variables, as a list."""
    invars = list(dict.fromkeys(variables(eqn.invars)))
    small = _EMPTY.replace(invars=invars, outvars=list(eqn.outvars), eqns=[eqn], effects=eqn.effects)
    return core.jaxpr_as_fun(core.ClosedJaxpr(small, []))(*args)


_EMPTY = jax.make_jaxpr(lambda: ())().jaxpr


def evaluate(eqn, env):
    if eqn.primitive.name == "broadcast_in_dim" and variables(eqn.invars) and half(eqn.outvars[0].aval.dtype):
        env[eqn.outvars[0]] = spread(env[eqn.invars[0]], eqn.params["shape"], eqn.params["broadcast_dimensions"])
        return
    env.update(zip(eqn.outvars, apply(eqn, [env[v] for v in dict.fromkeys(variables(eqn.invars))]), strict=True))


def half(dtype):
    return dtype in (jnp.bfloat16, jnp.float16)


def spread(a, shape, dims):
    """lax.broadcast_in_dim, whose gradient is summed in float32: that of a bias in half precision has a term for each t
    and b, and eight bits would lose the small ones."""
    return _spread(a, shape, dims, a.shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _spread(a, shape, dims, small):
    return lax.broadcast_in_dim(a, shape, dims)


def _gathered(shape, dims, small, _, d):
    axes = [i for i, n in enumerate(shape) if i not in dims or small[dims.index(i)] != n]
    return (jnp.sum(d, axes, dtype=jnp.float32).reshape(small).astype(d.dtype),)


_spread.defvjp(lambda a, *how: (_spread(a, *how), None), _gathered)


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
    length = next(len(env[v]) for v in invars if where[v] > ONCE)
    spreads = {v for v in invars if where[v] == ONCE and half(v.aval.dtype) and eqn.primitive.name in ELEMENTWISE}
    values = [over_time(env[v], length) if v in spreads else env[v] for v in invars]
    axes = [0 if where[v] > ONCE or v in spreads else None for v in invars]
    outs = jax.vmap(lambda *a: apply(eqn, a), in_axes=axes)(*values)
    env.update(zip(eqn.outvars, outs, strict=True))


def over_time(a, length: int):
    """A value that is the same at all t, [t ...]."""
    return spread(a, (length, *a.shape), tuple(range(1, a.ndim + 1)))
