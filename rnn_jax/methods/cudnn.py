"""method="cudnn": the standard LSTM on an NVIDIA GPU, by cuDNN's own kernels (`jax.experimental.rnn`).

The step must be that of `rnn_jax.cells.lstm`, equation for equation, in float32. Its params are packed as cuDNN wants
them, exactly: gates in the order i f g o in both, matrices transposed, and a second bias of zero.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs are not in JAX's annotations)

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from rnn_jax.cells import lstm
from rnn_jax.tracing import Body, flatten, same, trace


def run(body: Body, fixed, carry, xs, length: int, reverse: bool):
    """The method: (carry, ys) of `body` over `length` steps, flat lists in and out."""
    active = xs[1] if len(xs) == 2 and xs[1].dtype == bool else None
    _demand_lstm(body, carry, xs, active)
    if not available():
        raise ValueError(f'cudnn: needs an NVIDIA GPU, and JAX runs on "{jax.default_backend()}"; use "deferred"')
    if length == 0:
        return carry, [jnp.zeros((0, *carry[0].shape), carry[0].dtype)]
    bias, wh, wx = fixed
    weights = jnp.concatenate([wx.T.reshape(-1), wh.T.reshape(-1), bias, jnp.zeros_like(bias)])
    b = carry[0].shape[0]
    lengths = jnp.full(b, length, jnp.int32) if active is None else jnp.sum(active, 0, dtype=jnp.int32)

    def flip(a):
        return _flip(a, lengths) if reverse else a

    # A sequence of length 0 runs one step, of which nothing is kept: cuDNN takes no lengths below 1.
    y, h, c = kernel(flip(xs[0]).swapaxes(0, 1), carry[0][None], carry[1][None], weights, jnp.maximum(lengths, 1))
    y = flip(y.swapaxes(0, 1))
    new = [h[0], c[0]]
    if active is not None:
        y = jnp.where(active[:, :, None], y, 0)
        new = [jnp.where((lengths > 0)[:, None], a, old) for a, old in zip(new, carry, strict=True)]
    return new, [y]


def available() -> bool:
    return jax.default_backend() == "gpu" and "nvidia" in jax.devices()[0].device_kind.lower()


def kernel(x, h, c, weights, lengths) -> Any:
    """x [b t n], h and c [1 b d], lengths int32 [b], at least 1: (y [b t d], h, c)."""
    from jax.experimental import rnn

    return rnn.lstm(x, h, c, weights, lengths, x.shape[-1], h.shape[-1], 1, 0.0, False)


def _flip(a, lengths):
    """Each sequence of [t b ...] from its last step to its first, the padding where it was."""
    t = jnp.arange(len(a))[:, None]
    order = jnp.where(t < lengths, lengths - 1 - t, t)
    return jnp.take_along_axis(a, order.reshape(*order.shape, *[1] * (a.ndim - 2)), axis=0)


def _demand_lstm(body: Body, carry, xs, active):
    """Compares the body with that of the standard LSTM, traced for the same shapes and mask."""
    refuse = ValueError(
        "cudnn: takes the step of rnn_jax.cells.lstm alone, in float32, with lengths but without resets, collect and "
        'taps; use method="deferred", which takes any step'
    )
    if len(carry) != 2 or not xs or any(a.ndim != k or a.dtype != jnp.float32 for a, k in ((carry[0], 2), (xs[0], 3))):
        raise refuse
    (b, d), n = carry[0].shape, xs[0].shape[-1]
    kind = lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding)
    types = [kind(v.aval) for v in body.jaxpr.invars]  # as traced: they also tell the mesh that the arguments lie on
    shapes = [(4 * d,), (d, 4 * d), (n, 4 * d), (b, d), (b, d), (b, n), *([(b,)] if active is not None else [])]
    if [a.shape for a in types] != shapes or any(a.dtype != jnp.float32 for a in types[:6]):
        raise refuse
    params, state = dict(zip(("b", "wh", "wx"), types, strict=False)), tuple(types[3:5])
    mask = None if active is None else types[6]
    standard = trace(lstm().step, params, state, types[5], taps={}, collect=[], active=mask, reset=None).body
    plain = lambda body: flatten(core.ClosedJaxpr(body.jaxpr, []), keep_names=False)[0]
    if not same(plain(body), plain(standard)):
        raise refuse
