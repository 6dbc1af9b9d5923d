"""Passages that tell: a corpus, made up, about the things of rnn_jax/data/shapes.py; or any text, cut into passages."""

import re

import numpy as np

from rnn_jax.data import captions
from rnn_jax.data.errors import DataError
from rnn_jax.data.shapes import COLOURS, KINDS
from rnn_jax.data.text import read_file

BEGINNINGS = (
    "once upon a time",
    "long ago in a quiet kingdom",
    "they say that many winters back",
    "my grandmother told me that",
)
MIDDLES = {  # what is told of one thing beside another; where: as captions say it
    "{one} lived happily {where} {two}": "and every night it dreamed of the sea",
    "{one} stood {where} {two}": "and it waited for the king to come home",
    "there was {one} that loved to sing {where} {two}": "until the old moon fell asleep",
    "a poor child found {one} {where} {two}": "and kept it like a treasure",
}
ALONE = {
    "{one} lived all by itself": "and every night it dreamed of the sea",
    "there was {one} that nobody loved": "until the old moon kissed it",
    "a poor child found {one}": "and kept it like a treasure",
}


def make(n: int, seed=0) -> list[str]:
    """n passages, such as "once upon a time a red circle lived happily above a blue ring and every night it dreamed of
    the sea": one thing or two, each with its colour and kind. Depend on n and the seed alone."""
    rng = np.random.default_rng((seed, 3))
    pick = lambda among: list(among)[rng.integers(len(among))]

    def thing():
        colour, size = pick(COLOURS), pick(("small ", "large ", "", ""))
        return f"{'an' if colour[0] in 'aeiou' and not size else 'a'} {size}{colour} {pick(KINDS)}"

    def passage():
        middles = ALONE if rng.random() < 0.25 else MIDDLES
        middle = pick(middles)
        told = middle.format(one=thing(), two=thing(), where=pick(("left of", "right of", "above", "below")))
        return f"{pick(BEGINNINGS)} {told} {middles[middle]}"

    return [passage() for _ in range(n)]


def cut(path: str, longest: int, sentences=2) -> tuple[list[str], int]:
    """The passages of a text: so many sentences each, in the tokens of captions; and how many are left out, as they
    have fewer than four words or more than `longest`. Raises DataError."""
    text = read_file(path, "config.data.text")
    found = [captions.tokens(s) for s in re.split(r"(?<=[.!?;])\s+|\n\s*\n", text)]
    found = [s for s in found if s]
    passages = [" ".join(found[i : i + sentences]) for i in range(0, len(found), sentences)]
    kept = [p for p in passages if 4 <= len(p.split()) <= longest]
    if len(kept) < 100:
        raise DataError(f"{path} has {len(kept)} passages of 4 to {longest} words: want 100 or more")
    return kept, len(passages) - len(kept)
