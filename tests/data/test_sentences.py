"""Features of words; sentences in rows: nothing is lost, everything comes back in its place."""

import io

import numpy as np
import pytest

from rnn_jax.data import DataError, sentences
from rnn_jax.data.sentences import Features, Rows
from rnn_jax.data.words import UNKNOWN


def test_what_features_see():
    see = lambda kind, word: sentences.value(kind, word, "NNP")
    assert [see(k, "McDonald's") for k in ("word", "prefix2", "suffix3", "shape")] == [
        "mcdonald's", "mc", "d's", "XxXx'x"
    ]  # fmt: skip
    assert [see(k, "1990s") for k in ("word", "prefix2", "suffix1", "shape", "given")] == [
        "0000s", "00", "s", "dx", "NNP"
    ]  # fmt: skip
    assert see("suffix4", "ab") == "ab" and sentences.shape("U.S.") == "X.X."


def test_a_value_that_training_did_not_know_is_unknown_and_json_keeps_all():
    features = Features.of([["The", "cat"], ["the", "hat"]], ["word", "suffix2", "shape"], least=2)
    rows = features.encode(["the", "bat", "CAT"])
    assert rows.shape == (3, 3) and rows.dtype == np.int32
    # the, he, at and x occur twice; the words bat and cat, and the shape X, do not
    assert (rows == UNKNOWN).tolist() == [[False, False, False], [True, False, False], [True, False, True]]
    again = Features.from_json(features.to_json())
    np.testing.assert_array_equal(again.encode(["the", "bat", "CAT"]), rows)
    assert again.sizes({"word": 5, "suffix2": 6, "shape": 7}) == [(5, 5), (6, 6), (5, 7)]
    given = Features.of([[("a", "DT"), ("cat", "NN")]], ["word", "given"])
    assert given.encode([("cat", "DT"), ("a", "VB")])[:, 1].tolist() == [4, UNKNOWN]
    for text in ("[1]", "no", '{"word": "{}"}'):
        with pytest.raises(DataError, match="not saved"):
            Features.from_json(text)


def some(n=60, per_word=True, seed=0):
    """Sentences whose words are 100 i + position, and targets that say the same."""
    rng = np.random.default_rng(seed)
    found = [100 * i + np.arange(rng.integers(1, 14)) for i in range(n)]
    tokens = [np.stack([s, s + 1], 1).astype(np.int32) for s in found]
    return tokens, [s.tolist() for s in found] if per_word else [[100 * i] for i in range(n)]


@pytest.mark.parametrize("per_word", [True, False])
def test_every_sentence_is_trained_on_once_an_epoch_beside_its_targets(per_word):
    tokens, targets = some(per_word=per_word)
    rows = Rows(tokens, targets, row=24, rows=4, most=0 if per_word else 5)
    for epoch in range(2):
        seen, count = [], rows.training.count()
        for i in range(epoch * count, epoch * count + rows.training.count(epoch)):
            batch = rows(i)
            assert batch["tokens"].shape == (4, 24, 2) and batch["targets"].shape == (4, 24 if per_word else 5)
            for r, k in np.argwhere(batch["kept"]):
                word = k if per_word else np.flatnonzero(batch["segments"][r] == k + 1)[0]
                assert batch["tokens"][r, word, 0] == batch["targets"][r, k]
                seen.append(batch["targets"][r, k])
            if per_word:
                np.testing.assert_array_equal(batch["kept"], batch["segments"] > 0)
        assert sorted(seen) == sorted(np.concatenate(targets))
    assert 0 < rows.waste() < 0.3


@pytest.mark.parametrize("per_word", [True, False])
def test_what_is_read_comes_back_in_order_long_sentences_too(per_word):
    tokens, targets = some(per_word=per_word)
    rows = Rows(tokens, targets, row=8, rows=4, most=0 if per_word else 5)
    assert rows.training.too_long > 0  # for training alone
    found = rows.read(lambda batch: np.stack([batch["targets"], -batch["targets"]], -1))
    np.testing.assert_array_equal(found, np.concatenate(targets)[:, None] * [1, -1])


def test_an_unknown_target_does_not_count():
    rows = Rows([np.ones((3, 1), np.int32)], [[4, -1, 5]], row=4, rows=1)
    batch = rows(0)
    assert batch["kept"].tolist() == [[True, False, True, False]] and batch["targets"].min() == 0


def test_rows_know_the_longest_sentence_that_training_reads():
    tokens = [np.ones((n, 1), np.int32) for n in (3, 9, 7)]
    longest = lambda row: Rows(tokens, [[0] * len(t) for t in tokens], row=row, rows=1).longest
    assert [longest(row) for row in (2, 8, 20)] == [0, 7, 9]


def test_little_of_it_is_padding():
    lengths = np.clip(np.random.default_rng(0).gamma(4, 6, 2000).astype(int), 1, 78)
    rows = Rows([np.ones((n, 1), np.int32) for n in lengths], [[0] * n for n in lengths], row=80, rows=8)
    assert rows.waste() < 0.05


def test_lines_and_what_is_wrong_with_them():
    stream = io.BytesIO(b"a b\n\n\xff\nbad one\n c ")
    found, told = sentences.lines(stream, lambda words: "is bad" if "bad" in words else "")
    assert found == [["a", "b"], [], [], [], ["c"]]
    assert told == ["line 2 is empty: left empty", "line 3 is not UTF-8: left empty", "line 4 is bad: left empty"]


def test_what_training_did_not_read_is_told():
    features = Features.of([["the", "cat", "sat"]], ["word", "suffix2"])
    lines = [["The", "hat", "</s>"], [], ["hat"], ["a", "hat", "of", "the", "cat"]]
    assert sentences.unlike(lines, features, 3) == [
        "unknown words, 4 in all: hat (line 1), </s> (line 1), a (line 4), ...",
        "lines of more words than the 3 that training read at most, 1 in all: line 4 (5)",
    ]
    assert sentences.unlike([["the", "cat"]], features, 3) == []
    given = Features.of([[("a", "DT"), ("cat", "NN")]], ["word", "given"])
    assert sentences.unlike([[("a", "NN"), ("cat", "VB")]], given, 9) == [
        "unknown parts of speech, 1 in all: VB (line 1)"
    ]


def test_labels_that_training_lacks():
    lacking = lambda labels: sentences.lacking("test", labels, {"1", "2"}, "labels", "sentences")
    assert lacking(["1", "2"]) == []
    assert lacking(["4", "1", "3", "3"]) == [
        "test: 3 of 4 sentences have labels that training lacks, so count as wrong: 3, 4"
    ]
    with pytest.raises(DataError, match=r"test: training has none of its labels \(3, 4\): give both the same labels"):
        lacking(["4", "3"])
