"""Sources of text and their named splits. `load` makes both into integers; windows.py cuts these into batches."""

import gzip
import os
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnn_jax.data import stdlib, tiny_shakespeare
from rnn_jax.data.errors import DataError
from rnn_jax.data.vocabulary import UNSEEN, Vocabulary, codepoints

SOURCES = ("stdlib", "text", "tiny_shakespeare")
SPLITS = ("char_rnn", "nanogpt", "fractions", "files")


def defaults():
    """config.data, every key with its default."""
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "stdlib",  # stdlib: Python's own source; text: the file `path`; tiny_shakespeare: TFDS
            "path": "",  # of source=text: a UTF-8 file, gzipped or not
            "root": "",  # folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "tfds_dir": "",  # where TFDS keeps data sets; "": TFDS's own default
            "download": False,  # may TFDS fetch what is absent?
            "split": "files",  # see `split`
            "fractions": (0.9, 0.05, 0.05),  # of split=fractions: train, valid, test
            "batch": 50,  # streams read side by side
            "window": 50,  # steps of truncated BPTT
            "resets": "documents",  # see `windows`
        }
    )


class Part(NamedTuple):
    """One side of a split. Tokens [n] are a text, to be cut into streams; tokens [b l+1] are streams already, of l
    steps and the last one's target. `starts`, of the same shape, marks the first character of each file."""

    name: str
    tokens: np.ndarray
    starts: np.ndarray


class Text(NamedTuple):
    vocabulary: Vocabulary
    train: Part  # tokens int32
    valid: Part
    test: Part | None
    report: str  # lines to print: sizes, and characters that the training text does not hold


def load(config) -> Text:
    """The text, split and encoded, that config.data (see `defaults`) asks for. Raises DataError.

    The vocabulary holds the training part's characters; others are counted in the report and read as '\ufffd'.
    Whether a part fills a window is for `windows` to check.
    """
    if config.split not in SPLITS:
        raise DataError(f"config.data.split: no {config.split!r}; there are {', '.join(SPLITS)}")
    if config.split == "files" and config.source in SOURCES[1:]:
        raise DataError(
            f"split files needs a source of many files (stdlib), and {config.source} is one text: set "
            f"config.data.split to {', '.join(SPLITS[:-2])} or {SPLITS[-2]}"
        )
    title, found = documents(config)
    if config.split == "files":
        sides = {"train": False, "valid": True}
        parts = [Part(m, *join([t for n, t in found if stdlib.held_out(n) is out])) for m, out in sides.items()]
    else:
        parts = split(*join([t for _, t in found]), config)
    vocabulary = Vocabulary.of(parts[0].tokens)
    lines = [f"{title}; split {config.split}, vocabulary {len(vocabulary)}"]
    for name, tokens, _ in parts:
        n, kinds = vocabulary.unseen(tokens)
        lines.append(f"{name}: {(tokens if tokens.ndim == 1 else tokens[:, :-1]).size:,} characters")
        lines += [f"{name}: {n:,} characters of {kinds} kinds not in the training text, read as '{UNSEEN}'"] * (n > 0)
    train, valid, *test = [p._replace(tokens=vocabulary.encode(p.tokens)) for p in parts]
    return Text(vocabulary, train, valid, test[0] if test else None, "\n".join(lines))


def split(tokens, starts, config) -> list[Part]:
    """Train, valid and perhaps test of one text [n], by config.data.split.

    char_rnn   Karpathy's CharSplitLMMinibatchLoader: the text, cut to a multiple of batch*window, is laid out in
               `batch` rows; the first 95 % of each row's windows are training, the rest validation. The last
               target of a row is the next row's first character, of the last row the text's first.
    nanogpt    The first 90 % are training, the last 10 % validation. Never compare a loss with char_rnn's, whose
               validation lies between stretches of training text and reads about 0.14 nats lower.
    fractions  config.data.fractions in order; (0.9, 0.05, 0.05) are TFDS's own splits of tiny_shakespeare.
    files      Whole files are held out, 1 of 20 by a hash of the name (`load` does it, before files are joined).
    """
    if config.split == "char_rnn":
        b, t = config.batch, config.window
        k = len(tokens) // (b * t) if min(b, t) > 0 else 0  # windows in a row
        if k < 2:
            raise DataError(
                f"split char_rnn: {len(tokens):,} characters are {k} windows of {t} for each of {b} streams, and one "
                "to train and one to validate are the least: lower config.data.batch or window, or give more text"
            )
        tokens, starts, i = tokens[: b * k * t], starts[: b * k * t], int(k * 0.95) * t
        # Each row with the character after it; that character is never an input, so its mark does not matter.
        rows, marks = (np.c_[a.reshape(b, -1), np.roll(a, -1).reshape(b, -1)[:, -1]] for a in (tokens, starts))
        return [Part("train", rows[:, : i + 1], marks[:, : i + 1]), Part("valid", rows[:, i:], marks[:, i:])]
    shares = (0.9, 0.1, 0) if config.split == "nanogpt" else tuple(config.fractions)
    if len(shares) != 3 or min(shares[:2]) <= 0 or shares[2] < 0 or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f"config.data.fractions: {shares} must be three shares, train, valid and test, that sum to 1")
    cuts = [int(len(tokens) * round(c, 9)) for c in np.cumsum((0, *shares))]
    sides = zip(("train", "valid", "test"), cuts[:-1], cuts[1:], strict=True)
    return [Part(name, tokens[i:j], starts[i:j]) for name, i, j in sides if name != "test" or i < j]


def join(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points [n] of all texts, and marks [n] at each one's first. A single text has none: nothing ends there."""
    points = codepoints("".join(texts))
    starts = np.zeros(points.shape, bool)
    if len(texts) > 1:
        starts[np.cumsum([0, *map(len, texts[:-1])])] = True
    return points, starts


def documents(config) -> tuple[str, list[tuple[str, str]]]:
    """A line about the source that config.data names, and its (name, text) documents."""
    if config.path and config.source != "text":
        raise DataError(
            f"config.data.path is read by source text only: set config.data.source=text, not {config.source}"
        )
    match config.source:
        case "stdlib":
            title, found = f"stdlib of Python {platform.python_version()}", stdlib.read(stdlib.home())
        case "text":
            title, found = f"text {config.path}", [(config.path, read_file(config.path))]
        case "tiny_shakespeare":
            root = config.root or os.environ.get("RNN_JAX_DATA", "")
            title, found = config.source, [("input.txt", tiny_shakespeare.read(root, config.tfds_dir, config.download))]
        case _:
            raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    size = sum(len(text) for _, text in found)
    if not size:
        raise DataError(f"{title} is empty: give at least batch*window + 1 characters")
    return f"{title}: {len(found):,} file{'s' * (len(found) > 1)}, {size:,} characters", found


def read_file(path: str, key="config.data.path") -> str:
    """A UTF-8 text file, gzipped or not, its line ends as they are. key: what named it, said where it cannot be read.
    Raises DataError."""
    told = f"{key}: {path}" if key else path
    if not path:
        raise DataError(f"source text needs a file: set {key}=FILE")
    file = Path(path).expanduser()
    if not file.is_file():
        what = "is a directory" if file.is_dir() else "does not exist"
        raise DataError(f"{told} {what}; give a UTF-8 text file")
    data = b""
    try:
        data = file.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{told} is not UTF-8 (line {line:,}): convert it, e.g. by iconv") from error
    except (OSError, EOFError) as error:  # no permission, or gzip cut short
        raise DataError(f"{told} cannot be read ({error}); give a UTF-8 text file") from error
    if "\0" in text:
        raise DataError(f"{told} is binary (NUL at character {text.index(chr(0)):,}); give a text file")
    return text
