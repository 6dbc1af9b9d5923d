"""Pictures with captions: sources of them, their splits, the vocabulary.

config = captions.defaults()       # config.data
found = captions.load(config)      # found.train, .valid, .test: lists of Picture; the vocabulary; what to print
"""

import csv
import io
import os
import re
import unicodedata
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data import fetched, packing, pictures, shapes
from rnn_jax.data.errors import DataError
from rnn_jax.data.text import read_file
from rnn_jax.data.words import END, START, UNKNOWN, Words

SOURCES = ("shapes", "flickr8k", "folder", "tfds")
PARTS = ("train", "valid", "test")
SEEN = ("right", "none", "shuffled")  # of Batches


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
    return collected(config, parts, told)


def collected(config, parts, told: list[str], what="picture") -> Captioned:
    """The parts, with the vocabulary of the training captions and a report. Reads config.source, least and longest."""
    for name, part in zip(PARTS, parts, strict=True):
        if not part:
            raise DataError("; ".join([f"{config.source}: the {name} part holds no {what} with a caption", *told]))
    train, valid, test = parts
    if config.longest:
        train, long = shorter(train, config.longest)
        if not train:
            raise DataError(f"config.data.longest={config.longest}: no training caption has so few words")
        told = [f"train: {counted(long, 'caption')} left out, of over {config.longest} words", *told] if long else told
    texts = [tokens(caption) for picture in train for caption in picture.captions]
    vocabulary = Words.of(texts, config.least, " ")
    line = f"{config.source}: {len(train):,} / {len(valid):,} / {len(test):,} {what}s to train, validate and test, "
    line += f"{len(texts):,} training captions of {np.mean([len(t.split()) for t in texts]):.1f} words"
    lines = [line, f"a vocabulary of {len(vocabulary):,} words"]
    for name, part in (("valid", valid), ("test", test)):
        words = [i for picture in part for caption in picture.captions for i in vocabulary.encode(tokens(caption))]
        if unknown := words.count(UNKNOWN):
            lines.append(f"{name}: {unknown / len(words):.1%} of the words are not in the vocabulary")
    return Captioned(train, valid, test, vocabulary, "\n".join([*lines, *told]))


def tokens(text: str) -> str:
    """Words and numbers in lower case with one space between, without marks; the end that an apostrophe begins is a
    word: "A dog's ball, it isn't wet" -> "a dog 's ball it isn 't wet"."""
    text = unicodedata.normalize("NFC", text).lower().replace("\u2019", "'")
    # vowel signs and joiners, of Hindi and Tamil for example, are no letters to `re`, and belong to their word
    part = lambda mark: mark[0] if unicodedata.category(mark[0])[0] == "M" or mark[0] in "\u200c\u200d" else " "
    return " ".join(re.findall(r"'(?:s|t|d|m|re|ve|ll)\b|[^\s_']+", re.sub(r"[^\w\s']", part, text)))


def shorter(part: list[Picture], longest: int) -> tuple[list[Picture], int]:
    """The part without captions of more words, and how many these were."""
    kept = [p._replace(captions=[c for c in p.captions if len(tokens(c).split()) <= longest]) for p in part]
    return [p for p in kept if p.captions], sum(
        len(p.captions) - len(k.captions) for p, k in zip(part, kept, strict=True)
    )


def generated(config):
    if len(config.sizes) != 3:
        raise DataError(f"config.data.sizes={config.sizes}: want three, to train, validate and test")
    return [
        [Picture(f"{name}_{i}", scene.image, [scene.caption]) for i, scene in enumerate(part)]
        for name, part in zip(PARTS, shapes.make(*config.sizes), strict=True)
    ], []


def flickr8k(config):
    """6,000 / 1,000 / 1,000 photographs with five captions each (Hodosh et al., 2013), by the standard split."""
    lists = [f"Flickr_8k.{part}Images.txt" for part in ("train", "dev", "test")]
    zips = [*(f"images128_train_{i}.zip" for i in range(6)), "images128_dev.zip", "images128_test.zip"]
    source = "captions.txt, the split lists and the photographs in zips"
    written, *rest = fetched.files(config.root, "flickr8k", ["captions.txt", *lists, *zips], source)
    where = {name: (str(file), name) for file in rest[3:] for name in pictures.members(file)}
    lists = dict(zip(PARTS, rest[:3], strict=True))
    split = {name: part for part, file in lists.items() for name in read_file(str(file), "").split()}
    rows, told = read_csv(written)
    return divided([row[:2] for row in rows], where, split, told)


def folder(config):
    """One's own: captions.csv beside its pictures; a split of 80, 10 and 10 % by picture, or by its third column."""
    path = Path(config.path).expanduser()
    files = [path / name for name in ("captions.csv", "captions.txt") if (path / name).is_file()]
    if not files:
        raise DataError(
            f"config.data.path: {path / 'captions.csv'} does not exist; want image,caption and a line a caption"
        )
    rows, where, split, told = listed(files[0], lambda name: path / name)
    mine = [str(file.relative_to(path)) for file in pictures.inside(path)]
    return divided([row[:2] for row in rows], where, split, told, [name for name in mine if name not in where])


def listed(file: Path, place, what="image"):
    """(rows, where each picture is, its part, what is wrong) of a file of captions; place: name -> its path.

    Without a column of splits a tenth of the pictures is to validate, a tenth to test, drawn alike in every run."""
    rows, told = read_csv(file, what)
    names = dict.fromkeys(name for name, *_ in rows)
    where = {name: place(name) for name in names if os.path.exists(place(name))}  # a name may be too long to ask for
    split: dict[str, str] = {}
    for name, _, part in rows:
        if part not in ("", *PARTS):
            raise DataError(f"{file}: {name} has the split {part!r}; want one of {', '.join(PARTS)}")
        if split.setdefault(name, part) != part:
            raise DataError(f"{file}: {name} has the splits {split[name]!r} and {part!r}; want one of them")
    if any(split.values()):
        split = {name: part for name, part in split.items() if part}
    else:
        known = sorted({name for name, caption, _ in rows if name in where and tokens(caption)})
        tenth, order = max(1, len(known) // 10), np.random.default_rng(0).permutation(len(known))
        held = {known[i]: "valid" if at < tenth else "test" for at, i in enumerate(order[: 2 * tenth])}
        split = {name: held.get(name, "train") for name in sorted(split)}
    return rows, where, split, told


def read_csv(path: Path, what="image") -> tuple[list[tuple[str, str, str]], list[str]]:
    """((image, caption, split or "") of each row, what is wrong): commas in quotes do not divide. what: the name of the
    first column."""
    table = csv.reader(io.StringIO(read_file(str(path), ""), newline=""))
    rows, bad = [], []
    try:
        header = [name.strip().lower() for name in next(table, [])]
        if not {what, "caption"} <= set(header):
            raise DataError(f"{path} begins with {','.join(header)[:60]!r}; want the header {what},caption")
        at = [header.index(name) if name in header else -1 for name in (what, "caption", "split")]
        line = table.line_num
        for row in table:
            image, caption, part = (
                (row[i].strip() if i >= 0 else "" for i in at) if len(row) == len(header) else [""] * 3
            )
            if image and "\n" not in caption:  # a quote that is not closed makes lines one
                rows.append((os.path.normpath(image), caption, part))
            elif row:
                bad += range(line + 1, table.line_num + 1)
            line = table.line_num
    except csv.Error as error:
        raise DataError(f"{path}, line {table.line_num}: {error}; want lines {what},caption") from error
    if not bad:
        return rows, []
    want = ",".join(header)
    return rows, [f"{path}: {counted(len(bad), 'line')} left out, not {want}; the first: line {bad[0]}"]


def counted(n: int, what: str) -> str:
    """1 picture, 2 pictures."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def divided(
    rows: Iterable[tuple[str, ...]],
    where: dict[str, Any],
    split: dict[str, str],
    told: list[str],
    bare=(),
    what="picture",
):
    """(the three parts, what to tell) of rows (picture, caption), in the order of `split`, the part of each picture.

    What lacks a caption, a part or a file (`where` they are) is left out and counted. bare: other pictures without a
    caption.
    """
    written: dict[str, list[str]] = {}
    empty = 0
    for name, caption in rows:
        if tokens(caption):
            written.setdefault(name, []).append(caption)
        else:
            empty += 1
    lacking = {
        "not there": [name for name in split if name not in where],
        "without a caption": [*(name for name in split if name in where and name not in written), *bare],
        "in no part": [name for name in written if name not in split],
    }
    told = told + [f"{counted(empty, 'caption')} left out, empty"] * bool(empty)
    for why, names in lacking.items():
        told += [f"{counted(len(names), what)} left out, {why}: {', '.join(sorted(names)[:2])}"] * bool(names)
    found = [name for name in split if name in where and name in written]
    return [[Picture(n, where[n], written[n]) for n in found if split[n] == part] for part in PARTS], told


def tfds(config):
    """A data set of TFDS like coco_captions: Karpathy's split of COCO 2014, 82,783 / 5,000 / 5,000 pictures (its other
    30,504, restval, are not read). Pictures are kept as JPEGs of config.data.pixels, or 256: as they
    are, COCO's would take some 80 GB.
    """

    def read(row, _):
        given = row["captions"]
        texts = given["text"] if isinstance(given, dict) else [each["text"] for each in given]
        source = pictures.jpeg(np.asarray(row["image"]), config.pixels or 256)
        return fetched.text(row["image/filename"]), source, [fetched.text(each) for each in texts]

    needs = "image, image/filename and captions"
    parts = fetched.tfds(config.name, ("train", "val", "test"), read, features=needs, download=config.download)
    rows = [(name, text) for part in parts for name, _, texts in part for text in texts]
    where = {name: source for part in parts for name, source, _ in part}
    split = {row[0]: name for name, part in zip(PARTS, parts, strict=True) for row in part}
    return divided(rows, where, split, [])


class Batches:
    """make(i) -> batch i, for `train.generate`: captions of like length (packing.Bucketed), with START first in
    `inputs` and END last in `target`; and the views of their pictures.

    views: dict name -> [n ...] of n pictures. also: such dicts of other looks at the same pictures (mirrored, ...);
    which one is seen is drawn each time.
    seen: right; none, all zeros; or shuffled, each caption with the picture of others.
    """

    def __init__(
        self, found: list[Picture], views, vocabulary: Words, batch: int, shapes: int, *, also=(), seed=0,
        seen="right",
    ):  # fmt: skip
        rows = [(i, vocabulary.encode(tokens(text))) for i, picture in enumerate(found) for text in picture.captions]
        columns = {"inputs": [[START, *text] for _, text in rows], "target": [[*text, END] for _, text in rows]}
        self.bucketed = packing.Bucketed(columns, batch, shapes, seed)
        self.count, self.waste = self.bucketed.count, self.bucketed.waste
        self.crc = zlib.crc32(repr([picture.captions for picture in found]).encode())
        self.looks = [{name: np.asarray(each) for name, each in look.items()} for look in (views, *also)]
        self.seed, self.blind = seed, seen == "none"
        self.picture = np.array([i for i, _ in rows])
        if seen == "shuffled":
            self.picture = deranged(len(found))[self.picture]

    def __call__(self, i: int):
        batch = self.bucketed(i)
        at = self.picture[batch.pop("items")]
        look = np.random.default_rng((self.seed, i)).integers(len(self.looks), size=len(at))
        drawn = list(zip(look, at, strict=True))
        views = {name: np.stack([self.looks[which][name][one] for which, one in drawn]) for name in self.looks[0]}
        return batch | ({name: np.zeros_like(each) for name, each in views.items()} if self.blind else views)


def deranged(n: int):
    """An order of n things in which each is another one, drawn alike in every run (Sattolo, 1986)."""
    order, rng = np.arange(n), np.random.default_rng(0)
    for i in range(n - 1, 0, -1):
        j = rng.integers(i)
        order[[i, j]] = order[[j, i]]
    return order
