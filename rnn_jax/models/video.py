"""From a clip to a sentence: S2VT (Venugopalan et al., 2015, arXiv:1505.00487), one stack of two layers that reads the
frames, and then writes.

    h1_t = cell1(W f_t + b, or 0 while writing)        h2_t = cell2([h1_t, e_t, or 0 while reading])
    p(y_t) = softmax(W_o h2_t + b_o)

f_t: what a CNN makes of frame t, a vector of k numbers; e_t: the embedded word before. Reading and writing are the same
step, so that any cell will do. Everything is a pure function of (params, ...), time-major.
"""

import dataclasses

import jax
import jax.numpy as jnp

from rnn_jax.cells.base import Cell
from rnn_jax.cells.initializers import glorot, normal
from rnn_jax.models.decoder import split
from rnn_jax.models.labelling import drop
from rnn_jax.scan import scan


@dataclasses.dataclass(frozen=True)
class S2VT:
    """The sizes of a model; its functions take the params that `init` makes."""

    cell: Cell
    targets: int  # vocabulary
    channels: int  # k, of a frame's features
    d: int = 256  # units of each layer
    embed: int = 128  # of words, and of frames
    dropout: float = 0.0  # of what each layer reads
    dropout_out: float = 0.0  # of what the readout sees
    method: str = "auto"

    def init(self, key):
        k = iter(jax.random.split(key, 5))
        return {
            "frame": {"w": glorot()(next(k), (self.channels, self.embed)), "b": jnp.zeros(self.embed)},
            "target_embedding": normal(0.1)(next(k), (self.targets, self.embed)),
            "first": self.cell.init(next(k), self.embed, self.d),
            "second": self.cell.init(next(k), self.d + self.embed, self.d),
            "wo": glorot()(next(k), (self.d, self.targets)), "bo": jnp.zeros(self.targets),
        }  # fmt: skip

    def advance(self, params, carry, x):
        """One step of both layers; x: (a frame, a word), each [b embed], zeros for none."""
        (frame, word), (first, second) = x, carry
        first, h = self.cell.step(params["first"], first, frame)
        second, h = self.cell.step(params["second"], second, jnp.concatenate([h, word], axis=-1))
        return (first, second), h

    def read(self, params, frames, lengths, key=None):
        """The carry after the frames [t b k], of which each clip has `lengths` int [b]."""
        xs = drop(key, frames @ params["frame"]["w"] + params["frame"]["b"], self.dropout)
        zero = self.cell.carry(xs.shape[1], self.d, xs.dtype)
        args = self.advance, params, (zero, zero), (xs, jnp.zeros_like(xs))
        return scan(*args, lengths=lengths, method=self.method)[0]

    def logits(self, params, frames, lengths, inputs, *, key=None):
        """Scores [t b v] of the words after `inputs` int [t b]; key: dropout, None for evaluation."""
        k_frames, k_words, k_out = split(key, 3)
        carry = self.read(params, frames, lengths, k_frames)
        e = drop(k_words, params["target_embedding"][inputs], self.dropout)
        h = scan(self.advance, params, carry, (jnp.zeros_like(e), e), method=self.method)[1]
        return self.readout(params, drop(k_out, h, self.dropout_out))

    def readout(self, params, h):
        return h @ params["wo"] + params["bo"]

    def step(self, params, carry, tokens):
        """What `rnn_jax.decoding` asks for."""
        e = params["target_embedding"][tokens]
        carry, h = self.advance(params, carry, (jnp.zeros_like(e), e))
        return carry, self.readout(params, h)
