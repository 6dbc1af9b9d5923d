"""Captioning: from the features of a picture, f [b p q k] of a CNN, to the decoder that writes about it.

features  each picture's are divided by their root mean square, so that the features of any CNN will do
see       h0     each layer's carry begins as tanh(W f_mean + b)
          first  W f_mean + b is read before the first word, as a word (Vinyals et al., 2015, arXiv:1411.4555)
decoder   rnn_jax/models/decoder.py; its keys are the p q positions (Xu et al., 2015, arXiv:1502.03044), its z is
          f_mean, their average
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnn_jax.cells.initializers import glorot
from rnn_jax.models.decoder import Decoder, split


@dataclasses.dataclass(frozen=True)
class Captioner(Decoder):
    """The sizes of a model; its functions take the params that `init` makes."""

    channels: int = dataclasses.field(kw_only=True)  # k, of the features
    see: Literal["h0", "first"] = dataclasses.field(default="h0", kw_only=True)
    dropout_seen: float = dataclasses.field(default=0.0, kw_only=True)  # of the features, one mask for all positions

    def __post_init__(self):
        super().__post_init__()
        if self.see not in ("h0", "first"):
            raise ValueError(f"captioner: see is {self.see!r}; want h0 or first")
        if self.see == "h0" and any(a.shape != (1, self.d) for a in jax.tree.leaves(self.cell.carry(1, self.d))):
            raise ValueError('captioner: a cell whose carry leaves are not [b d] needs see="first"')

    @property
    def keys(self):
        return self.channels

    def init(self, key):
        key, *keys = jax.random.split(key, 2 + self.layers)
        linear = lambda key, d: {"w": glorot()(key, (self.channels, d)), "b": jnp.zeros(d)}
        if self.see == "first":
            return super().init(key) | {"first": linear(keys[0], self.embed)}
        leaves = len(jax.tree.leaves(self.cell.carry(1, self.d)))
        each = [[linear(k, self.d) for k in jax.random.split(key, leaves)] for key in keys[: self.layers]]
        return super().init(key) | {"h0": each}

    def look(self, features, key=None):
        """The memory: keys [p*q b k], segments of 1, and f_mean [b k]. key: dropout; None for evaluation."""
        b, k = features.shape[0], features.shape[-1]
        features = features.reshape(b, -1, k)
        scale = jnp.sqrt(jnp.mean(jnp.square(features), axis=(1, 2), keepdims=True))
        features = features / jnp.maximum(scale, 1e-6)
        mask = self.mask(key, (1, b, k), self.dropout_seen)
        features = features if mask is None else features * mask[0, :, None]
        keys = jnp.swapaxes(features, 0, 1)
        return {"keys": keys, "segments": jnp.ones(keys.shape[:2], jnp.int32), "mean": jnp.mean(features, axis=1)}

    def start(self, params, memory, segments):
        mean = memory["mean"]
        zero = self.cell.carry(len(mean), self.d, mean.dtype)
        if self.see == "h0":
            types = [leaf.dtype for leaf in jax.tree.leaves(zero)]  # an LRU's is complex: it begins with a real state
            begun = lambda p, dtype: jnp.tanh(mean @ p["w"] + p["b"]).astype(dtype)
            leaves = [list(map(begun, each, types)) for each in params["h0"]]
            states = [jax.tree.unflatten(jax.tree.structure(zero), each) for each in leaves]
        else:
            carry = [zero] * self.layers, jnp.zeros((len(mean), self.d), mean.dtype), mean
            word = mean @ params["first"]["w"] + params["first"]["b"]
            (states, _, _), _, _ = self.advance(params, memory, carry, word, jnp.ones(len(mean), segments.dtype))
        return jax.tree.map(lambda a: jnp.broadcast_to(a, (len(segments), *a.shape)), (states, mean))

    def logits(self, params, features, inputs, segments, *, forcing=None, key=None, collect=()):
        """Scores [t b v] of the words after `inputs` [t b]; forcing, key and collect as for `write`."""
        k_seen, k_write = split(key, 2)
        memory = self.look(features, k_seen)
        return self.write(params, memory, inputs, segments, forcing=forcing, key=k_write, collect=collect)


def unbalanced(weights) -> Any:
    """sum_j (1 - sum_t a_tj)^2 of each picture, [b]: every position is to be looked at once, in all (Xu et al., 2015,
    equation 14). weights [t s b], 0 where the caption is over.
    """
    return jnp.sum(jnp.square(1 - jnp.sum(weights, axis=0)), axis=0)
