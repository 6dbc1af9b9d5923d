"""Encoder-decoder: one sequence to another, over any cell.

encoder   h_1 ... h_s over the source, in one direction or in both: the decoder's keys
decoder   rnn_jax/models/decoder.py; its initial carry is the encoder's last one, layer by layer; from an encoder of
          two directions tanh(W [last forward, first backward] + b); its z is the encoder's last output
"""

import dataclasses

import jax
import jax.numpy as jnp

from rnn_jax.cells.initializers import glorot, normal
from rnn_jax.models.decoder import Decoder, begins, split
from rnn_jax.scan import scan


@dataclasses.dataclass(frozen=True)
class Seq2Seq(Decoder):
    """The sizes of a model; its functions take the params that `init` makes."""

    sources: int = dataclasses.field(kw_only=True)  # source vocabulary
    bidirectional: bool = dataclasses.field(default=True, kw_only=True)  # the encoder: d units in each direction

    @property
    def keys(self):
        return self.d * (2 if self.bidirectional else 1)

    def init(self, key):
        k = iter(jax.random.split(key, 5))
        d, embed, wide = self.d, self.embed, self.keys
        stack = lambda key: [
            self.cell.init(key, wide if i else embed, d) for i, key in enumerate(jax.random.split(key, self.layers))
        ]
        params = super().init(next(k))
        params["source_embedding"] = normal(0.1)(next(k), (self.sources, embed))
        params["forward"] = stack(next(k))
        if self.bidirectional:
            params["backward"] = stack(next(k))
            one = jax.tree.leaves(self.cell.carry(1, d))
            if any(a.shape != (1, d) for a in one):
                raise ValueError("seq2seq: a cell whose carry leaves are not [b d] needs bidirectional=False")
            bridge = lambda key: {"w": glorot()(key, (2 * d, d)), "b": jnp.zeros(d)}
            params["bridge"] = [
                [bridge(a) for a in jax.random.split(each, len(one))] for each in jax.random.split(next(k), self.layers)
            ]
        return params

    def encode(self, params, tokens, segments, key=None):
        """The memory: keys [s b k], segments [s b], states of each layer [s b ...]."""
        b = tokens.shape[1]
        keys = split(key, self.layers)
        xs = params["source_embedding"][tokens]
        zero, step, resets = self.cell.carry(b, self.d, xs.dtype), _with_carry(self.cell.step), begins(segments)
        states = []
        for i, key in enumerate(keys):
            xs = self.drop(key, xs, self.dropout)
            run = lambda p, reverse, xs=xs: scan(
                step, p, zero, xs, resets=resets, initial=zero, reverse=reverse, method=self.method
            )[1]
            h, forward = run(params["forward"][i], False)
            backward = None
            if self.bidirectional:
                back, backward = run(params["backward"][i], True)
                h = jnp.concatenate([h, back], axis=-1)
            states.append((forward, backward))
            xs = h
        return {"keys": xs, "segments": segments, "states": states}

    def start(self, params, memory, segments):
        last, first = ends(memory["segments"], segments)
        take = lambda a, at: jnp.take_along_axis(a, at.reshape(*at.shape, *[1] * (a.ndim - 2)), axis=0)
        carries = []
        for i, (forward, backward) in enumerate(memory["states"]):
            state = jax.tree.map(lambda a: take(a, last), forward)
            if backward is not None:
                both = zip(jax.tree.leaves(state), jax.tree.leaves(backward), params["bridge"][i], strict=True)
                turned = [jnp.tanh(jnp.concatenate([f, take(r, first)], -1) @ p["w"] + p["b"]) for f, r, p in both]
                state = jax.tree.unflatten(jax.tree.structure(state), turned)
            carries.append(state)
        d, keys = self.d, memory["keys"]
        z = take(keys[..., :d], last)
        return carries, jnp.concatenate([z, take(keys[..., d:], first)], -1) if self.bidirectional else z

    def logits(self, params, source, source_segments, inputs, segments, *, forcing=None, key=None, collect=()):
        """Scores [t b v] of the target tokens after `inputs` [t b], each row beginning every segment with its start;
        forcing, key and collect as for `write`."""
        k_source, k_write = split(key, 2)
        memory = self.encode(params, source, source_segments, k_source)
        return self.write(params, memory, inputs, segments, forcing=forcing, key=k_write, collect=collect)


def ends(source_segments, segments):
    """(last, first) source position of each target position's segment, int [t b]; 0 where there is none."""
    same = source_segments[None] == segments[:, None]  # [t s b]
    s = source_segments.shape[0]
    at = jnp.arange(s)[None, :, None]
    found = jnp.any(same, axis=1)
    last, first = jnp.max(jnp.where(same, at, -1), axis=1), jnp.min(jnp.where(same, at, s), axis=1)
    return jnp.where(found, last, 0), jnp.where(found, first, 0)


def _with_carry(step):
    """The step, with its carry beside what it emits."""

    def both(params, carry, x):
        carry, y = step(params, carry, x)
        return carry, (y, carry)

    return both
