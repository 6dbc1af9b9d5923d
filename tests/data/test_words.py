"""Vocabularies of words and subwords."""

import numpy as np
import pytest

from rnn_jax.data import DataError, words
from rnn_jax.data.words import END, PAD, START, UNKNOWN, Subwords, Words

LINES = ["a man sleeps .", "a woman sleeps .", "the man reads a book ."]


def test_words_that_are_frequent_enough():
    vocabulary = Words.of(LINES, least=2)
    assert vocabulary.symbols == (*words.SPECIAL, ".", "a", "man", "sleeps")
    assert vocabulary.encode("a book .") == [5, UNKNOWN, 4]
    assert vocabulary.decode([START, 5, 6, END, 7, PAD]) == "a man"


@pytest.mark.parametrize("vocabulary", [Words.of(LINES), Words.of(LINES, between=""), Subwords.of(LINES, 60)], ids=repr)
def test_decode_is_the_inverse_and_json_keeps_it(vocabulary):
    again = words.from_json(vocabulary.to_json())
    for line in LINES:
        found = vocabulary.encode(line)
        assert vocabulary.decode([*found, END, 9]) == line and again.encode(line) == found
        assert min(found) > UNKNOWN and max(found) < len(vocabulary) == len(again)
        assert len(again.pieces(found)) == len(found)


def test_special_symbols_in_a_text_are_words_like_others():
    """A "</s>" of somebody's text ends nothing."""
    text = "a </s> man <s> <pad> <unk>"
    assert Words.of(LINES).encode(text) == [5, UNKNOWN, 6, *[UNKNOWN] * 3]
    assert Words.of([text]).encode("</s> man a") == [UNKNOWN, 5, 4]
    for lines in (LINES, [text] * 50):  # the second makes pieces of them
        vocabulary = words.from_json(Subwords.of(lines, 60).to_json())
        found = vocabulary.encode(text)
        assert all(i == UNKNOWN or i >= len(words.SPECIAL) for i in found) and len(vocabulary.cut(text)) == len(found)
    assert vocabulary.decode(found[:-1]).startswith("a </s> man")


def test_subwords_are_made_of_frequent_pairs():
    vocabulary = Subwords.of(["lower lowest newer newest"] * 50, 40)
    assert len(vocabulary.encode("lowest newer")) < len("lowest newer")
    assert vocabulary.decode(np.array(vocabulary.encode("Lowest"))).endswith("owest")  # an unseen letter is unknown


def test_what_is_no_vocabulary_is_refused():
    for text in ("{}", "no", '{"kind": "letters"}'):
        with pytest.raises(DataError, match="not a saved vocabulary"):
            words.from_json(text)


def test_the_pieces_of_a_sentence_are_as_many_as_its_numbers():
    text = "a man sleeping zzz"
    known = ["a man sleeping"]
    for vocabulary in (Words.of(known), Words.of(known, 1, ""), Subwords.of(known, 40)):
        assert len(vocabulary.cut(text)) == len(vocabulary.encode(text))
    assert Words.of(["a man"]).cut(text)[-1] == "zzz"  # an unseen word too
