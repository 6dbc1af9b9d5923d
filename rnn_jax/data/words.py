"""Words or subwords <-> integers, for models that read and write sentences.

vocabulary = Words.of(sentences, least=2)          # every word that occurs at least twice
vocabulary = Subwords.of(sentences, size=8000)     # byte-pair encoding of raw text
vocabulary.encode("a man sleeping .")              # [4, 9, 312, 5]; `decode` is its inverse
"""

import collections
import json
from dataclasses import dataclass
from functools import cached_property

from rnn_jax.data.errors import DataError

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")  # the first indices of every vocabulary
PAD, UNKNOWN, START, END = range(4)


@dataclass(frozen=True)
class Words:
    """Words between white space, or with between="" characters; the most frequent first."""

    symbols: tuple[str, ...]
    between: str = " "

    @classmethod
    def of(cls, sentences, least=1, between=" ") -> "Words":
        split = cls((), between).cut
        counts = collections.Counter(word for line in sentences for word in split(line))
        kept = [word for word, n in counts.items() if n >= least and word not in SPECIAL]
        return cls((*SPECIAL, *sorted(kept, key=lambda word: (-counts[word], word))), between)

    def __len__(self):
        return len(self.symbols)

    @cached_property
    def _index(self):
        # a "</s>" of somebody's text ends nothing: SPECIAL are no words
        return {word: i for i, word in enumerate(self.symbols) if i >= len(SPECIAL)}

    def cut(self, sentence: str) -> list[str]:
        """The words, unseen ones too."""
        return sentence.split() if self.between else list(sentence)

    def encode(self, sentence: str) -> list[int]:
        """Unseen words become UNKNOWN, and so do those that are written like SPECIAL."""
        return [self._index.get(word, UNKNOWN) for word in self.cut(sentence)]

    def decode(self, indices) -> str:
        """Up to the first END; PAD and START are left out."""
        return self.between.join(self.symbols[i] for i in until_end(indices))

    def pieces(self, indices) -> list[str]:
        """Each as it is written in a picture."""
        return [self.symbols[i] for i in indices]

    def to_json(self) -> str:
        return json.dumps({"kind": "words", "between": self.between, "symbols": self.symbols[len(SPECIAL) :]})


@dataclass(frozen=True)
class Subwords:
    """Byte-pair encoding (Sennrich et al., 2016, arXiv:1508.07909), by the library `tokenizers`; of raw text, so that
    `decode` gives back its spaces and capitals."""

    saved: str  # the library's own JSON

    @classmethod
    def of(cls, sentences, size=8000) -> "Subwords":
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        made = Tokenizer(models.BPE(unk_token=SPECIAL[UNKNOWN]))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(SPECIAL), show_progress=False)
        made.train_from_iterator(sentences, trainer)
        return cls(made.to_str())

    @cached_property
    def _tokenizer(self):
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(self.saved)
        made.encode_special_tokens = True  # a "</s>" of somebody's text ends nothing: it is cut like other words
        return made

    def __len__(self):
        return self._tokenizer.get_vocab_size()

    def cut(self, sentence: str) -> list[str]:
        return self._tokenizer.encode(sentence).tokens

    def encode(self, sentence: str) -> list[int]:
        """No letter, and no pair of pieces, becomes one of SPECIAL but UNKNOWN."""
        return [i if i >= len(SPECIAL) else UNKNOWN for i in self._tokenizer.encode(sentence).ids]

    def decode(self, indices) -> str:
        return self._tokenizer.decode(until_end(indices), skip_special_tokens=False)

    def pieces(self, indices) -> list[str]:
        return [str(self._tokenizer.id_to_token(int(i))) for i in indices]

    def to_json(self) -> str:
        return json.dumps({"kind": "subwords", "saved": self.saved})


def from_json(text: str) -> Words | Subwords:
    """The vocabulary that `to_json` wrote."""
    try:
        saved = json.loads(text)
        if saved["kind"] == "subwords":
            return Subwords(saved["saved"])
        if saved["kind"] == "words":
            return Words((*SPECIAL, *saved["symbols"]), saved["between"])
    except (ValueError, TypeError, KeyError):
        pass
    raise DataError('not a saved vocabulary: it must be {"kind": "words" or "subwords", ...}')


def until_end(indices) -> list[int]:
    """The tokens of a sentence: up to END, without PAD and START."""
    found = []
    for i in map(int, indices):
        if i == END:
            break
        if i not in (PAD, START):
            found.append(i)
    return found
