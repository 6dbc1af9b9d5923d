"""Characters <-> integers, by one table look-up over Unicode code points: tens of millions of characters a second."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnn_jax.data.errors import DataError

UNSEEN = "\ufffd"  # '�', index 0 of every vocabulary: what a character outside it is read as


def codepoints(text) -> np.ndarray:
    """A str as uint32 [n], one number a character (lone surrogates too); an array of code points as it is."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4") if isinstance(text, str) else text


def characters(points: np.ndarray) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


@dataclass(frozen=True)
class Vocabulary:
    """The sorted distinct characters of a training text, after `UNSEEN` at index 0.

    decode(encode(text)) == text for every text without unseen characters. A text is a str or its code points [...].
    """

    symbols: str

    @classmethod
    def of(cls, text) -> "Vocabulary":
        seen = np.zeros(0x110000, bool)
        seen[codepoints(text)] = True
        seen[ord(UNSEEN)] = False
        return cls(UNSEEN + characters(np.flatnonzero(seen)))

    def __len__(self):
        return len(self.symbols)

    @cached_property
    def _index(self):  # int32 [0x110000]: code point -> index
        index = np.zeros(0x110000, np.int32)
        index[codepoints(self.symbols)] = np.arange(len(self))
        return index

    def encode(self, text) -> np.ndarray:
        """int32 [n], or the shape of the code points. Unseen characters become 0; `unseen` counts them."""
        return self._index[codepoints(text)]

    def decode(self, indices) -> str:
        """The characters of integers of any shape, row after row."""
        indices = np.asarray(indices, int).reshape(-1)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self):
            raise DataError(
                f"decode: {indices.min()} ... {indices.max()} do not fit a vocabulary of {len(self)} symbols: "
                f"give 0 ... {len(self) - 1}"
            )
        return characters(codepoints(self.symbols)[indices])

    def unseen(self, text) -> tuple[int, int]:
        """(how many characters of `text` are not in the vocabulary, how many different ones)."""
        points = codepoints(text)
        missing = points[(self._index[points] == 0) & (points != ord(UNSEEN))]
        return missing.size, np.unique(missing).size

    def to_json(self) -> str:
        return json.dumps({"kind": "characters", "symbols": list(self.symbols)})

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        try:
            saved = json.loads(text)
            vocabulary = cls("".join(saved["symbols"]))
            if saved["kind"] == "characters" and vocabulary == cls.of(vocabulary.symbols):
                return vocabulary
        except (ValueError, TypeError, KeyError):
            pass
        raise DataError(
            'not a saved vocabulary: it must be {"kind": "characters", "symbols": ["\\ufffd", ...]}, sorted'
        )

    def require(self, other: "Vocabulary", name="the checkpoint"):
        """Raise unless `other`, the vocabulary of `name`, is this one."""
        if other != self:
            here, there = set(self.symbols) - set(other.symbols), set(other.symbols) - set(self.symbols)
            some = ", ".join(map(repr, sorted(here | there)[:5]))
            raise DataError(
                f"{name} has a vocabulary of {len(other)} symbols, this data one of {len(self)} ({len(here)} only "
                f"here, {len(there)} only there: {some}): use the config.data that {name} was trained with"
            )
