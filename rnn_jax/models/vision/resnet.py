"""ResNet-18 and -50 (He et al., 2016, arXiv:1512.03385; version 1.5) without their classifier, by the weights of
torchvision and timm: [b 224 224 3] -> [b 7 7 512] or [b 7 7 2048]. Batch norms run with their saved statistics."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax.models.vision import weights

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue on ImageNet
PARTS = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}  # of a batch norm


def conv(n, m, k, stride=1, *, rngs):
    return nnx.Conv(n, m, (k, k), strides=stride, padding=(k - 1) // 2, use_bias=False, rngs=rngs)


def norm(m, rngs):
    return nnx.BatchNorm(m, use_running_average=True, epsilon=1e-5, rngs=rngs)


class Block(nnx.Module):
    """relu(x' + f(x)), f two convolutions of 3x3, or three with `deep`: 1x1 narrows, 3x3, 1x1 widens fourfold. x' is x,
    or where its size changes a convolution of 1x1."""

    def __init__(self, n: int, m: int, stride: int, *, deep: bool, rngs: nnx.Rngs):
        out = 4 * m if deep else m
        sizes = ((n, m, 1, 1), (m, m, 3, stride), (m, out, 1, 1)) if deep else ((n, m, 3, stride), (m, m, 3, 1))
        self.convs = nnx.data([conv(*each, rngs=rngs) for each in sizes])
        self.norms = nnx.data([norm(m, rngs) for _, m, _, _ in sizes])
        changes = stride > 1 or n != out
        self.shortcut = nnx.data([conv(n, out, 1, stride, rngs=rngs), norm(out, rngs)] if changes else [])

    def __call__(self, xs):
        ys = xs
        for i, (layer, normed) in enumerate(zip(self.convs, self.norms, strict=True)):
            ys = normed(layer(nnx.relu(ys) if i else ys))
        for layer in self.shortcut:
            xs = layer(xs)
        return nnx.relu(xs + ys)


class ResNet(nnx.Module):
    size = 224

    def __init__(self, depth=18, *, rngs: nnx.Rngs):
        self.depth, deep = depth, depth >= 50
        self.conv1, self.bn1 = conv(3, 64, 7, 2, rngs=rngs), norm(64, rngs)
        blocks, n = [], 64
        for stage, count in enumerate(BLOCKS[depth]):
            m = 64 * 2**stage
            for i in range(count):
                blocks.append(Block(n, m, 2 if stage and not i else 1, deep=deep, rngs=rngs))
                n = 4 * m if deep else m
        self.blocks, self.channels = nnx.data(blocks), n

    def __call__(self, images):
        """Pictures of any size of at least 32 pixels, scaled by ImageNet's mean and deviation."""
        xs = (images.astype(jnp.float32) / 255 - jnp.asarray(MEAN)) / jnp.asarray(STD)
        xs = nnx.relu(self.bn1(self.conv1(xs)))
        xs = nnx.max_pool(jnp.pad(xs, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (2, 2))  # none is below 0
        for block in self.blocks:
            xs = block(xs)
        return xs

    def named(self):
        """torchvision's name of each weight -> (ours, is it a kernel: [k k n m] here, [m n k k] there)."""
        layers = {"conv1": self.conv1, "bn1": self.bn1}
        blocks = iter(self.blocks)
        for stage, count in enumerate(BLOCKS[self.depth], 1):
            for i in range(count):
                block, prefix = next(blocks), f"layer{stage}.{i}"
                layers |= {f"{prefix}.conv{j}": layer for j, layer in enumerate(block.convs, 1)}
                layers |= {f"{prefix}.bn{j}": layer for j, layer in enumerate(block.norms, 1)}
                layers |= {f"{prefix}.downsample.{j}": layer for j, layer in enumerate(block.shortcut)}
        out = {}
        for name, layer in layers.items():
            if isinstance(layer, nnx.Conv):
                out[f"{name}.weight"] = layer.kernel, True
            else:
                out |= {f"{name}.{theirs}": (getattr(layer, ours), False) for theirs, ours in PARTS.items()}
        return out

    def load(self, path):
        """The weights of a state dict as safetensors; its classifier is left aside. Raises WrongWeights."""
        found = {
            name: np.asarray(value, np.float32)
            for name, value in weights.safetensors(path).items()
            if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
        }
        named = self.named()
        shape = lambda value, kernel: tuple(value.shape[i] for i in (3, 2, 0, 1)) if kernel else value.shape
        weights.compare(found, {k: shape(*v) for k, v in named.items()}, path, f"ResNet-{self.depth}")
        for name, (value, kernel) in named.items():
            value[...] = jnp.asarray(found[name].transpose(2, 3, 1, 0) if kernel else found[name])
