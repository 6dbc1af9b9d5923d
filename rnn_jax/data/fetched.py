"""Data sets that are not generated: files fetched by hand, under their official names, and data sets of TFDS."""

import os
from pathlib import Path
from typing import Any

from rnn_jax.data.errors import DataError


def files(root: str, folder: str, names, source: str) -> list[Path]:
    """<root>/<folder>/<name> of each name; root "": the environment's RNN_JAX_DATA. source: where they are fetched."""
    where = Path(root or os.environ.get("RNN_JAX_DATA", "") or "$RNN_JAX_DATA").expanduser() / folder
    found = [where / name for name in names]
    if absent := [str(file) for file in found if not file.is_file()]:
        raise DataError(
            f"{absent[0]} does not exist: fetch {source}, and name the folder that holds {folder}/ by RNN_JAX_DATA or "
            "config.data.root"
        )
    return found


def tfds(name: str, splits, read, *, features: str, download: bool) -> list[list[Any]]:
    """read(row, features of the data set) of each row of the splits, as array_record. features: what `read` needs."""
    import tensorflow_datasets

    try:
        parts: Any = tensorflow_datasets.data_source(name, split=list(splits), download=download)
        return [[read(row, part.dataset_info.features) for row in part] for part in parts]
    except Exception as error:  # not there, no network, another format, other features
        raise DataError(
            f"tfds: {name} cannot be read ({type(error).__name__}: {' '.join(str(error).split())[:150]}): prepare it "
            f"with file_format=array_record, or set config.data.download=True; its features must be {features}"
        ) from error


def text(raw) -> str:
    """A text of TFDS, which is bytes."""
    return raw if isinstance(raw, str) else bytes(raw).decode()
