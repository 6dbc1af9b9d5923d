"""Features of pictures by a network that is not trained: computed once, and kept in a file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rnn_jax.data import pictures
from rnn_jax.data.errors import DataError


def features(
    found, encode: Callable[[Any], Any], *, key: str, size: int, folder="", batch=100
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """(float16 [n p q k] of n pictures, mapped from its file; those that cannot be read: (number, reason)).

    found: objects with a `source` (pictures.read). encode: uint8 [batch size size 3] -> [batch p q k]. The file's name
    is a hash of `key` (what the encoder is), the size, and the content of every picture: what changes is computed anew.
    A picture that cannot be read is all zeros. Raises DataError.
    """
    where = place(folder)
    name = hashlib.sha256(f"1 {key} {size}".encode())
    for picture in found:
        try:
            name.update(hashlib.sha256(pictures.content(picture.source)).digest())
        except DataError as error:
            name.update(str(error).encode())
    file = where / f"{name.hexdigest()}.npy"
    return kept(file) or kept(compute(found, encode, size, file, batch))  # pyright: ignore


def place(folder) -> Path:
    where = Path(folder or os.environ.get("RNN_JAX_CACHE", "") or "~/.cache/rnn_jax").expanduser() / "features"
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"features cannot be kept in {where} ({error.strerror}): name another folder by RNN_JAX_CACHE or "
            "config.data.cache"
        ) from error
    return where


def kept(file: Path):
    """What is in the file, or None: absent, or not whole."""
    try:
        bad = json.loads(file.with_suffix(".json").read_text())
        return np.load(file, mmap_mode="r"), [(int(i), why) for i, why in bad]
    except (OSError, ValueError, TypeError):
        return None


def compute(found, encode, size, file: Path, batch: int) -> Path:
    from rich.console import Console
    from rich.progress import track

    bad: list[tuple[int, str]] = []

    def decoded(item):
        i, picture = item
        try:
            return pictures.read(picture.source, size)
        except DataError as error:
            bad.append((i, str(error)))
            return None

    out: Any = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part") as held, ThreadPoolExecutor(4) as pool:
            console = Console(stderr=True)
            for at in track(range(0, len(found), batch), "features", console=console, transient=True):
                here = list(enumerate(found[at : at + batch], at))
                images = np.zeros((batch, size, size, 3), np.uint8)  # one shape: one compilation
                readable = list(pool.map(decoded, here))
                for row, image in enumerate(readable):
                    if image is not None:
                        images[row] = image
                made = np.asarray(encode(images), np.float16)[: len(here)]
                made[[image is None for image in readable]] = 0
                if out is None:
                    shape = (len(found), *made.shape[1:])
                    out = np.lib.format.open_memmap(held.name, "w+", np.float16, shape)
                out[at : at + len(here)] = made
            out.flush()
            # The list of what is bad comes last: a file without it is not whole.
            whole = file.with_suffix(".whole")
            whole.unlink(missing_ok=True)
            os.link(held.name, whole)
            os.replace(whole, file)
        listed = file.with_suffix(".list")
        listed.write_text(json.dumps(sorted(bad)))
        os.replace(listed, file.with_suffix(".json"))
    except OSError as error:
        raise DataError(
            f"features cannot be kept in {file.parent} ({error.strerror}): name another folder by RNN_JAX_CACHE or "
            "config.data.cache"
        ) from error
    return file
