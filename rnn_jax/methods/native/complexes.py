"""Complex values as pairs of real ones: compilers make vectors of loops over those."""

# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false
# (the types of jaxprs are not in JAX's annotations)

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.equations import apply
from rnn_jax.methods.deferred.placement import variables
from rnn_jax.methods.native.expressions import Refused

EACH = frozenset((  # equations that do with both parts what they do with a real value
    "add", "add_any", "broadcast_in_dim", "concatenate", "copy", "copy_p", "cumsum", "neg", "pad", "reduce_sum",
    "reshape", "rev", "select_n", "slice", "split", "squeeze", "stop_gradient", "sub", "transpose",
))  # fmt: skip
MAPPED = ("add", "add_any", "complex", "div", "mul", "select_n", "sub")  # whose constants have no shape of their own


class Pair(NamedTuple):
    real: Any
    imag: Any


def product(one: Pair, other: Pair, times=lax.mul) -> Pair:
    (a, b), (c, d) = one, other
    return Pair(times(a, c) - times(b, d), times(a, d) + times(b, c))


def quotient(one: Pair, other: Pair) -> Pair:
    """(a + ib) / (c + id), with c and d scaled so that no square overflows. By 0 it is NaN."""
    (a, b), (c, d) = one, other
    size = jnp.maximum(jnp.abs(c), jnp.abs(d))
    c, d = c / size, d / size
    below = (c * c + d * d) * size
    return Pair((a * c + b * d) / below, (b * c - a * d) / below)


def is_complex(v) -> bool:
    return jnp.issubdtype(v.aval.dtype, jnp.complexfloating)


def apart(values, like) -> list[Any]:
    """Arrays, the complex ones as two."""
    pairs = zip(values, like, strict=True)
    return [part for a, v in pairs for part in ((lax.real(a), lax.imag(a)) if is_complex(v) else (a,))]


def together(values, like) -> list[Any]:
    """The inverse of `apart`."""
    left = iter(values)
    return [lax.complex(next(left), next(left)) if is_complex(v) else next(left) for v in like]


def in_pairs(jaxpr: core.Jaxpr, n_consts: int, n_carry: int, ends: dict[int, int]):
    """(jaxpr, n_consts, n_carry, ends) of the same loop in real values; see `kernels.scan` for the last."""
    if not any(map(is_complex, variables([*jaxpr.invars, *(v for e in jaxpr.eqns for v in e.outvars)]))):
        return jaxpr, n_consts, n_carry, ends
    width = lambda vs: sum(1 + is_complex(v) for v in vs)
    xs = n_consts + n_carry

    def real(*leaves):
        left, env = iter(leaves), {}
        for v in jaxpr.invars:
            env[v] = Pair(next(left), next(left)) if is_complex(v) else next(left)
        for eqn in jaxpr.eqns:
            env.update(zip(eqn.outvars, evaluated(eqn, env), strict=True))
        found = [read(a, env) for a in jaxpr.outvars]
        return [part for a in found for part in (a if isinstance(a, Pair) else (a,))]

    part = lambda v: v.aval.update(dtype=jnp.finfo(v.aval.dtype).dtype)
    types = [t for v in jaxpr.invars for t in ([part(v)] * 2 if is_complex(v) else [v.aval])]
    at = lambda i, start: width(jaxpr.invars[start : start + i])
    ends = {
        at(x, xs) + k: at(end, 0) + k
        for x, end in ends.items() for k in range(1 + is_complex(jaxpr.invars[xs + x]))
    }  # fmt: skip
    closed = jax.make_jaxpr(real)(*types)
    if closed.consts:
        raise Refused("the step holds an array of constants")
    return closed.jaxpr, at(n_consts, 0), at(n_carry, n_consts), ends


def read(a, env, shape=()) -> Any:
    """A value; constants in a shape that is wanted."""
    if not isinstance(a, core.Literal):
        return env[a]
    value = np.asarray(a.val, a.aval.dtype)
    full = lambda part: jnp.full(shape, part, part.dtype)
    return Pair(full(value.real), full(value.imag)) if is_complex(a) else full(value)


def evaluated(eqn, env) -> list[Any]:
    kind, params = eqn.primitive.name, eqn.params
    shape = eqn.outvars[0].aval.shape if kind in MAPPED else ()
    args: Any = [read(a, env, shape) for a in eqn.invars]
    pairs = [isinstance(a, Pair) for a in args]
    if kind == "complex":
        return [Pair(*args)]
    if not any(pairs) and not any(map(is_complex, eqn.outvars)):
        return apply(eqn, [env[v] for v in dict.fromkeys(variables(eqn.invars))])
    if kind == "convert_element_type":
        wanted, (a,) = eqn.outvars[0].aval.dtype, args
        if not is_complex(eqn.outvars[0]):
            return [a.real.astype(wanted)]
        part = jnp.finfo(wanted).dtype
        pair = a if pairs[0] else Pair(a, jnp.zeros_like(a))
        return [Pair(pair.real.astype(part), pair.imag.astype(part))]
    if kind in ("real", "imag"):
        return [getattr(args[0], kind)]
    if kind == "conj":
        return [Pair(args[0].real, -args[0].imag)]
    if kind == "mul":
        return [product(*args)]
    if kind == "div":
        return [quotient(*args)]
    n = {"square": 2, "integer_pow": params.get("y")}.get(kind)
    if n and abs(n) <= 4:
        power = functools.reduce(product, args * abs(n))
        one = Pair(jnp.ones_like(power.real), jnp.zeros_like(power.real))
        return [power if n > 0 else quotient(one, power)]
    if kind == "dot_general":
        part = params["preferred_element_type"] and jnp.finfo(params["preferred_element_type"]).dtype
        times = lambda a, b: eqn.primitive.bind(a, b, **params | {"preferred_element_type": part})
        return [product(args[0], args[1], times)]
    if kind in EACH:
        parts = ([a[k] if pair else a for a, pair in zip(args, pairs, strict=True)] for k in (0, 1))
        real, imag = (eqn.primitive.bind(*part, **params) for part in parts)
        return list(map(Pair, real, imag)) if eqn.primitive.multiple_results else [Pair(real, imag)]
    raise Refused(f"no code for {kind} of complex values")
