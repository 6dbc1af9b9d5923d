"""A small CNN that is trained from scratch, for generated pictures and for the frames of clips."""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx


class SmallCNN(nnx.Module):
    """Convolutions of 3x3, each halving the picture: [b s s 3] -> [b s/2^l s/2^l widths[-1]], l = len(widths).

    coordinates: x and y, from -1 to 1, are two more channels of the picture and of the last layer (CoordConv; Liu et
    al., 2018, arXiv:1807.03247): where a thing is can then be said after all positions have been averaged.
    """

    size = 64

    def __init__(self, widths: Sequence[int] = (32, 64, 96, 128), *, coordinates=True, rngs: nnx.Rngs):
        self.coordinates, self.channels = coordinates, widths[-1]
        more, ends = 2 * coordinates, (0, len(widths) - 1)
        widths = (3, *widths)
        self.layers = nnx.data([
            nnx.Conv(n + more * (i in ends), m, (3, 3), strides=2, rngs=rngs)
            for i, (n, m) in enumerate(itertools.pairwise(widths))
        ])  # fmt: skip

    def __call__(self, images):
        xs, last = images.astype(jnp.float32) / 127.5 - 1, len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            xs = nnx.relu(layer(placed(xs) if self.coordinates and i in (0, last) else xs))
        return xs


def placed(xs):
    """xs [b h w c] with x and y behind: [b h w c+2]."""
    b, h, w, _ = xs.shape
    y, x = jnp.meshgrid(jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w), indexing="ij")
    at = jnp.broadcast_to(jnp.stack([x, y], axis=-1), (b, h, w, 2))
    return jnp.concatenate([xs, at.astype(xs.dtype)], axis=-1)
