"""Files of weights as dicts of arrays, and their comparison with what a network needs."""

from pathlib import Path
from typing import Any

import numpy as np


class WrongWeights(ValueError):
    """One line: which file, what is wrong, what would be right."""

    exit_code = 2


def keras(path) -> dict[str, np.ndarray]:
    """Weights that Keras saved as HDF5: "layer/weight" -> array."""
    import h5py

    try:
        out: dict[str, np.ndarray] = {}
        with h5py.File(exists(path), "r") as opened:
            file: Any = opened
            for layer in map(_text, file.attrs["layer_names"]):
                for name in map(_text, file[layer].attrs["weight_names"]):
                    short = name.rsplit("/", 1)[-1].removesuffix(":0")
                    out[f"{layer}/{short}"] = np.asarray(file[layer][name])
        return out
    except (OSError, KeyError) as error:
        raise WrongWeights(f"{path} holds no Keras weights as HDF5 ({' '.join(str(error).split())[:80]})") from error


def safetensors(path) -> dict[str, np.ndarray]:
    """A state dict of PyTorch: name -> array."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(exists(path))
    except SafetensorError as error:
        raise WrongWeights(
            f"{path} is no safetensors file ({error}); save torchvision's or timm's weights so"
        ) from error


def exists(path) -> Path:
    path = Path(path).expanduser()
    if not path.is_file():
        raise WrongWeights(f"{path} does not exist: config.encoder.weights names a file of weights")
    return path


def compare(found: dict[str, np.ndarray], wanted: dict[str, tuple[int, ...]], path, network: str):
    """WrongWeights, with the first differences, unless names and shapes are those that the network needs."""
    missing = [f"{name} is missing" for name in wanted if name not in found]
    other = [f"{name} is in the file and not in the network" for name in found if name not in wanted]
    shaped = [
        f"{name} is {list(found[name].shape)}, want {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name].shape != tuple(shape)
    ]
    if differ := [*missing, *other, *shaped]:
        shown = "; ".join([*missing[:2], *other[:2], *shaped[:2]])
        raise WrongWeights(f"{path} holds no weights of {network}: {len(differ)} differences: {shown}")
    if wild := [name for name in wanted if not np.isfinite(np.asarray(found[name], np.float32)).all()]:
        raise WrongWeights(f"{path}: {wild[0]} has values that are not finite: fetch the file again")


def _text(name):
    return name.decode() if isinstance(name, bytes) else str(name)
