"""Metrics: of tags by conlleval's rules and seqeval where it is there; of captions by hand and by pycocoevalcap."""

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


def captions(n=60, seed=0):
    """Texts and references of a few words: some alike, some not, one of two words, one equal to its reference."""
    rng, words = np.random.default_rng(seed), list("abcdefghijk")
    draw = lambda least: " ".join(rng.choice(words, rng.integers(least, 13)))
    references = [[draw(3) for _ in range(rng.integers(1, 6))] for _ in range(n)]
    texts = [" ".join([*r[0].split()[: rng.integers(1, 9)], *rng.choice(words, 3)]) for r in references]
    return ["a b", references[1][0], *texts[2:]], references


def test_captions_are_scored_as_by_coco_s_evaluation():
    """pycocoevalcap, which the field reports; it adds 1e-15 to counts of BLEU."""
    cider, rouge, bleu = (pytest.importorskip(f"pycocoevalcap.{name}.{name}") for name in ("cider", "rouge", "bleu"))
    texts, references = captions()
    wanted, found = dict(enumerate(references)), {i: [text] for i, text in enumerate(texts)}
    score = lambda scorer, **more: scorer.compute_score(wanted, found, **more)[0]
    assert metrics.cider_d(texts, references) == pytest.approx(score(cider.Cider()), rel=1e-9)
    assert metrics.rouge_l(texts, references) == pytest.approx(100 * score(rouge.Rouge()), rel=1e-9)
    want = score(bleu.Bleu(4), verbose=0)
    np.testing.assert_allclose(metrics.bleu_orders(texts, references), 100 * np.array(want), rtol=1e-6)


def test_rouge_l_by_hand():
    assert metrics.common(["a", "b", "c", "d"], ["b", "x", "d"]) == 2
    p, r = 2 / 4, 2 / 3
    want = 100 * (1 + 1.44) * p * r / (r + 1.44 * p)
    assert metrics.rouge_l(["a b c d"], [["b x d", "y"]]) == pytest.approx(want)
    assert metrics.rouge_l(["", "a"], [["a b"], ["a"]]) == pytest.approx(50)


def test_cider_d_by_hand():
    """An equal text has 10 where every n-gram is its own; one that says what all say has 0."""
    references = [["a b c d e"], ["f g h i j"], ["k l m n o"]]
    assert metrics.cider_d(["a b c d e", "f g h i j", "k l m n o"], references) == pytest.approx(10)
    assert metrics.cider_d(["k l m n o", "a b c d e", "f g h i j"], references) == 0
    assert metrics.cider_d(["a a a", "a a a"], [["a a a"], ["a a a"]]) == 0
    clipped = metrics.cider_d(["a a a a", "x", "y"], [["a b c d"], ["x z"], ["y z"]])
    assert 0 < clipped < metrics.cider_d(["a b c d", "x", "y"], [["a b c d"], ["x z"], ["y z"]])


def test_bleu_of_each_order():
    found = metrics.bleu_orders(["a b c d", "e f g h"], [["a b c x"], ["e f y h", "f g"]])
    assert found[0] == pytest.approx(87.5) and found[0] > found[1] > found[2]
    assert metrics.bleu_orders(["a b c d e"], [["a b c d e"]]) == pytest.approx([100] * 4)
