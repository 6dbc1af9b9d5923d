"""A text as one vector, and back: an autoencoder whose code a decoder of any other text can be conditioned on.

    z = [last h of a forward layer, first h of a backward layer]        of 2 d numbers
    p(y | z)  the decoder of rnn_jax/models/captioner.py, to which z is a picture of one position

The style shift of neural-storyteller (Kiros, 2015):  z - mean of the codes of captions + mean of those of stories.
"""

import dataclasses

import jax
import jax.numpy as jnp

from rnn_jax.cells.initializers import normal
from rnn_jax.models.captioner import Captioner
from rnn_jax.scan import scan


@dataclasses.dataclass(frozen=True)
class TextCoder(Captioner):
    """channels is 2 d; its functions take the params that `init` makes."""

    def init(self, key):
        key, *keys = jax.random.split(key, 4)
        layer = lambda key: self.cell.init(key, self.embed, self.d)
        more = {"source_embedding": normal(0.1)(keys[0], (self.targets, self.embed))}
        return super().init(key) | more | {"forward": layer(keys[1]), "backward": layer(keys[2])}

    def code(self, params, tokens, lengths):
        """z [b 2d] of texts int [t b], of which each has `lengths` int [b] tokens."""
        xs = params["source_embedding"][tokens]
        zero = self.cell.carry(tokens.shape[1], self.d, xs.dtype)
        run = lambda name, reverse=False: scan(
            self.cell.step, params[name], zero, xs, lengths=lengths, reverse=reverse, method=self.method
        )[1]
        last = jnp.maximum(lengths - 1, 0)[None, :, None]
        h = jnp.take_along_axis(run("forward"), last, axis=0)[0]
        return jnp.concatenate([h, run("backward", True)[0]], axis=-1)


def as_picture(codes):
    """Codes [b k] as features [b 1 1 k]."""
    return codes[:, None, None, :]


def shifted(codes, captions, stories):
    """codes [n k] - mean(captions [m k]) + mean(stories [l k])."""
    return codes - captions.mean(0) + stories.mean(0)
