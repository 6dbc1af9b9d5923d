"""What written text is worth, over a whole corpus: BLEU and chrF by sacrebleu; ROUGE-L and CIDEr-D of captions, F1 of
chunks, the label error rate.

METEOR and SPICE are absent: their packages need Java, and WordNet or a parser from the network.
"""

from collections import Counter
from typing import Any

import numpy as np


def bleu(texts, references, tokenize="13a") -> tuple[float, str]:
    """(BLEU of the corpus in percent, sacrebleu's signature), 4-grams (Papineni et al., 2002; Post, 2018).

    references: of each text one, or several. tokenize: 13a for raw text, none where words are already split.
    """
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(tokenize=tokenize, force=tokenize == "none")
    return metric.corpus_score(texts, streams(references)).score, str(metric.get_signature())


def bleu_orders(texts, references) -> list[float]:
    """BLEU-1 ... BLEU-4 of the corpus in percent, as captions are scored: words between spaces, several references of
    each text, not smoothed; the closest reference's length counts."""
    from sacrebleu.metrics.bleu import BLEU

    made = [BLEU(tokenize="none", force=True, smooth_method="none", max_ngram_order=n) for n in (1, 2, 3, 4)]
    return [metric.corpus_score(texts, streams(references)).score for metric in made]


def rouge_l(texts, references, beta=1.2) -> float:
    """ROUGE-L in percent, as captions are scored (Lin, 2004; the COCO evaluation server), the mean over the texts of

        F = (1 + beta^2) P R / (R + beta^2 P)    P = max_r lcs(text, r) / |text|    R = max_r lcs(text, r) / |r|

    lcs: the length of the longest common subsequence of words. 0 of an empty text.
    """
    scores = []
    for text, several in zip(texts, references, strict=True):
        words = text.split()
        each = [r.split() for r in ([several] if isinstance(several, str) else several)]
        pairs = [(common(words, r), len(r)) for r in each]
        precision = max(n for n, _ in pairs) / max(len(words), 1)
        recall = max(n / max(length, 1) for n, length in pairs)
        scores.append((1 + beta**2) * precision * recall / max(recall + beta**2 * precision, 1e-12))
    return 100 * float(np.mean(scores))


def common(one, two) -> int:
    """The length of the longest common subsequence; a row of the table at once, c_ij = max(c_{i-1,j}, c_{i,j-1},
    c_{i-1,j-1} + [one_i = two_j])."""
    two = np.asarray(two, object)
    c = np.zeros(len(two) + 1, int)
    for word in one:
        c[1:] = np.maximum(c[1:], c[:-1] + (two == word))
        c = np.maximum.accumulate(c)
    return int(c[-1])


def cider_d(texts, references, orders=4, sigma=6.0) -> float:
    """CIDEr-D (Vedantam et al., 2015, arXiv:1411.5726, equation 7), from 0 to 10: the mean over texts, their references
    r and n = 1 ... 4 of

        10 exp(-(l - l_r)^2 / (2 sigma^2)) sum_w min(g_w, g_rw) g_rw / (|g| |g_r|)    g_w = count of w * log(N / df_w)

    over n-grams w; df_w: of how many of the N texts some reference holds w; l: the length.
    """
    several = [[r] if isinstance(r, str) else list(r) for r in references]
    grams = [[ngrams(r.split(), orders) for r in each] for each in several]
    frequency = Counter(w for each in grams for w in set().union(*each))
    log_n = np.log(len(several))

    def weighed(counts):
        """The tf-idf of each n-gram, and the norms for each n."""
        vector = {w: c * (log_n - np.log(max(1, frequency[w]))) for w, c in counts.items()}
        squares = np.zeros(orders)
        for w, value in vector.items():
            squares[len(w) - 1] += value**2
        return vector, np.sqrt(squares)

    scores = []
    for text, each in zip(texts, grams, strict=True):
        counts = ngrams(text.split(), orders)
        g, norm = weighed(counts)
        length, found = sum(c for w, c in counts.items() if len(w) == 2), np.zeros(orders)
        for r in each:
            g_r, norm_r = weighed(r)
            inner = np.zeros(orders)
            for w, value in g.items():
                if w in g_r:
                    inner[len(w) - 1] += min(value, g_r[w]) * g_r[w]
            both = norm * norm_r
            # The length is that of the bigrams, as the authors' program has it.
            apart = length - sum(c for w, c in r.items() if len(w) == 2)
            found += inner / np.where(both > 0, both, 1) * np.exp(-(apart**2) / (2 * sigma**2))
        scores.append(10 * np.mean(found) / len(each))
    return float(np.mean(scores))


def ngrams(words, orders: int) -> Counter:
    return Counter(tuple(words[i : i + n]) for n in range(1, orders + 1) for i in range(len(words) - n + 1))


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
