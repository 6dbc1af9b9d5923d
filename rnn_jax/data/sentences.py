"""Sentences of any length as rows of one shape, each word as several small integers: what models of sentences read.

features = Features.of(sentences, ["word", "suffix3", "shape"], least=2)
rows = Rows([features.encode(s) for s in sentences], targets, row=64, rows=16)
rows(i)                                       # batch i of an endless run over epochs, packed
rows.read(predict)                            # what `predict` finds for every target, in the targets' order
"""

import itertools
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_jax.data import words
from rnn_jax.data.errors import DataError
from rnn_jax.data.packing import Packed
from rnn_jax.data.words import Words

KINDS = ("word", "prefix1", "prefix2", "prefix3", "suffix1", "suffix2", "suffix3", "suffix4", "shape", "given")


def value(kind: str, word: str, given="") -> str:
    """What a feature sees of a word: itself in lower case, every digit a 0; its first or last letters; its shape; or
    what the data gives beside it (a part of speech)."""
    if kind in ("shape", "given"):
        return shape(word) if kind == "shape" else given
    plain = re.sub(r"\d", "0", word.lower())
    n = len(plain) if kind == "word" else int(kind[-1])
    return plain[:n] if kind.startswith("prefix") else plain[-n:]


def shape(word: str) -> str:
    """Capitals, small letters, digits and marks, a run of a kind as one: McDonald is XxXx, 1990s is dx."""
    kinds = ("X" if c.isupper() else "x" if c.isalpha() else "d" if c.isdigit() else c for c in word)
    return "".join(kind for kind, _ in itertools.groupby(kinds))


@dataclass(frozen=True)
class Features:
    """A vocabulary for each kind of feature. A sentence is its words, or its (word, given) pairs."""

    vocabularies: dict[str, Words]

    @classmethod
    def of(cls, sentences, kinds, least=1) -> "Features":
        """least: how often a value must occur."""
        return cls({k: Words.of((_line(k, s) for s in sentences), least) for k in kinds})

    def encode(self, sentence) -> np.ndarray:
        """int32 [n k], a column for each kind; an unseen value is words.UNKNOWN."""
        return np.array([v.encode(_line(k, sentence)) for k, v in self.vocabularies.items()], np.int32).T

    def unknown(self, kind, sentence) -> list[int]:
        """Which of the words have a value of that kind that is UNKNOWN."""
        return [i for i, n in enumerate(self.vocabularies[kind].encode(_line(kind, sentence))) if n == words.UNKNOWN]

    def sizes(self, widths) -> list[tuple[int, int]]:
        """(vocabulary, width of its embedding) of each; widths: kind -> width."""
        return [(len(v), widths[k]) for k, v in self.vocabularies.items()]

    def to_json(self) -> str:
        return json.dumps({k: v.to_json() for k, v in self.vocabularies.items()})

    @classmethod
    def from_json(cls, text: str) -> "Features":
        try:
            return cls({k: words.from_json(v) for k, v in json.loads(text).items()})  # pyright: ignore
        except (ValueError, AttributeError) as error:
            raise DataError("not saved features: they must be {kind: saved vocabulary}") from error


def _line(kind, sentence):
    return " ".join(value(kind, item) if isinstance(item, str) else value(kind, *item) for item in sentence)


class Rows:
    """Sentences one after the other in rows, for training and for reading: two shapes at most.

    sentences: of each int32 [n k]. targets: of each an int sequence [n], a target for each word; or, with `most` (how
    many sentences a row may hold), [1], one for the sentence. Targets below 0 are unknown: they do not count.
    A batch: tokens int32 [b row k], segments [b row] (1, 2, ... and 0 for nothing), targets int32 and kept bool
    [b row] or [b most]: there the target of segment i stands at i - 1.
    """

    def __init__(self, sentences, targets, *, row: int, rows: int, most=0, seed=0):
        self.tokens, self.targets = np.concatenate(sentences), np.concatenate(targets).astype(np.int32)
        self.size = row, rows
        self.longest = max((len(s) for s in sentences if len(s) <= row), default=0)  # that training reads
        columns = [(_spans(sentences), 0), (_spans(targets), most)]
        pack = lambda row: Packed(
            {name: (at, size or row) for name, (at, size) in zip(("word", "target"), columns, strict=True)}, rows, seed
        )
        self.training, self.reading = pack(row), pack(max(row, *map(len, sentences)))  # reading leaves nothing out

    def __call__(self, i):
        return self.batch(self.training(i))

    def batch(self, laid):
        targets, there = self.targets[laid["target"]], laid["target_segments"] > 0
        kept = there & (targets >= 0)
        return {
            "tokens": self.tokens[laid["word"]], "segments": laid["word_segments"],
            "targets": np.where(kept, targets, 0), "kept": kept,
        }  # fmt: skip

    def read(self, predict):
        """predict(batch) -> array [b row ...] or [b most ...], gathered in the order of all targets: [n ...]."""
        out: Any = None
        for i in range(self.reading.count()):
            laid = self.reading(i)
            found, there = np.asarray(predict(self.batch(laid))), laid["target_segments"] > 0
            out = np.zeros((len(self.targets), *found.shape[2:]), found.dtype) if out is None else out
            out[laid["target"][there]] = found[there]
        return out

    def waste(self) -> float:
        """Share of the first epoch's positions that hold nothing."""
        laid = [self.training(i)["word_segments"] for i in range(self.training.count())]
        return 1 - float(np.mean([(a > 0).mean() for a in laid]))


def _spans(sequences):
    """Where each sequence lies in their concatenation."""
    ends = np.cumsum([len(s) for s in sequences])
    return [np.arange(end - len(s), end) for s, end in zip(sequences, ends, strict=True)]


def lines(stream, wrong=lambda words: ""):
    """(sentences, told): of each line of a binary stream its words, and what is wrong with those that are left empty.

    wrong: words -> what is the matter with them, or "".
    """
    found, told = [], []
    for number, raw in enumerate(stream, 1):
        try:
            here = raw.decode().split()
            what = wrong(here) if here else "is empty"
        except UnicodeDecodeError:
            here, what = [], "is not UTF-8"
        found.append([] if what else here)
        told += [f"line {number} {what}: left empty"] * bool(what)
    return found, told


def unlike(lines, features: Features, longest: int) -> list[str]:
    """What to tell of lines (lists as `Features` reads) that are not like what training read: unknown words and parts
    of speech, and more words than the longest sentence there."""
    told = []
    for kind, what in (("word", "words"), ("given", "parts of speech")):
        seen: dict[str, int] = {}  # the first line of each
        for number, line in enumerate(lines, 1) if kind in features.vocabularies else ():
            for i in features.unknown(kind, line):
                word, given = (line[i], "") if isinstance(line[i], str) else line[i]
                seen.setdefault(word if kind == "word" else given, number)
        told += some(f"unknown {what}", [f"{word} (line {number})" for word, number in seen.items()])
    long = [f"line {number} ({len(line)})" for number, line in enumerate(lines, 1) if len(line) > longest]
    return told + some(f"lines of more words than the {longest} that training read at most", long)


def some(what: str, items: list[str]) -> list[str]:
    """A line with the first of the items and their number; none without items."""
    return [f"{what}, {len(items):,} in all: {_first(items)}"] if items else []


def _first(items, n=3):
    return ", ".join(items[:n]) + ", ..." * (len(items) > n)


def lacking(part: str, answers, known, what: str, of: str) -> list[str]:
    """A line on the answers of a part that training lacks, if there are any; what, of: "labels", of "sentences". Raises
    DataError where training has none of the part's: nothing could be right, and the loss would be a mean of nothing."""
    found = [answer for answer in answers if answer not in known]
    shown = _first(sorted(set(found)))
    if found and len(found) == len(answers):
        raise DataError(f"{part}: training has none of its {what} ({shown}): give both the same {what}")
    line = (
        f"{part}: {len(found):,} of {len(answers):,} {of} have {what} that training lacks, so count as wrong: {shown}"
    )
    return [line] * bool(found)
