"""Features of pictures by a network that is not trained: computed once, and kept in a file."""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rnn_jax.data import pictures
from rnn_jax.data.errors import DataError


def features(
    found: Sequence[Any], encode: Callable[[Any], Any], *, key: str, size: int, folder="", batch=100
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """(float16 [n p q k] of n pictures, mapped from its file; those that cannot be read: (number, reason)).

    found: objects with a `source` (pictures.read). encode: uint8 [batch size size 3] -> [batch p q k]. The file is
    <folder>/features/<hash>.npy, folder "" being the environment's RNN_JAX_CACHE, or ~/.cache/rnn_jax; the hash is of
    `key` (what the encoder is), the size, and the content of every picture: what changes is computed anew. A picture
    that cannot be read is all zeros; if it can be by now, all are computed anew. Raises DataError.
    """
    if not found:
        raise DataError("features of no pictures: give at least one")
    name = hashlib.sha256(f"1 {key} {size}".encode())
    for picture in found:
        try:
            name.update(hashlib.sha256(pictures.content(picture.source)).digest())
        except DataError as error:
            name.update(str(error).encode())
    where = Path(folder or os.environ.get("RNN_JAX_CACHE", "") or "~/.cache/rnn_jax").expanduser() / "features"
    file = where / f"{name.hexdigest()}.npy"
    if (whole := kept(file, found, size)) is not None:
        return whole
    try:
        where.mkdir(parents=True, exist_ok=True)
        bad: list[tuple[int, str]] = []
        write(file, computed(found, encode, size, batch, bad))
        # The list comes last: features without it are not whole.
        write(file.with_suffix(".json"), [json.dumps(sorted(i for i, _ in bad)).encode()])
        return np.load(file, mmap_mode="r"), sorted(bad)
    except OSError as error:
        raise DataError(
            f"features cannot be kept in {where} ({error.strerror}): name another folder by RNN_JAX_CACHE or "
            "config.data.cache"
        ) from error


def kept(file: Path, found, size: int):
    """What is in the file of these pictures, or None: absent, or not whole."""
    try:
        unread = [int(i) for i in json.loads(file.with_suffix(".json").read_text())]
        out = np.load(file, mmap_mode="r")
    except (OSError, EOFError, ValueError, TypeError):
        return None
    if len(out) != len(found) or out.dtype != np.float16:
        return None
    bad = []
    for i in unread:  # why not is asked again: the same pictures may lie elsewhere now
        try:
            pictures.read(found[i].source, size)
            return None
        except DataError as error:
            bad.append((i, str(error)))
    return out, bad


def write(file: Path, pieces):
    """The bytes of the pieces as a file, which is whole or absent."""
    handle, part = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.writelines(pieces)
        os.replace(part, file)
    finally:
        Path(part).unlink(missing_ok=True)


def computed(found, encode, size: int, batch: int, bad):
    """The bytes of an .npy file of the features, batch after batch; `bad` gains what cannot be read."""
    from rich.console import Console
    from rich.progress import track

    def decoded(item):
        i, picture = item
        try:
            return pictures.read(picture.source, size)
        except DataError as error:
            bad.append((i, str(error)))
            return None

    with ThreadPoolExecutor(4) as pool:
        steps = range(0, len(found), batch)
        for at in track(steps, "features", console=Console(stderr=True), transient=True):
            here = list(pool.map(decoded, enumerate(found[at : at + batch], at)))
            images = np.zeros((batch, size, size, 3), np.uint8)  # one shape: one compilation
            for row, image in enumerate(here):
                if image is not None:
                    images[row] = image
            made = np.array(encode(images), np.float32)[: len(here)]
            made[[image is None for image in here]] = 0
            if not np.abs(made).max() <= np.finfo(np.float16).max:
                raise DataError(
                    "features that are no numbers, or beyond float16's 65,504: are these the right weights?"
                )
            if not at:
                yield header((len(found), *made.shape[1:]))
            yield made.astype(np.float16).tobytes()


def header(shape) -> bytes:
    """How the .npy file of a float16 array begins."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f2", "fortran_order": False, "shape": shape})
    return out.getvalue()
