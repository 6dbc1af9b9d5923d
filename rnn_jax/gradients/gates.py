"""What the named values of a step do over time, and how often gates saturate (Karpathy, Johnson & Li, 2015)."""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from rnn_jax.gradients import flat
from rnn_jax.scan import scan


def traces(step: Callable, params, carry, xs, names: Sequence[str] | None = None) -> dict[str, jax.Array]:
    """The named values at every step: dict name -> [t ...], as `rnn_jax.scan(..., collect=names)`; None: all visible.

    Raises ValueError: no such name, NaN in the arguments.
    """
    params, carry, xs = flat.as_arrays(params, carry, xs)
    flat.check("traces", step, params, carry, xs)
    names = flat.names(step, params, carry, xs) if names is None else list(names)
    return scan(step, params, carry, xs, collect=names)[-1] if names else {}


def saturation(
    step: Callable, params, carry, xs, names: Sequence[str] | None = None, margin: float = 0.1
) -> dict[str, dict[str, jax.Array]]:
    """Fraction over t and b, per unit, of the values near an end of their range: name -> {"low": [d], "high": [d]}.

    The range is that of the function that made the value, found in the step's equations: logistic (0, 1), tanh (-1, 1);
    low is the lowest `margin` of it, high the highest (0.1: left- and right-saturated, as in the paper). For relu low
    is exactly 0 and high is 0. names=None: those of which the function is known.
    Raises ValueError: no such name, a name made by another function, a margin outside 0 ... 0.5, NaN in the arguments.
    """
    if not 0 < margin <= 0.5:
        raise ValueError(f"saturation: margin = {margin} is outside 0 ... 0.5")
    params, carry, xs = flat.as_arrays(params, carry, xs)
    flat.check("saturation", step, params, carry, xs)
    wanted = flat.names(step, params, carry, xs) if names is None else list(names)
    jaxpr = flat.traced(step, params, carry, xs, collect=wanted).body.jaxpr
    ends = jaxpr.outvars[len(jaxpr.outvars) - len(wanted) :] if wanted else []
    made = {k: _maker(jaxpr, v) for k, v in zip(sorted(wanted), ends, strict=True)}
    if names is not None and (bad := [k for k in wanted if made[k] is None]):
        raise ValueError(f"saturation: {bad[0]!r} is not made by logistic, tanh or relu, so it has no known range")
    values = traces(step, params, carry, xs, [k for k in wanted if made[k]])
    return {k: _fractions(v, made[k], margin) for k, v in values.items()}


def _maker(jaxpr, value):
    """The function that made a value, looking through names, slices and casts."""
    makers = {v: e for e in jaxpr.eqns for v in e.outvars}
    while value in makers and makers[value].primitive.name in flat.PARTS:
        value = makers[value].invars[0]
    return flat.function_of(makers[value]) if value in makers else None


def _fractions(values, function, margin):
    axes = tuple(range(max(1, values.ndim - 1)))
    low, high = {
        "logistic": lambda v: (v < margin, v > 1 - margin),
        "tanh": lambda v: (v < 2 * margin - 1, v > 1 - 2 * margin),
        "relu": lambda v: (v == 0, jnp.zeros(v.shape, bool)),
    }[function](values)
    return {"low": jnp.mean(low, axis=axes), "high": jnp.mean(high, axis=axes)}
