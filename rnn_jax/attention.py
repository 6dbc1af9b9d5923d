"""Attention: a query reads a set of keys. Four pure functions of (query, keys, mask), for use inside any step.

    e_j = score(q, k_j)        a = softmax_j(e)        context = sum_j a_j k_j

    dot       e_j = g q . k_j                            Luong, Pham & Manning (2015, arXiv:1508.04025), g = 1
    general   e_j = g q . (W k_j)
    concat    e_j = v . tanh(W [q, k_j])
    additive  e_j = v . tanh(W_q q + W_k k_j)            Bahdanau, Cho & Bengio (2015, arXiv:1409.0473)

query [b q], keys [s b k], mask bool [s b] or None: which keys may be read -> (context [b k], weights [s b]). A row
whose keys are all masked reads 0, with weights 0. The weights carry the name "attention", by which
`scan(..., collect=("attention",))` returns them for each step. Parameters are keywords, `init(kind, key, q, k, d)`
makes them:

    weights = attention.init("additive", key, 512, 1024, 512)
    context, a = attention.additive(h, keys, mask, **weights)

Inside a step, keep the keys among the params: what depends on them alone (W_k k_j; the keys of each row side by side,
[b s k], as a product by rows wants them) is then computed once, before the loop, and their gradient is one contraction
after it.
"""

import jax
import jax.numpy as jnp

from rnn_jax.cells.base import name
from rnn_jax.cells.initializers import glorot

KINDS = ("additive", "dot", "general", "concat")


def dot(query, keys, mask=None, *, g=1.0):
    """e_j = g q . k_j; q and k are equally wide."""
    if query.shape[-1] != keys.shape[-1]:
        raise ValueError(
            f"attention.dot: the query is {query.shape[-1]} wide and the keys {keys.shape[-1]}; make them equal, or "
            "use general, additive or concat"
        )
    return read(jnp.einsum("bk,bsk->sb", g * query, jnp.swapaxes(keys, 0, 1)), keys, mask)


def general(query, keys, mask=None, *, w, g=1.0):
    """e_j = g q . (W k_j), w [k q]."""
    return read(jnp.einsum("bq,bsq->sb", g * query, jnp.swapaxes(keys @ w, 0, 1)), keys, mask)


def concat(query, keys, mask=None, *, w, v):
    """e_j = v . tanh(W [q, k_j]), w [q+k d], v [d]."""
    q = query.shape[-1]
    return additive(query, keys, mask, wq=w[:q], wk=w[q:], v=v)


def additive(query, keys, mask=None, *, wq, wk, v):
    """e_j = v . tanh(W_q q + W_k k_j), wq [q d], wk [k d], v [d]."""
    return read(jnp.tanh(query @ wq + keys @ wk) @ v, keys, mask)


def read(scores, keys, mask=None):
    """(context [b k], weights [s b]): the softmax of the scores [s b] over the keys that the mask allows."""
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=0)
    if mask is not None:
        weights = jnp.where(mask, weights, 0)  # of a row without keys too
    weights = name(weights, "attention")
    return jnp.einsum("sb,bsk->bk", weights, jnp.swapaxes(keys, 0, 1)), weights


def init(kind, key, q: int, k: int, d: int, dtype=jnp.float32):
    """The parameters of `kind` for queries q and keys k wide, d hidden units: a dict.

    g begins as 1 / sqrt(q) (Vaswani et al., 2017), and is learned. With g = 1 a step of Adam moves all q k entries of W
    at once, and the softmax is soon all on one key (tests/test_attention.py; configs/translation/multi30k_256.py).
    """
    one, two, three = jax.random.split(key, 3)
    g = jnp.asarray(q**-0.5, dtype)
    if kind == "dot":
        return {"g": g}
    if kind == "general":
        return {"w": glorot()(one, (k, q), dtype), "g": g}
    v = glorot()(three, (d, 1), dtype)[:, 0] if kind in ("concat", "additive") else None
    if kind == "concat":
        return {"w": glorot()(one, (q + k, d), dtype), "v": v}
    if kind == "additive":
        return {"wq": glorot()(one, (q, d), dtype), "wk": glorot()(two, (k, d), dtype), "v": v}
    raise ValueError(f"attention: no {kind!r}; there are {', '.join(KINDS)}")
