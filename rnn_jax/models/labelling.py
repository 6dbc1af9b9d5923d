"""Sentences read word by word: a tag for each word, or a label for each sentence.

    e_t = [E_1(w_t1), ..., E_k(w_tk)]        the embedded features of word t, side by side
    v_t = [e_{t-p}, ..., e_{t+q}]            those of p words before it and q after it too
    h   = layers(v)                          recurrent, in one direction or both; or tanh(W v_t + b), without memory
    tags:   p(y_t | w) = softmax(W h_t + b)
    label:  p(y | w)   = softmax(W pool(h) + b)         rnn_jax.models.pooling

Rows are packed: segments int [t b] are 1, 2, ... for the sentences of a row and 0 for nothing. No state and no window
crosses from one to another. Time-major. A key means training: dropout.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from rnn_jax import attention
from rnn_jax.cells.base import Cell
from rnn_jax.models import pooling
from rnn_jax.models.decoder import begins
from rnn_jax.models.language import cross_entropy
from rnn_jax.nn import Bidirectional, Recurrent


def around(xs, resets, reach: tuple[int, int]):
    """v_t = [x_{t-p}, ..., x_{t+q}], [t b n] -> [t b (p + 1 + q) n], for reach = (p, q). Beyond the ends of a sentence,
    whose first words `resets` bool [t b] marks, stand zeros."""
    number, t = jnp.cumsum(resets, axis=0), xs.shape[0]
    widen = lambda a: jnp.pad(a, (reach, *[(0, 0)] * (a.ndim - 1)), constant_values=0)
    wide, numbers = widen(xs), widen(number)  # sentences are numbered from 1
    near = [jnp.where((numbers[i : i + t] == number)[..., None], wide[i : i + t], 0) for i in range(sum(reach) + 1)]
    return jnp.concatenate(near, axis=-1)


class Memoryless(nnx.Module):
    """h_t = tanh(W x_t + b), called as a recurrent layer is: what can be had without a memory."""

    def __init__(self, n: int, d: int, *, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(n, d, rngs=rngs)

    def __call__(self, xs, *, resets):
        return None, jnp.tanh(self.hidden(xs))


class Encoder(nnx.Module):
    """tokens int [t b k], segments int [t b] -> h [t b wide].

    sizes         (vocabulary, width of its embedding) of each of the k features
    reach         (p, q), how many words before and after each are read with it (Mesnil et al., 2013, of recurrent
                  networks; Collobert & Weston, 2008, of those without memory)
    cell          of `layers` layers of d units; bidirectional: d in each direction, each reading both of those below.
                  None: layers without memory
    dropout       of what each layer reads, and of h
    word_dropout  the share of words whose first feature training reads as `unknown`: so the embedding of unknown words
                  is learnt, and less leans on single words

    wide is the width of h, of which the first `forward` units ran forward.
    """

    def __init__(
        self, sizes, cell: Cell | None, d: int, *, layers=1, bidirectional=True, reach=(0, 0), dropout=0.0,
        word_dropout=0.0, unknown=1, rngs: nnx.Rngs,
    ):  # fmt: skip
        self.embeddings = nnx.data([nnx.Embed(v, width, rngs=rngs) for v, width in sizes])
        self.dropout, self.word_dropout, self.unknown = dropout, word_dropout, unknown
        both = cell is not None and bidirectional
        self.forward, self.wide = d, 2 * d if both else d
        self.reach = tuple(reach)
        widths = [(sum(reach) + 1) * sum(width for _, width in sizes)] + [self.wide] * (layers - 1)
        if cell is None:
            built: list[Any] = [Memoryless(n, d, rngs=rngs) for n in widths]
        else:
            made = lambda n, reverse=False: Recurrent(cell, n, d, reverse=reverse, rngs=rngs)
            built = [Bidirectional(made(n), made(n, True)) if both else made(n) for n in widths]
        self.layers = nnx.data(built)

    def __call__(self, tokens, segments, key=None):
        k_words, *keys = [None] * (len(self.layers) + 2) if key is None else jax.random.split(key, len(self.layers) + 2)
        if k_words is not None and self.word_dropout:
            lost = jax.random.bernoulli(k_words, self.word_dropout, segments.shape)
            tokens = tokens.at[..., 0].set(jnp.where(lost, self.unknown, tokens[..., 0]))
        h = jnp.concatenate([embed(tokens[..., i]) for i, embed in enumerate(self.embeddings)], axis=-1)
        resets = begins(segments)
        for i, layer in enumerate(self.layers):
            h = drop(keys[i], h, self.dropout)
            _, h = layer(h if i else around(h, resets, self.reach), resets=resets)
        return drop(keys[-1], h, self.dropout)


class Tagger(nnx.Module):
    """logits [t b c] of the tag of each word."""

    def __init__(self, encoder: Encoder, classes: int, *, rngs: nnx.Rngs):
        self.encoder, self.head = encoder, nnx.Linear(encoder.wide, classes, rngs=rngs)

    def __call__(self, tokens, segments, key=None):
        return self.head(self.encoder(tokens, segments, key))


class Classifier(nnx.Module):
    """(logits [n b c] of the labels of sentences 1 ... n of each row, attention weights [n t b] or None)."""

    def __init__(self, encoder: Encoder, classes: int, pool: str, *, rngs: nnx.Rngs):
        if pool not in pooling.KINDS:
            raise ValueError(f"no pooling {pool!r}; there are {', '.join(pooling.KINDS)}")
        d = encoder.wide
        self.encoder, self.head, self.pool = encoder, nnx.Linear(d, classes, rngs=rngs), pool
        if pool == "attention":
            self.query = nnx.Param(jnp.zeros(d))
            self.attention = nnx.data(jax.tree.map(nnx.Param, attention.init("additive", rngs.params(), d, d, d)))

    def __call__(self, tokens, segments, n: int, key=None):
        h = self.encoder(tokens, segments, key)
        if self.pool == "attention":
            params = {k: p[...] for k, p in self.attention.items()}
            pooled, weights = pooling.attend(h, segments, n, self.query[...], params)
            return self.head(pooled), weights
        if self.pool == "last":
            return self.head(pooling.last(h, segments, n, self.encoder.forward)), None
        return self.head(getattr(pooling, self.pool)(h, segments, n)), None


def drop(key, xs, rate):
    """Dropout, scaled to keep the mean; without a key nothing is dropped."""
    if key is None or not rate:
        return xs
    return jnp.where(jax.random.bernoulli(key, 1 - rate, xs.shape), xs / (1 - rate), 0)


def loss(logits, targets, kept, smoothing=0.0):
    """The mean cross-entropy, in nats, over the targets that `kept` marks; 0 where it marks none."""
    nats = jnp.where(kept, cross_entropy(logits, targets, smoothing), 0)
    return jnp.sum(nats) / jnp.maximum(jnp.sum(kept), 1)


def time_major(batch):
    """[b t ...] -> [t b ...] of each array."""
    return {name: jnp.swapaxes(a, 0, 1) for name, a in batch.items()}
