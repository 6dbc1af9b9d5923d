"""Pictures with captions: sources of them, their splits, the vocabulary.

config = captions.defaults()       # config.data
found = captions.load(config)      # found.train, .valid, .test: lists of Picture; the vocabulary; what to print
"""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data import fetched, pictures, shapes
from rnn_jax.data.errors import DataError
from rnn_jax.data.text import read_file
from rnn_jax.data.words import UNKNOWN, Words

SOURCES = ("shapes", "flickr8k", "folder", "tfds")
PARTS = ("train", "valid", "test")


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "shapes",  # shapes: made up; flickr8k; folder: one's own pictures and captions; tfds
            "root": "",  # folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "path": "",  # of source=folder: pictures, and captions.csv (columns image, caption, perhaps split)
            "name": "coco_captions",  # of source=tfds
            "download": False,  # may TFDS fetch what is absent?
            "sizes": (6000, 500, 500),  # of shapes: pictures to train, validate and test
            "pixels": 0,  # of a side; 0: what the CNN is used to
            "cache": "",  # folder of computed features; "": the environment's RNN_JAX_CACHE, or ~/.cache/rnn_jax
            "least": 1,  # how often a word must occur in the training part
            "longest": 0,  # words of a training caption; longer ones are left out; 0: no limit
            "batch": 50,  # captions
            "shapes": 4,  # lengths that captions are padded to
        }
    )


class Picture(NamedTuple):
    name: str
    source: Any  # what pictures.read takes
    captions: list[str]


class Captioned(NamedTuple):
    train: list[Picture]
    valid: list[Picture]
    test: list[Picture]
    vocabulary: Words
    report: str


def load(config: Any) -> Captioned:
    """The pictures that config.data asks for, and the vocabulary of the training captions. Raises DataError."""
    if config.source not in SOURCES:
        raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    parts, told = {"shapes": generated, "flickr8k": flickr8k, "folder": folder, "tfds": tfds}[config.source](config)
    for name, part in zip(PARTS, parts, strict=True):
        if not part:
            raise DataError(f"{config.source}: the {name} part holds no picture with a caption")
    texts = [tokens(caption) for picture in parts[0] for caption in picture.captions]
    vocabulary = Words.of(texts, config.least, " ")
    count = lambda part: f"{len(part):,}"
    lines = [f"{config.source}: {' / '.join(map(count, parts))} pictures to train, validate and test"]
    lines[0] += f", {len(texts):,} training captions, {len(vocabulary):,} words"
    if config.longest and (long := sum(len(text.split()) > config.longest for text in texts)):
        lines.append(f"train: {long:,} captions of more than {config.longest} words are left out")
    test = [i for picture in parts[2] for caption in picture.captions for i in vocabulary.encode(tokens(caption))]
    if unknown := test.count(UNKNOWN):
        lines.append(f"test: {unknown / len(test):.1%} of the words are not in the vocabulary")
    return Captioned(*parts, vocabulary, "\n".join([*lines, *told]))


def tokens(text: str) -> str:
    """Lower-cased words and numbers with one space between; marks are dropped, what follows an apostrophe stays: A
    dog's ball, wet. -> a dog 's ball wet"""
    return " ".join(re.findall(r"'?[^\W_]+", text.lower().replace("\u2019", "'")))


def generated(config):
    parts = shapes.make(*config.sizes)
    name = lambda part, i: f"{PARTS[part]}_{i}"
    return [
        [Picture(name(k, i), scene.image, [scene.caption]) for i, scene in enumerate(part)]
        for k, part in enumerate(parts)
    ], []


def flickr8k(config):
    """6,000 / 1,000 / 1,000 photographs with five captions each (Hodosh et al., 2013), by the standard split."""
    lists = [f"Flickr_8k.{part}Images.txt" for part in ("train", "dev", "test")]
    zips = [*(f"images128_train_{i}.zip" for i in range(6)), "images128_dev.zip", "images128_test.zip"]
    source = "captions.txt, the split lists and the photographs in zips"
    written, *rest = fetched.files(config.root, "flickr8k", ["captions.txt", *lists, *zips], source)
    where = {name: (str(file), name) for file in rest[3:] for name in pictures.archive(str(file)).namelist()}
    split = {name: part for part, file in zip(PARTS, rest[:3], strict=True) for name in read_file(str(file)).split()}
    rows, told = read_csv(read_file(str(written)), str(written))
    return divided(((*row[:2], split.get(row[0], "")) for row in rows), where, told, list(split))


def folder(config):
    """One's own: captions.csv beside its pictures; a split of 80, 10 and 10 % by picture, or by its third column."""
    path = Path(config.path).expanduser()
    names = [path / name for name in ("captions.csv", "captions.txt") if (path / name).is_file()]
    if not names:
        raise DataError(f"{path}/captions.csv does not exist: a header image,caption and a line for each caption")
    rows, told = read_csv(read_file(str(names[0])), str(names[0]))
    where = {str(file.relative_to(path)): file for file in pictures.found(str(path))}
    if any(row[2] not in ("", *PARTS) for row in rows):
        other = next(row[2] for row in rows if row[2] not in ("", *PARTS))
        raise DataError(f"{names[0]}: the split {other!r}; want one of {', '.join(PARTS)}")
    if not any(row[2] for row in rows):
        known = sorted({row[0] for row in rows if row[0] in where})
        order = np.random.default_rng(0).permutation(len(known))
        tenth = max(1, len(known) // 10)
        split = {known[i]: PARTS[1 + (at >= tenth)] if at < 2 * tenth else "train" for at, i in enumerate(order)}
        rows = [(image, caption, split.get(image, "")) for image, caption, _ in rows]
    return divided(rows, where, told, list(where))


def read_csv(text: str, path: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """((image, caption, split or "") of each row, what is wrong): commas in quotes do not divide."""
    table = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip().lower() for name in next(table, [])]
    if not {"image", "caption"} <= set(header):
        raise DataError(f"{path} begins with {','.join(header)[:60]!r}; want the header image,caption")
    at = [header.index(name) if name in header else -1 for name in ("image", "caption", "split")]
    rows, bad = [], []
    for row in table:
        if len(row) == len(header):
            rows.append(tuple(row[i].strip() if i >= 0 else "" for i in at))
        elif row:
            bad.append(table.line_num)
    if not bad:
        return rows, []
    return rows, [f"{path}: {len(bad)} lines without {len(header)} fields are left out, the first is line {bad[0]}"]


def divided(rows: Iterable[tuple[str, str, str]], where: dict[str, Any], told: list[str], expected: list[str]):
    """(the three parts, what to tell): the pictures of the rows (image, caption, split), in the order of their names in
    `expected`; what lacks a caption, a picture or a split is left out and counted."""
    found, part, lost, empty, outside = {}, {}, set(), 0, set()
    for image, caption, split in rows:
        if not tokens(caption):
            empty += 1
        elif image not in where:
            lost.add(image)
        elif not split:
            outside.add(image)
        else:
            found.setdefault(image, []).append(caption)
            part[image] = split
    bare = [name for name in expected if name not in found and name not in lost]
    gone = [name for name in lost if name in expected or not outside]
    for what, names in (
        ("pictures have no caption", bare), ("pictures with captions are not there", gone),
        ("pictures with captions are in no part", outside),
    ):  # fmt: skip
        told += [f"{len(names):,} {what} and are left out: {', '.join(sorted(names)[:2])}"] * bool(names)
    told += [f"{empty:,} captions are empty and left out"] * bool(empty)
    named = [Picture(name, where[name], found[name]) for name in expected if name in found]
    return [[picture for picture in named if part[picture.name] == name] for name in PARTS], told


def tfds(config):
    """A data set of TFDS with pictures and captions, such as coco_captions: its test part, and its validation part if
    it has no other with captions, halved."""

    def read(row, _):
        each = row["captions"]["text"] if isinstance(row["captions"], dict) else [c["text"] for c in row["captions"]]
        return Picture(fetched.text(row["image/filename"]), np.asarray(row["image"]), [fetched.text(c) for c in each])

    needs = "image, image/filename and captions"
    train, held = fetched.tfds(config.name, ("train", "val"), read, features=needs, download=config.download)
    half = len(held) // 2
    return [train, held[:half], held[half:]], []
