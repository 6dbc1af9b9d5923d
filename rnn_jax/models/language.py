"""Language models over tokens: recurrent, and two baselines without memory.

All are called alike: `carry, logits = model(tokens, carry, resets)`, with tokens int [t b], logits [t b v] for the next
token, and a carry of leaves [b ...] that goes from one window of text to the next (`model.initial_carry(b)`).
"""

import jax
import jax.numpy as jnp
from flax import nnx

from rnn_jax.cells.base import Cell
from rnn_jax.nn import Recurrent, Stack


class RecurrentLM(nnx.Module):
    """p(x_t | x_<t) = softmax(W h_t + b), h the top of `layers` recurrent layers over one-hot or embedded tokens.

    embed: width of the learned embedding; 0 feeds one-hot vectors, as char-rnn does.
    """

    def __init__(self, cell: Cell, v: int, d: int, *, layers=1, embed=0, rngs: nnx.Rngs):
        self.v = v
        self.embedding = nnx.Embed(v, embed, rngs=rngs) if embed else None
        widths = [embed or v] + [d] * (layers - 1)
        self.rnn = Stack([Recurrent(cell, n, d, rngs=rngs) for n in widths])
        self.head = nnx.Linear(d, v, rngs=rngs)

    def initial_carry(self, b: int):
        return self.rnn.initial_carry(b)

    def __call__(self, tokens, carry=None, resets=None):
        x = self.embedding(tokens) if self.embedding is not None else jax.nn.one_hot(tokens, self.v)
        out = self.rnn(x, carry, resets=resets)
        return out[0], self.head(out[1])


class WindowLM(nnx.Module):
    """p(x_t | last `context` tokens) = softmax(W_3 tanh(W_2 u + b_2) + b_3): what can be had without a memory.

    u is the concatenation of their embeddings (Bengio et al., 2003), or with order=False their average, which knows
    which tokens stand there and not in which order. What lies before a document's first token is a zero vector.
    """

    def __init__(self, v: int, d: int, *, context=8, embed=32, order=True, rngs: nnx.Rngs):
        self.context, self.order = context, order
        self.embedding = nnx.Embed(v, embed, rngs=rngs)
        self.hidden = nnx.Linear(embed * context if order else embed, d, rngs=rngs)
        self.head = nnx.Linear(d, v, rngs=rngs)

    def initial_carry(self, b: int):
        """The tokens before, and how many steps ago the document began."""
        return jnp.zeros((b, self.context - 1), jnp.int32), jnp.zeros((b,), jnp.int32)

    def __call__(self, tokens, carry=None, resets=None):
        t, b = tokens.shape
        before, age = self.initial_carry(b) if carry is None else carry
        if resets is None:
            resets = jnp.zeros((t, b), bool)
        # the number of tokens before each one that belong to its document
        _, ages = jax.lax.scan(lambda a, r: ((a := jnp.where(r, 0, a)) + 1, a), age, resets)
        text = jnp.concatenate([before.T, tokens])  # [context-1+t b]
        back = jnp.arange(self.context)  # 0: the token itself
        seen = text[jnp.arange(t)[:, None] + self.context - 1 - back]  # [t context b]
        known = back[None, :, None] <= ages[:, None]
        e = jnp.where(known[..., None], self.embedding(seen), 0)  # [t context b e]
        e = jnp.moveaxis(e, 1, 2)
        u = e.reshape(t, b, -1) if self.order else e.sum(2) / known.sum(1)[..., None]
        carry = text[t:].T, jnp.minimum(ages[-1] + 1, self.context)
        return carry, self.head(jnp.tanh(self.hidden(u)))


def cross_entropy(logits, targets, smoothing=0.0):
    """-log p(target) in nats, elementwise: logits [... v], targets int [...].

    smoothing: label smoothing (Szegedy et al., 2016, arXiv:1512.00567): the cross-entropy against the target with this
    share of it spread evenly over all v.
    """
    nats = jax.nn.logsumexp(logits, -1) - jnp.take_along_axis(logits, targets[..., None], -1)[..., 0]
    if not smoothing:
        return nats
    return (1 - smoothing) * nats + smoothing * (jax.nn.logsumexp(logits, -1) - jnp.mean(logits, -1))
