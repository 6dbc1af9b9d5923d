"""Connectionist temporal classification (Graves et al., 2006): labels without their times.

A network gives at each step t a softmax y_t over v symbols, symbol 0 being the blank. A path pi has one symbol a step,
p(pi) = prod_t y_t[pi_t]. B(pi) takes out repetitions, then blanks: B(aa-ab-) = aab. What a labelling l is worth:

    log p(l) = log sum of p(pi) over all pi with B(pi) = l

    loss                -log p(l), for training
    best_path           B of the likeliest path: fast, and not the likeliest labelling
    prefix_beam_search  an approximate argmax of p(l)

Logits are [t b v], labellings int [l b], filled up with blanks. Steps past a row's length count for nothing. All run
under jit.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

BLANK = 0


class Labelling(NamedTuple):
    labels: Any  # int [l b]; past the end: blank
    counts: Any  # int [b]: labels in each
    logprobs: Any  # [b]: log p(l) in nats, summed over all paths


def loss(logits, lengths, labels, counts):
    """-log p(l), [b] nats, by the forward algorithm (optax): logits [t b v], lengths [b], labels [l b], counts [b].

    A row that is too short for its labels (a path needs one step each, and a blank between two that are the same) has
    p(l) = 0; its loss is finite, about 1e5.
    """
    past = lambda length, size: jnp.arange(size) >= length[:, None]
    paddings = past(lengths, logits.shape[0]), past(counts, labels.shape[0])
    one, two = (p.astype(logits.dtype) for p in paddings)
    return optax.ctc_loss(logits.swapaxes(0, 1), one, labels.T, two, blank_id=BLANK)


def collapse(path, lengths) -> tuple[Any, Any]:
    """B of each path int [t b]: (labels [t b], counts [b])."""
    t = path.shape[0]
    before = jnp.concatenate([jnp.full_like(path[:1], BLANK), path[:-1]])
    kept = (path != BLANK) & (path != before) & (jnp.arange(t)[:, None] < lengths)
    at = jnp.where(kept, jnp.cumsum(kept, 0) - 1, t)  # t: nowhere
    labels = jnp.zeros_like(path).at[at, jnp.arange(path.shape[1])].set(path, mode="drop")
    return labels, kept.sum(0)


def best_path(logits, lengths) -> Labelling:
    """B(argmax_pi p(pi)): the likeliest symbol of each step, collapsed (Graves et al., 2006, section 3.2)."""
    labels, counts = collapse(jnp.argmax(logits, -1).astype(jnp.int32), lengths)
    return Labelling(labels, counts, -loss(logits, lengths, labels, counts))


def prefix_beam_search(logits, lengths, beams: int) -> Labelling:
    """The likeliest labelling of each row that the `beams` most likely prefixes lead to (Hannun et al., 2014,
    arXiv:1408.2873; as a search without cuts: Graves, 2012, section 7.5.2).

    Each prefix l has b(l) and n(l): the probability of all paths so far with B = l that end in blank, and that do not.
    With y the softmax of the next step, and l+c the prefix l and one symbol more:

        b'(l)    = y[blank] (b(l) + n(l))
        n'(l)    = y[last of l] n(l)                    the last symbol, held
        n'(l+c) += y[c] (b(l) + n(l))                   c another symbol than the last
                   y[c] b(l)                            c the same symbol once more: it needs a blank between

    and those of greatest b' + n' are kept. With all prefixes kept, b + n is p(l); what was cut is missing from it, so
    that at the end the kept labellings, and that of the best path, are ranked by log p(l) itself. So the result is
    never less likely than the best path's, for any number of beams.
    """
    if beams < 1:
        raise ValueError(f"prefix_beam_search: {beams} beams; want at least 1")
    b = logits.shape[1]
    labels, counts = jax.vmap(_prefixes, (1, 0, None), (2, 1))(jax.nn.log_softmax(logits), lengths, beams)
    alone = collapse(jnp.argmax(logits, -1).astype(jnp.int32), lengths)
    labels = jnp.concatenate([labels, alone[0][None]])  # [k+1 t b]
    counts = jnp.concatenate([counts, alone[1][None]])
    logprobs = -lax.map(lambda each: loss(logits, lengths, *each), (labels, counts))
    best = jnp.argmax(logprobs, 0)
    pick = lambda a: a[best, ..., jnp.arange(b)]
    return Labelling(pick(labels).T, pick(counts), pick(logprobs))


def _prefixes(logprobs, length, k: int):
    """The k likeliest prefixes of one row, logprobs [t v]: (labels [k t], counts [k])."""
    t, v = logprobs.shape
    none = -jnp.inf

    def one(state, x):
        i, logp = x
        labels, counts, b, n = state
        last = jnp.where(counts > 0, labels[jnp.arange(k), counts - 1], BLANK)
        both = jnp.logaddexp(b, n)
        held = n + logp[last]  # n is 0 where nothing was written: no matter what is "held"
        same = jnp.arange(v) == last[:, None]
        longer = logp + jnp.where(same, b[:, None], both[:, None])  # [k v]
        longer = jnp.where(jnp.arange(v) == BLANK, none, longer)
        # A prefix that is kept may also be a shorter kept one and its last symbol: one prefix, two sums.
        shorter = jnp.where(jnp.arange(t) == counts[:, None] - 1, BLANK, labels)
        parent = jnp.all(labels[:, None] == shorter, -1) & (counts[:, None] == counts - 1)  # [k parent, k child]
        held = jnp.logaddexp(held, jax.nn.logsumexp(jnp.where(parent, longer[:, last], none), axis=0))
        taken = jnp.any(parent[:, :, None] & (jnp.arange(v) == last[:, None]), axis=1)
        longer = jnp.where(taken, none, longer)
        # candidates: the k prefixes as they are, then each with each symbol
        ends, open_ = jnp.concatenate([both + logp[BLANK], jnp.full(k * v, none)]), jnp.r_[held, longer.reshape(-1)]
        at = lax.top_k(jnp.logaddexp(ends, open_), k)[1]
        grown, source = at >= k, jnp.where(at < k, at, (at - k) // v)
        symbol = jnp.where(grown, (at - k) % v, BLANK)
        here = (jnp.arange(t) == counts[source][:, None]) & grown[:, None]
        new = jnp.where(here, symbol[:, None], labels[source]), counts[source] + grown, ends[at], open_[at]
        return jax.tree.map(lambda a, z: jnp.where(i < length, a, z), new, state), None

    nothing = jnp.full(k, none, logprobs.dtype)
    start = jnp.zeros((k, t), jnp.int32), jnp.zeros(k, jnp.int32), nothing.at[0].set(0), nothing
    (labels, counts, *_), _ = lax.scan(one, start, (jnp.arange(t), logprobs))
    return labels, counts
