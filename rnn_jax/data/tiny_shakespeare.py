"""The text of Shakespeare that char-rnn trains on, through TFDS and array_record, without TensorFlow."""

from importlib import import_module
from pathlib import Path
from typing import Any

from rnn_jax.data.errors import DataError


def builder(data_dir="") -> Any:
    """TFDS's builder of tiny_shakespeare 1.0.0 with its file read by Python: the original opens it with `tf.io.gfile`.

    Name, version, features, checksum and splits (90 % / 5 % / 5 %) are the original's, so that what either has prepared
    as array_record serves the other.
    """
    original = import_module("tensorflow_datasets.datasets.tiny_shakespeare.tiny_shakespeare_dataset_builder")

    class TinyShakespeare(original.Builder, skip_registration=True):  # pyright: ignore (its base is a TFDS class)
        name = "tiny_shakespeare"
        pkg_dir_path = Path(str(original.__file__)).parent  # README and citations
        url_infos = original.Builder.url_infos  # by these TFDS finds input.txt in a manual_dir, and verifies it
        MANUAL_DOWNLOAD_INSTRUCTIONS = "input.txt of char-rnn's data/tinyshakespeare"

        def _split_generators(self, dl_manager):
            text = Path(dl_manager.download(next(iter(self.url_infos)))).read_bytes().decode()
            i = int(len(text) * 0.9)
            j = i + int((len(text) - i) * 0.5)
            parts = {"train": text[:i], "validation": text[i:j], "test": text[j:]}
            return {name: self._generate_examples(name, part) for name, part in parts.items()}

    return TinyShakespeare(data_dir=data_dir or None, file_format="array_record")


def read(root="", data_dir="", download=False) -> str:
    """The whole text, 1,115,394 characters: TFDS's three splits in order are the file input.txt.

    What TFDS has not prepared yet is prepared from `<root>/tinyshakespeare/input.txt`, from TFDS's own manual folder,
    or from the network if `download`.
    """
    try:
        dataset = builder(data_dir)
        where = Path(dataset.data_dir)
        if not where.exists():
            prepare(dataset, where, root, download)
        parts = dataset.as_data_source()
        return b"".join(parts[name][0]["text"] for name in ("train", "validation", "test")).decode()
    except DataError:
        raise
    except Exception as error:  # e.g. prepared as tfrecord, or cut short
        raise DataError(
            f"tiny_shakespeare in {data_dir or 'the default folder of TFDS'} cannot be read as array_record "
            f"({reason(error)}): remove it there, or point config.data.tfds_dir to another folder"
        ) from error


def reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def prepare(dataset, where: Path, root: str, download: bool):
    import tensorflow_datasets as tfds

    wanted = Path(root or "$RNN_JAX_DATA").expanduser() / "tinyshakespeare"
    manual = where.parents[1] / "downloads" / "manual"
    folder = next((f for f in (wanted, manual / "tinyshakespeare", manual) if (f / "input.txt").is_file()), None)
    url = next(iter(dataset.url_infos))
    if not folder and not download:
        raise DataError(
            f"tiny_shakespeare is neither a data set of TFDS ({where}) nor a file {wanted / 'input.txt'}: "
            f"save {url} there (config.data.root names the folder), or set config.data.download=True"
        )
    try:
        config = tfds.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
        dataset.download_and_prepare(download_config=config)
    except Exception as error:  # the network, the disk, or a checksum that differs
        raise DataError(
            f"tiny_shakespeare could not be made from {folder / 'input.txt' if folder else url} ("
            f"{reason(error)}): give the official file, or read another with config.data.source=text"
        ) from error
