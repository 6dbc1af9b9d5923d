"""Metrics of tags: hand-checked by conlleval's rules, and against seqeval where it is installed."""

import numpy as np
import pytest

from rnn_jax import metrics


@pytest.mark.parametrize(
    ("tags", "chunks"),
    [
        ("", set()),
        ("O O", set()),
        ("B-NP I-NP O B-VP", {("NP", 0, 2), ("VP", 3, 4)}),
        ("B-NP B-NP", {("NP", 0, 1), ("NP", 1, 2)}),  # B- begins another of the same kind
        ("I-NP I-NP", {("NP", 0, 2)}),  # I- without B- begins one: at the start,
        ("O I-NP O", {("NP", 1, 2)}),  # after O,
        ("B-NP I-VP I-VP", {("NP", 0, 1), ("VP", 1, 3)}),  # and after another kind
        ("B-NP I-VP I-NP", {("NP", 0, 1), ("VP", 1, 2), ("NP", 2, 3)}),
        ("B-A-B I-A-B I-A", {("A-B", 0, 2), ("A", 2, 3)}),  # a kind may hold a hyphen
    ],
)
def test_chunks(tags, chunks):
    assert metrics.chunks(tags.split()) == chunks


def test_f1_counts_whole_chunks_over_the_corpus():
    gold = [["B-NP", "I-NP", "O", "B-VP"], ["B-PP", "B-NP"]]
    found = [["B-NP", "I-NP", "O", "B-NP"], ["B-PP", "O"]]  # 2 of 3 right, of 4 that are there
    f1, precision, recall = metrics.chunk_f1(found, gold)
    assert (precision, recall) == (pytest.approx(200 / 3), 50) and f1 == pytest.approx(2 * 2 / 7 * 100)
    assert metrics.chunk_f1(gold, gold) == (100, 100, 100)
    assert metrics.chunk_f1([["O"]], [["O"]]) == (0, 0, 0)
    assert metrics.chunk_f1([["I-NP", "I-NP"]], [["B-NP", "I-NP"]])[0] == 100
    assert metrics.chunk_f1([["B-NP", "B-NP"]], [["B-NP", "I-NP"]])[0] == 0
    with pytest.raises(ValueError):
        metrics.chunk_f1(found, gold[:1])


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_seqeval_s(seed):
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval is not installed")
    rng = np.random.default_rng(seed)
    kinds = np.array(["O", *(f"{mark}-{kind}" for mark in "BI" for kind in ("NP", "VP", "A-B"))])
    gold, found = ([rng.choice(kinds, n).tolist() for n in (1, 5, 40, 200)] for _ in range(2))
    for one, two in ((found, gold), (gold, gold)):
        want = [100 * f(two, one) for f in (seqeval.f1_score, seqeval.precision_score, seqeval.recall_score)]
        assert metrics.chunk_f1(one, two) == pytest.approx(want)
