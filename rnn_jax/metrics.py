"""What written text is worth: BLEU and chrF by sacrebleu, over a whole corpus."""

from typing import Any

import numpy as np


def bleu(texts, references, tokenize="13a") -> tuple[float, str]:
    """(BLEU of the corpus in percent, sacrebleu's signature), 4-grams (Papineni et al., 2002; Post, 2018).

    references: of each text one, or several. tokenize: 13a for raw text, none where words are already split.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenize, force=tokenize == "none")
    return metric.corpus_score(texts, streams(references)).score, str(metric.get_signature())


def chrf(texts, references) -> float:
    """chrF2 of the corpus in percent (Popovic, 2015)."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF().corpus_score(texts, streams(references)).score


def bleu_by_length(texts, references, lengths, bounds, tokenize="13a") -> list[float | None]:
    """BLEU of those texts whose length is in (bounds[i], bounds[i+1]]; None where there are fewer than 10."""
    which, found = np.digitize(lengths, bounds, right=True), []
    for i in range(1, len(bounds)):
        here = np.flatnonzero(which == i)
        one = [texts[j] for j in here], [references[j] for j in here]
        found.append(bleu(*one, tokenize)[0] if len(here) >= 10 else None)
    return found


def streams(references) -> list[Any]:
    """sacrebleu's order: the first reference of every text, the second of every text, ..."""
    several = [[r] if isinstance(r, str) else list(r) for r in references]
    most = max(map(len, several), default=1)
    return [[r[i] if i < len(r) else None for r in several] for i in range(most)]


def edit_distance(one, two) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence of ints the other (Levenshtein, 1966).

    d_ij = min(d_{i-1,j} + 1, d_{i,j-1} + 1, d_{i-1,j-1} + [one_i != two_j]), a row i at once: what comes from the left
    is a running minimum of d_ij - j.
    """
    two = np.asarray(two, int)
    j = np.arange(len(two) + 1)
    d = j
    for symbol in one:
        above = d + 1
        above[1:] = np.minimum(above[1:], d[:-1] + (two != symbol))
        d = np.minimum.accumulate(above - j) + j
    return int(d[-1])


def label_error_rate(found, wanted) -> float:
    """Edit distances of all pairs, summed, over the labels of `wanted`, summed (Graves et al., 2006, section 2.1): what
    many insertions lead to may pass 1.
    """
    total = sum(edit_distance(a, b) for a, b in zip(found, wanted, strict=True))
    return total / max(1, sum(map(len, wanted)))


def chunks(tags) -> set[tuple[str, int, int]]:
    """{(kind, first, last + 1)} of a sentence's tags O, B-kind, I-kind, by the rules of conlleval (CoNLL-2000) and of
    seqeval's default mode: I- after O, or after another kind, begins a chunk as B- does.

    seqeval itself is not used: unmaintained since 2020, and it brings scikit-learn for these lines.
    """
    found, kind, first = set(), None, 0
    for i, tag in enumerate((*tags, "O")):
        mark, _, here = tag.partition("-")
        here = None if mark == "O" else here
        if mark != "I" or here != kind:
            if kind is not None:
                found.add((kind, first, i))
            kind, first = here, i
    return found


def chunk_f1(found, gold) -> tuple[float, float, float]:
    """(F1, precision, recall) in percent of whole chunks over a corpus; of each sentence its tags. 0 where none is."""
    pairs = [(chunks(a), chunks(b)) for a, b in zip(found, gold, strict=True)]
    right, said, there = (sum(map(len, each)) for each in zip(*((a & b, a, b) for a, b in pairs), strict=True))
    return 200 * right / max(said + there, 1), 100 * right / max(said, 1), 100 * right / max(there, 1)
