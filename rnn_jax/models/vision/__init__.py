"""Image encoders in Flax NNX: pictures [b h w 3], RGB 0 to 255, uint8 or float -> a grid of features [b p q k].

    cnn = vision.make("squeezenet", "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5", rngs=nnx.Rngs(0))
    cnn.size, cnn.channels                 # 128 pixels a side, k = 512
    features = vision.frozen(cnn)          # jitted images -> features
    params, rebuild = functional(cnn)      # rnn_jax.nn: to train it

Each module preprocesses pictures itself, as its weights were trained. `weights` names a file; "" leaves random numbers.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from rnn_jax.models.vision.resnet import ResNet
from rnn_jax.models.vision.small import SmallCNN
from rnn_jax.models.vision.squeezenet import SqueezeNet
from rnn_jax.models.vision.weights import WrongWeights

NAMES = ("squeezenet", "resnet18", "resnet50", "small")

__all__ = ["NAMES", "ResNet", "SmallCNN", "SqueezeNet", "WrongWeights", "fingerprint", "frozen", "make"]


def make(name: str, weights="", *, rngs: nnx.Rngs, **sizes) -> Any:
    """A module with `size`, the usual side of a picture in pixels, and `channels`; sizes: those of SmallCNN. Raises
    WrongWeights where the file is absent, damaged, or of another architecture."""
    if name not in NAMES:
        raise ValueError(f"vision: no {name!r}; there are {', '.join(NAMES)}")
    if name == "small":
        if weights:
            raise WrongWeights(f"small is trained from scratch: it has no weights to read from {weights}")
        return SmallCNN(rngs=rngs, **sizes)
    module = SqueezeNet(rngs=rngs) if name == "squeezenet" else ResNet(int(name.removeprefix("resnet")), rngs=rngs)
    if weights:
        module.load(weights)
    return module


def frozen(module) -> Callable[[Any], jax.Array]:
    """images -> features, jitted; the weights are arguments of the program, not a part of it."""
    graph, state = nnx.split(module)
    run = jax.jit(lambda state, images: nnx.merge(graph, state)(images))
    return lambda images: run(state, images)


def fingerprint(module) -> str:
    """sha256 of the names, shapes and numbers of all weights."""
    found = hashlib.sha256(type(module).__name__.encode())
    for path, value in nnx.to_flat_state(nnx.state(module)):
        array = np.asarray(value[...])
        found.update(f"{path} {array.shape} {array.dtype}".encode())
        found.update(array.tobytes())
    return found.hexdigest()
