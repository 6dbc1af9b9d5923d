"""Sentences with a tag for each word: sources of them and their splits.

found = tagged.load(config.data, "chunks")     # found.train, .valid, .test: sentences of Word(text, given, tag)
"""

from pathlib import Path
from typing import Any, NamedTuple

from rnn_jax.data import fetched, generated, sentences
from rnn_jax.data.errors import DataError
from rnn_jax.data.text import read_file

SOURCES = ("generated", "conll2000", "columns", "tfds")
TASKS = ("chunks", "pos")
HELD_OUT = 1000  # of conll2000: the last sentences of its training part are for validation


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "generated",  # generated: a small grammar; conll2000; columns: files of one's own; tfds
            "root": "",  # folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "path": "",  # of source=columns: a folder with {train,valid,test}.txt in CoNLL-2000's format
            "name": "universal_dependencies/en_ewt",  # of source=tfds: features tokens and upos
            "download": False,  # may TFDS fetch what is absent?
            "size": 2000,  # of source=generated: sentences to train on; a tenth as many to validate, and to test
            "pos": False,  # of task=chunks: are the words' parts of speech given?
            "row": 80,  # positions of a row that sentences are packed into; longer ones drop out of training
            "batch": 8,  # rows
        }
    )


class Word(NamedTuple):
    text: str
    given: str  # what is known beside the word, its part of speech; "" where nothing is
    tag: str


class Tagged(NamedTuple):
    train: list[list[Word]]
    valid: list[list[Word]]
    test: list[list[Word]]
    report: str


def load(config: Any, task: str) -> Tagged:
    """The sentences that config.data asks for, with the tags of the task. Raises DataError."""
    if config.source not in SOURCES:
        raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    if config.pos and task == "pos":
        raise DataError("config.data.pos=True gives the tags that config.task=pos is to find: set it False")
    read = {"generated": grammar, "conll2000": conll2000, "columns": columns, "tfds": tfds}[config.source]
    parts = []
    for name, part in zip(("train", "valid", "test"), read(config), strict=True):
        if not part:
            raise DataError(f"{config.source}: the {name} part holds no sentence")
        parts.append([[_word(row, config.pos, task, config.source) for row in sentence] for sentence in part])
    tokens = (f"{sum(map(len, part)):,}" for part in parts)
    sizes = " / ".join(f"{len(part):,}" for part in parts)
    report = [f"{config.source}: {sizes} sentences to train, validate and test, {' / '.join(tokens)} words"]
    train, valid, test = parts
    known = {word.tag for sentence in train for word in sentence}
    for name, part in (("valid", valid), ("test", test)):
        tags = [word.tag for sentence in part for word in sentence]
        report += sentences.lacking(f"{config.source}: {name}", tags, known, "tags", "words")
    return Tagged(train, valid, test, "\n".join(report))


def _word(row, pos, task, source):
    """Of a row word, part of speech, chunk; or word, tag."""
    if len(row) < 3 and (pos or (task == "chunks" and source == "tfds")):
        raise DataError(
            f"{source} has no chunks: set config.task=pos" if source == "tfds" else
            f"config.data.pos=True: {source} gives no part of speech beside {row[0]!r}; set it False"
        )  # fmt: skip
    return Word(row[0], row[1] if pos else "", row[1] if task == "pos" else row[-1])


def grammar(config):
    """rnn_jax.data.generated.tagged: number is told words later, tense words earlier."""
    n, held = config.size, max(1, config.size // 10)
    found = generated.tagged(n + 2 * held)
    return found[:n], found[n : n + held], found[n + held :]


def conll2000(config):
    """Chunks of the Wall Street Journal (Tjong Kim Sang & Buchholz, 2000): 7,936 / 1,000 / 2,012 sentences."""
    names, source = ("train.txt.gz", "test.txt.gz"), "the files of the CoNLL-2000 shared task"
    train, test = (parse(str(file), "") for file in fetched.files(config.root, "conll2000", names, source))
    return train[:-HELD_OUT], train[-HELD_OUT:], test


def columns(config):
    return [parse(str(Path(config.path) / f"{part}.txt")) for part in ("train", "valid", "test")]


def parse(path: str, key="config.data.path"):
    """Sentences of rows: a word a line, with its tags after white space; an empty line between sentences."""
    sentences, widths = [[]], set()
    for number, line in enumerate(read_file(path, key).split("\n"), 1):
        if row := line.split():
            sentences[-1].append(row)
            widths.add(len(row))
            if len(row) not in (2, 3) or len(widths) > 1:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns; want in every line a word and its tag, or a word, its "
                    "part of speech and its chunk"
                )
        elif sentences[-1]:
            sentences.append([])
    return [sentence for sentence in sentences if sentence]


def tfds(config):
    """A treebank of Universal Dependencies in TFDS: its words and universal tags."""

    def read(row, features):
        # a word such as "10 000" is one word here, and the vocabulary's words hold no space
        texts = ["_".join(fetched.text(word).split()) or "_" for word in row["tokens"]]
        return list(zip(texts, map(features["upos"].feature.int2str, map(int, row["upos"])), strict=True))

    splits, needs = ("train", "dev", "test"), "tokens and upos"
    return fetched.tfds(config.name, splits, read, features=needs, download=config.download)
