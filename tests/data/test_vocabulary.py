import random
import time

import numpy as np
import pytest

from rnn_jax.data import UNSEEN, DataError, Vocabulary


def random_text(seed):
    """Unicode of every plane, lone surrogates included, in strings of 0 to 300 characters."""
    rng = random.Random(seed)
    ranges = [(0, 0x80), (0, 0x800), (0xD7F0, 0xE010), (0xFFF0, 0x10010), (0, 0x110000)]
    low, high = rng.choice(ranges)
    return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randrange(300)))


@pytest.mark.parametrize("seed", range(50))
def test_round_trip(seed):
    text = random_text(seed)
    vocabulary = Vocabulary.of(text)
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int32 and tokens.shape == (len(text),)
    assert vocabulary.decode(tokens) == text
    assert vocabulary.unseen(text) == (0, 0)
    assert list(vocabulary.symbols[1:]) == sorted(set(text) - {UNSEEN})
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_unseen_characters_are_counted_and_mapped():
    vocabulary = Vocabulary.of("banana")
    assert vocabulary.symbols == UNSEEN + "abn" and len(vocabulary) == 4
    assert vocabulary.encode("nab!é!").tolist() == [3, 1, 2, 0, 0, 0]
    assert vocabulary.unseen("nab!é!") == (3, 2)
    assert vocabulary.decode(vocabulary.encode("nab!é!")) == "nab" + 3 * UNSEEN


def test_encoding_is_vectorised():
    text = "To be, or not to be: é☃😀\n" * 200_000  # 5 million characters; a Python loop takes seconds
    begin = time.perf_counter()
    Vocabulary.of(text).encode(text)
    assert time.perf_counter() - begin < 1.5


def test_decode_any_shape_and_its_range():
    vocabulary = Vocabulary.of("ab")
    assert vocabulary.decode([[1, 2], [2, 1]]) == "abba" and vocabulary.decode([]) == ""
    for indices in ([3], [-1]):
        with pytest.raises(DataError, match="vocabulary of 3 symbols"):
            vocabulary.decode(indices)


@pytest.mark.parametrize("saved", ["", "[]", "{}", '{"kind": "words", "symbols": ["a"]}', '{"kind": "characters"}'])
def test_bad_json(saved):
    with pytest.raises(DataError, match="not a saved vocabulary"):
        Vocabulary.from_json(saved)


def test_require_refuses_another_vocabulary():
    vocabulary = Vocabulary.of("abc")
    vocabulary.require(Vocabulary.of("cab"))
    with pytest.raises(
        DataError, match=r"the checkpoint has .* 3 symbols, .* 4 \(2 only here, 1 only there: 'a', 'c', 'd'\)"
    ):
        vocabulary.require(Vocabulary.of("bd"))
