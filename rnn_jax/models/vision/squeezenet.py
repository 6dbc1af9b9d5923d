"""SqueezeNet 1.1 (Iandola et al., 2016, arXiv:1602.07360) without its classifier: [b 128 128 3] -> [b 7 7 512]."""

import jax.numpy as jnp
from flax import nnx

from rnn_jax.models.vision import weights

FIRES = ((64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128))
FIRES += (
    (256, 48, 192),
    (384, 48, 192),
    (384, 64, 256),
    (512, 64, 256),
)  # of fire2 ... fire9: in, squeezed, half of out
MEAN = (103.939, 116.779, 123.68)  # of blue, green, red


class Fire(nnx.Module):
    """[relu(W_1 s), relu(W_3 * s)], s = relu(W_s x): 1x1 squeezes, 1x1 and 3x3 expand."""

    def __init__(self, n: int, squeezed: int, half: int, *, rngs: nnx.Rngs):
        self.squeeze1x1 = nnx.Conv(n, squeezed, (1, 1), rngs=rngs)
        self.expand1x1 = nnx.Conv(squeezed, half, (1, 1), rngs=rngs)
        self.expand3x3 = nnx.Conv(squeezed, half, (3, 3), rngs=rngs)

    def __call__(self, xs):
        s = nnx.relu(self.squeeze1x1(xs))
        return nnx.relu(jnp.concatenate([self.expand1x1(s), self.expand3x3(s)], axis=-1))


class SqueezeNet(nnx.Module):
    size, channels = 128, 512

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(3, 64, (3, 3), strides=2, padding="VALID", rngs=rngs)
        self.fires = nnx.data([Fire(*sizes, rngs=rngs) for sizes in FIRES])

    def __call__(self, images):
        """Pictures of any size. The authors' model is Caffe's: blue first, minus the mean, not scaled."""
        xs = images[..., ::-1].astype(jnp.float32) - jnp.asarray(MEAN)
        xs = nnx.relu(self.conv1(xs))
        for i, fire in enumerate(self.fires):
            xs = fire(nnx.max_pool(xs, (3, 3), (2, 2)) if i in (0, 2, 4) else xs)
        return xs

    def load(self, path):
        """The weights of an HDF5 file of Keras (rcmalli/keras-squeezenet). Raises WrongWeights."""
        layers = {"conv1": self.conv1}
        for i, fire in enumerate(self.fires, 2):
            layers |= {f"fire{i}/{name}": getattr(fire, name) for name in ("squeeze1x1", "expand1x1", "expand3x3")}
        wanted = {
            f"{name}/{part}": getattr(layer, part) for name, layer in layers.items() for part in ("kernel", "bias")
        }
        found = weights.keras(path)
        weights.compare(found, {name: value.shape for name, value in wanted.items()}, path, "SqueezeNet 1.1")
        for name, value in wanted.items():
            value[...] = jnp.asarray(found[name])
