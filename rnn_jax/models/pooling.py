"""The states of a sentence as one vector. A row may hold several sentences: segments int [t b], 1, 2, ... or 0, none.

    last       the state after the last word; of two directions each one's end: [forward at the last, backward at the
               first word]
    mean, max  over the words, unit by unit
    attention  sum_t a_t h_t, a = softmax_t(v . tanh(W h_t + W_q q)) with a learned query q (Yang et al., 2016, HAN):
               `rnn_jax.attention.additive`

h [t b d] -> [n b d] for the segments 1 ... n of each row. A segment that a row does not have is 0, and so is its
gradient.
"""

import jax
import jax.numpy as jnp

from rnn_jax import attention
from rnn_jax.models.seq2seq import ends

KINDS = ("last", "mean", "max", "attention")


def members(segments, n: int):
    """bool [n t b]: which positions belong to segment 1 ... n."""
    return segments == jnp.arange(1, n + 1)[:, None, None]


def last(h, segments, n: int, forward: int):
    """forward: how many of the d units ran forward; the others ran backward, and end at the first word."""
    at, first = ends(segments, jnp.broadcast_to(jnp.arange(1, n + 1)[:, None], (n, segments.shape[1])))
    take = lambda a, at: jnp.take_along_axis(a, at[..., None], axis=0)
    found = jnp.concatenate([take(h[..., :forward], at), take(h[..., forward:], first)], axis=-1)
    return jnp.where(_there(segments, n), found, 0)


def mean(h, segments, n: int):
    weights = members(segments, n).astype(h.dtype)
    return jnp.einsum("ntb,tbd->nbd", weights, h) / jnp.maximum(jnp.sum(weights, 1), 1)[..., None]


def max(h, segments, n: int):
    found = jnp.max(jnp.where(members(segments, n)[..., None], h, jnp.finfo(h.dtype).min), axis=1)
    return jnp.where(_there(segments, n), found, 0)


def attend(h, segments, n: int, query, params):
    """(pooled, weights [n t b]); query [q] and the params of `attention.additive`."""
    query = jnp.broadcast_to(query, (h.shape[1], query.shape[0]))
    return jax.vmap(lambda mask: attention.additive(query, h, mask, **params))(members(segments, n))


def _there(segments, n):
    return jnp.any(members(segments, n), axis=1)[..., None]
