"""Decoding: from any step (params, carry, tokens int [b]) -> (carry, logits [b v]) to the texts that it writes.

    sample       draws each token from softmax(logits / temperature), or from the likeliest part of it
    greedy       takes the most likely token each time
    beam_search  keeps the `beams` most likely beginnings: an approximate argmax of log p(text)

All take the state after the prompt: `carry`, and `logits` [b v], the scores of the first token to write. They run under
jit, and stop as soon as every row is done: it has written `end`, the token that ends a text, or as many tokens as it
may. That is `length`, which is static, or less where `limits`, int [b], say so of a row: the row's text is cut there,
with the log p of what was written, whatever is beside it. ValueError: limits that are not integers [b].
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Decoded(NamedTuple):
    """Texts. From beam search the n best of each row, best first: tokens [length n b], the others [n b]."""

    tokens: Any  # int [length b]; after the text: `end`, or 0 where there is none
    lengths: Any  # int [b]: tokens written, with the one that ends
    logprobs: Any  # [b]: log p of the text under the step's softmax, in nats
    scores: Any  # [b]: what was ranked; log p, unless a penalty was asked for


class Penalty(NamedTuple):
    """What texts are ranked by, higher is better (Wu et al., 2016, arXiv:1609.08144, section 7):

    log p / ((5 + length) / 6) ^ length_power  +  coverage_weight * sum_j log(min(sum_i a_ij, 1))

    coverage: carry -> sum_i a_ij [b s], what attention each source position has had so far, and 1 where there is none.
    It is read just before a token is fed back. The default ranks by log p.
    """

    length_power: float = 0.0
    coverage_weight: float = 0.0
    coverage: Callable | None = None

    def __call__(self, logprobs, lengths, covered):
        return logprobs / ((5 + lengths) / 6) ** self.length_power + self.coverage_weight * covered

    def covered(self, carry, logits):
        """sum_j log(min(sum_i a_ij, 1)) [b]."""
        if not self.coverage_weight:
            return jnp.zeros(logits.shape[:-1], logits.dtype)
        if self.coverage is None:
            raise ValueError("decoding: coverage_weight needs `coverage`, carry -> attention so far [b s]")
        return jnp.sum(jnp.log(jnp.clip(self.coverage(carry), 1e-6, 1.0)), axis=-1)


def sample(
    step, params, carry, logits, length: int, key, *, temperature=1.0, top_k=0, top_p=1.0, end: int | None = None,
    penalty=Penalty(), limits=None,
) -> Decoded:  # fmt: skip
    """At most `length` tokens a row (`limits`: int [b], of each row), each drawn and fed back.

    temperature  0 takes the most likely token (greedy); 1 is the model's own distribution
    top_k        draws from the k most likely tokens alone (Fan et al., 2018, arXiv:1805.04833); 0: from all
    top_p        from the fewest tokens that hold this probability (Holtzman et al., 2020, arXiv:1904.09751); 1: all
    """
    if temperature < 0:
        raise ValueError(f"sample: temperature is {temperature}; want 0 (greedy) or more")
    if top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(f"sample: top_k is {top_k} and top_p {top_p}; want top_k >= 0 and 0 < top_p <= 1")
    keys, b = jax.random.split(key, length), logits.shape[0]
    zero = jnp.zeros(b, logits.dtype)
    if length == 0:
        return Decoded(jnp.zeros((0, b), jnp.int32), jnp.zeros(b, jnp.int32), zero, zero)
    limits, after = limited(limits, length, b), 0 if end is None else end

    def one(state):
        i, carry, logits, written, done, lengths, logprobs, covered = state
        if temperature == 0:
            tokens = jnp.argmax(logits, -1)
        else:
            tokens = jax.random.categorical(keys[i], likeliest(logits / temperature, top_k, top_p))
        tokens = jnp.where(done, after, tokens).astype(jnp.int32)
        here = jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, None], 1)[:, 0]
        logprobs, lengths = jnp.where(done, logprobs, logprobs + here), jnp.where(done, lengths, i + 1)
        covered = jnp.where(done, covered, penalty.covered(carry, logits))
        done = done | (i + 1 >= limits)
        done = done if end is None else done | (tokens == end)
        carry, logits = step(params, carry, tokens)
        return i + 1, carry, logits, written.at[i].set(tokens), done, lengths, logprobs, covered

    written = jnp.full((length, b), after, jnp.int32)
    state = 0, carry, logits, written, limits <= 0, jnp.zeros(b, jnp.int32), zero, zero
    state = lax.while_loop(lambda state: ~jnp.all(state[4]), one, state)
    *_, written, _, lengths, logprobs, covered = state
    return Decoded(written, lengths, logprobs, penalty(logprobs, lengths, covered))


def greedy(
    step, params, carry, logits, length: int, *, end: int | None = None, penalty=Penalty(), limits=None
) -> Decoded:
    """The most likely token each time, at most `length` of them a row (`limits`: int [b], of each row)."""
    nothing = jax.random.key(0)  # is drawn
    return sample(
        step, params, carry, logits, length, nothing, temperature=0.0, end=end, penalty=penalty, limits=limits
    )


def beam_search(
    step, params, carry, logits, length: int, *, beams: int, end: int, best=1, penalty=Penalty(), limits=None
) -> Decoded:
    """The `best` texts of at most `length` tokens (`limits`: int [b], of each row) found for each row, by score.

    At each step every live beginning is continued by every token. Of the 2 * beams most likely continuations those by
    `end` join the finished texts, whose `beams` best are kept, and the `beams` most likely others live on. A row is
    done when no live beginning can pass its worst finished text. What reaches `length`, or the row's limit, without an
    end competes as it is.

    The greedy text is always a candidate: a wider beam never returns a lower score, and one beam returns it. Every leaf
    of the carry needs the leading axis b. Params (a source's keys) are not copied for the beams.
    """
    if not 1 <= best <= beams:
        raise ValueError(f"beam_search: the best {best} of {beams} beams; want 1 <= best <= beams")
    alone = greedy(step, params, carry, logits, length, end=end, penalty=penalty, limits=limits)
    alone = Decoded(alone.tokens[:, None], *(a[None] for a in alone[1:]))
    if beams == 1:
        return alone
    (b, v), k, dtype = logits.shape, beams, logits.dtype
    limits = limited(limits, length, b)
    none = jnp.finfo(dtype).min
    lanes = jax.vmap(step, (None, 0, 0))

    def ranked(texts: Decoded, count: int) -> Decoded:
        at = lax.top_k(texts.scores.T, count)[1].T
        return Decoded(jnp.take_along_axis(texts.tokens, at[None], 1), *(pick(a, at) for a in texts[1:]))

    def one(state):
        i, carry, logits, live, done = state
        held = live, done
        each = live.logprobs[..., None] + jax.nn.log_softmax(logits)  # [k b v]
        logprobs, at = lax.top_k(each.swapaxes(0, 1).reshape(b, k * v), min(2 * k, k * v))
        logprobs, parent, tokens = logprobs.T, at.T // v, (at.T % v).astype(jnp.int32)
        texts = jnp.take_along_axis(live.tokens, parent[None], 1).at[i].set(tokens)
        lengths, covered = (
            jnp.full(parent.shape, i + 1, jnp.int32),
            pick(jax.vmap(penalty.covered)(carry, logits), parent),
        )
        scores = jnp.where(logprobs > none, penalty(logprobs, lengths, covered), none)
        ends = tokens == end
        done = ranked(joined(done, Decoded(texts, lengths, logprobs, jnp.where(ends, scores, none))), k)
        at = lax.top_k(jnp.where(ends, none, logprobs).T, k)[1].T
        kept = Decoded(jnp.take_along_axis(texts, at[None], 1), *(pick(a, at) for a in (lengths, logprobs, scores)))
        dead = pick(ends, at)  # nothing but ends was left
        kept = kept._replace(logprobs=jnp.where(dead, none, kept.logprobs), scores=jnp.where(dead, none, kept.scores))
        carry = jax.tree.map(lambda a: pick(a, pick(parent, at)), carry)
        carry, logits = lanes(params, carry, pick(tokens, at))
        # a row past its limit keeps what it had there
        live, done = jax.tree.map(lambda new, old: jnp.where(i < limits, new, old), (kept, done), held)
        return i + 1, carry, logits, live, done

    def going(state):
        i, _, _, live, done = state
        longest = limits if penalty.length_power > 0 else i + 1  # log p only falls, and what divides it grows
        bound = penalty(jnp.max(live.logprobs, 0), longest, 0)
        return jnp.any((i < limits) & (jnp.max(live.logprobs, 0) > none) & (bound > jnp.min(done.scores, 0)))

    spread = lambda a: jnp.broadcast_to(a, (k, *a.shape))
    nothing = jnp.full((k, b), none, dtype)
    done = Decoded(jnp.full((length, k, b), end, jnp.int32), jnp.zeros((k, b), jnp.int32), nothing, nothing)
    live = done._replace(logprobs=nothing.at[0].set(0), scores=nothing.at[0].set(0))  # one beginning: no token
    state = 0, jax.tree.map(spread, carry), spread(logits), live, done
    i, _, _, live, done = lax.while_loop(going, one, state)
    live = live._replace(scores=jnp.where(i >= limits, live.scores, none))
    found = joined(done, live)
    again = jnp.all(found.tokens == alone.tokens, 0)  # the greedy text, by another order of sums
    found = found._replace(scores=jnp.where(again, none, found.scores))
    return ranked(joined(found, alone), best)


def limited(limits, length: int, b: int):
    """How many tokens each row may write, int [b]: `limits`, where there are any, and never more than `length`."""
    if limits is None:
        return jnp.full(b, length, jnp.int32)
    limits = jnp.asarray(limits)
    if limits.shape != (b,) or not jnp.issubdtype(limits.dtype, jnp.integer):
        raise ValueError(f"decoding: limits are {limits.dtype}{list(limits.shape)}; want int[{b}], one for each row")
    return jnp.minimum(limits, length)


def likeliest(logits, top_k: int, top_p: float):
    """logits [b v] with -inf outside the k most likely tokens, and outside the fewest that hold probability p."""
    v = logits.shape[-1]
    if 0 < top_k < v:
        logits = jnp.where(logits < lax.top_k(logits, top_k)[0][:, -1:], -jnp.inf, logits)
    if top_p < 1:
        down = -jnp.sort(-logits, axis=-1)
        p = jax.nn.softmax(down)
        least = jnp.min(jnp.where(jnp.cumsum(p, -1) - p < top_p, down, jnp.inf), -1, keepdims=True)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    return logits


def pick(a, at):
    """Lanes `at` [m b] of an array [k b ...]."""
    return jnp.take_along_axis(a, at.reshape(*at.shape, *[1] * (a.ndim - 2)), 0)


def joined(one: Decoded, two: Decoded) -> Decoded:
    """The lanes of both."""
    rest = (jnp.concatenate([a, b]) for a, b in zip(one[1:], two[1:], strict=True))
    return Decoded(jnp.concatenate([one.tokens, two.tokens], 1), *rest)
