"""Pairs of sentences, a source and its target: sources of them, their splits, their vocabularies.

config = pairs.defaults()          # config.data
found = pairs.load(config)         # found.train, .valid, .test: pairs of str; vocabularies; what to print
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data import fetched, stdlib
from rnn_jax.data.errors import DataError
from rnn_jax.data.text import read_file
from rnn_jax.data.words import END, SPECIAL, START, UNKNOWN, Subwords, Words

SOURCES = ("reversal", "multi30k", "text", "tfds")
UNITS = ("words", "subwords", "characters")
Sentences = list[tuple[str, str]]


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "reversal",  # reversal: words of Python's library, backwards; multi30k; text: files; tfds
            "languages": ("de", "en"),  # from, to
            "root": "",  # folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "path": "",  # of source=text: a prefix; the files are <path>/{train,valid,test}.<language>
            "name": "ted_hrlr_translate/pt_to_en",  # of source=tfds: a data set with a feature a language
            "download": False,  # may TFDS fetch what is absent?
            "form": "tok",  # of multi30k: tok (lower case, Moses tokens) or raw
            "units": "characters",  # words, subwords or characters
            "least": 2,  # of words: how often one must occur in the training part
            "size": 8000,  # of subwords: the vocabulary
            "reverse_source": False,  # read the source backwards (Sutskever et al., 2014)
            "longest": 0,  # tokens of a training sentence, on either side; longer pairs are left out; 0: no limit
            "row": 48,  # positions of a row that pairs are packed into, source and target each; longer ones drop out
            "batch": 32,  # rows
        }
    )


class Pairs(NamedTuple):
    train: Sentences
    valid: Sentences
    test: Sentences
    source: Words | Subwords
    target: Words | Subwords
    report: str


def load(config: Any) -> Pairs:
    """The pairs that config.data asks for, and the vocabularies of their training part. Raises DataError."""
    for key, known in {"source": SOURCES, "units": UNITS}.items():
        if config[key] not in known:
            raise DataError(f"config.data.{key}: no {config[key]!r}; there are {', '.join(known)}")
    for key, least in {"least": 1, "size": 1, "longest": 0}.items():
        if config[key] < least:
            raise DataError(f"config.data.{key}={config[key]}: want at least {least}")
    if len(config.languages) != 2:
        raise DataError(f"config.data.languages={config.languages}: want two, from and to")
    parts = list({"reversal": reversal, "multi30k": multi30k, "text": text, "tfds": tfds}[config.source](config))
    lines = []
    for i, name in enumerate(("train", "valid", "test")):
        before, parts[i] = len(parts[i]), [pair for pair in parts[i] if all(pair)]
        if not parts[i]:
            raise DataError(f"{config.source}: the {name} part holds no pair of sentences")
        if empty := before - len(parts[i]):
            lines.append(f"{name}: {empty:,} pairs with an empty side are left out")
    source, target = (vocabulary([pair[i] for pair in parts[0]], config) for i in (0, 1))
    for side, known in {"source": source, "target": target}.items():
        if len(known) == len(SPECIAL):
            raise DataError(f"config.data.least={config.least}: no {side} word of the training part occurs so often")
    full, fits = parts[0], lambda a, b: max(len(source.encode(a)), len(target.encode(b))) <= config.longest
    if config.longest:
        parts[0] = [pair for pair in full if fits(*pair)]
    if not parts[0]:
        raise DataError(f"config.data.longest={config.longest}: no training pair is that short")
    lines = [f"{config.source}: {' / '.join(f'{len(p):,}' for p in parts)} pairs to train, validate and test", *lines]
    lines.append(f"vocabularies of {len(source):,} and {len(target):,} {config.units}")
    if left_out := len(full) - len(parts[0]):
        lines.append(f"train: {left_out:,} pairs of more than {config.longest} {config.units} are left out")
    for name, part in zip(("valid", "test"), parts[1:], strict=True):
        tokens = [i for a, b in part for i in (*source.encode(a), *target.encode(b))]
        if unknown := tokens.count(UNKNOWN):
            lines.append(f"{name}: {unknown / len(tokens):.1%} of the tokens are not in the vocabularies")
    return Pairs(parts[0], parts[1], parts[2], source, target, "\n".join(lines))


def vocabulary(sentences, config):
    if config.units == "subwords":
        return Subwords.of(sentences, config.size)
    return Words.of(sentences, config.least, " ") if config.units == "words" else Words.of(sentences, 1, "")


def encoded(pairs: Sentences, source, target, reverse=False):
    """(sources, inputs, targets), lists of int sequences: source END; START target; target END."""
    flip = -1 if reverse else 1
    sources = [[*source.encode(a)[::flip], END] for a, _ in pairs]
    targets = [[*target.encode(b), END] for _, b in pairs]
    return sources, [[START, *t[:-1]] for t in targets], targets


def reversal(config):
    """Words of the standard library's source, and the same backwards: capricorn, nrocirpac."""
    del config
    names = sorted({w for _, t in stdlib.read(stdlib.home()) for w in re.findall(r"\b[a-z]{3,12}\b", t)})
    names = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    found, held = [(word, word[::-1]) for word in names], min(500, len(names) // 10)
    return found[2 * held :], found[:held], found[held : 2 * held]


def multi30k(config):
    """29,000 / 1,014 / 1,000 captions (Elliott et al., 2016); the test part is that of 2016."""
    if config.form not in ("tok", "raw"):
        raise DataError(f"config.data.form: no {config.form!r}; there are tok, raw")
    end = ".lc.norm.tok." if config.form == "tok" else "."
    parts = [f"{config.form}/{part}{end}" for part in ("train", "val", "test_2016_flickr")]
    zipped = "" if config.form == "tok" else ".gz"
    names = [f"{part}{language}{zipped}" for part in parts for language in config.languages]
    files = map(str, fetched.files(config.root, "multi30k", names, "data/task1 of the repository multi30k/dataset"))
    return [aligned(*pair, key="") for pair in zip(files, files, strict=True)]


def text(config):
    return [
        aligned(*(str(Path(config.path) / f"{part}.{language}") for language in config.languages))
        for part in ("train", "valid", "test")
    ]


def tfds(config):
    """A translation data set of TFDS, prepared as array_record."""
    read = lambda row, _: tuple(fetched.text(row[language]) for language in config.languages)
    features = " and ".join(config.languages)
    splits = ("train", "validation", "test")
    return fetched.tfds(config.name, splits, read, features=features, download=config.download)


def aligned(*paths: str, key="config.data.path") -> Sentences:
    """Line i of the first file with line i of the second."""
    one, two = (read_file(path, key).removesuffix("\n").split("\n") for path in paths)
    if len(one) != len(two):
        raise DataError(f"{paths[0]} has {len(one):,} lines and {paths[1]} {len(two):,}: they must be aligned")
    return [(a.strip(), b.strip()) for a, b in zip(one, two, strict=True)]
