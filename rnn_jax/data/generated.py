"""Sentences drawn from small grammars, in which no window of words tells the answer. Depend on n and the seed alone.

tagged(n)    (word, part of speech, chunk) of each word: number and tense are decided words before, or words after
labelled(n)  (label, words): opinions of which the last but one word may turn the meaning, and few count
"""

import itertools

import numpy as np

SYLLABLES = [a + b for a, b in itertools.product("bdfgklmnprstvz", "aeiou")]
SAME = ("sheep", "deer", "fish", "trout", "salmon", "bison", "moose", "swine", "squid", "grouse")  # one, or many
TENSELESS = ("put", "cut", "set", "hit", "shut", "let")  # they put: today, or yesterday?


def tagged(n: int, seed=0):
    """Sentences such as, with their chunks in brackets,

        [nowadays] [the old sheep] [near] [several fosions] [are] [watching] [a tadion] and [they] [put] [...] .

    The number of `sheep`, and so the kind of the chunk that `the` begins, is told by is, are, was or were some words
    later. The tense of `put` is told by the first word of the sentence, or by the verb before, some words earlier.
    Chunks (IOB2): NPsg, NPpl, VPpast, VPpres, PP, ADVP. Content words end as their part of speech does, and are drawn
    from a long tail, so that some of a test part are not in a training part.
    """
    rng = np.random.default_rng((seed, 0))
    words = np.random.default_rng(0)  # the same language whatever the seed
    stem = lambda: "".join(SYLLABLES[i] for i in words.integers(0, len(SYLLABLES), words.integers(1, 4)))
    stems = lambda end, count: [stem() + end for _ in range(count)]
    nouns, adjectives, verbs = stems("ion", 3000), stems("ous", 1000), stems("ing", 1000)
    coin, pick = lambda: bool(rng.integers(2)), lambda among: among[rng.integers(len(among))]
    tail = lambda among: among[int(rng.pareto(0.7) * 20) % len(among)]

    def phrase(kind, plural, article, noun):
        middle = [(tail(adjectives), "JJ") for _ in range(rng.integers(0, 3))]
        tags = [article, *middle, (noun, "NNS" if plural else "NN")]
        return [(w, pos, f"{'I' if i else 'B'}-{kind}{'pl' if plural else 'sg'}") for i, (w, pos) in enumerate(tags)]

    def plain(plural):
        return phrase("NP", plural, ("several" if plural else "a", "DT"), tail(nouns) + "s" * plural)

    def beside(most):
        return [
            each
            for _ in range(rng.integers(1, most + 1))
            for each in ((pick(("near", "behind", "under", "beside")), "IN", "B-PP"), *plain(coin()))
        ]

    def sentence():
        past, plural, same = coin(), coin(), coin()
        tense = "past" if past else "pres"
        subject = phrase("NP", plural, ("the", "DT"), pick(SAME)) if same else plain(plural)
        aux = (("was", "were") if past else ("is", "are"))[plural]
        out = [("yesterday" if past else "nowadays", "RB", "B-ADVP")]
        out += [*subject, *beside(2)]
        form = "VBD" if past else ("VBZ", "VBP")[plural]
        out += [(aux, form, f"B-VP{tense}"), (tail(verbs), "VBG", f"I-VP{tense}"), *plain(coin())]
        for _ in range(rng.integers(0, 3)):
            out += [("and", "CC", "O"), ("they", "PRP", "B-NPpl")]
            out += [(pick(TENSELESS), "VBD" if past else "VBP", f"B-VP{tense}"), *plain(coin()), *beside(1)]
        return [*out, (".", ".", "O")]

    return [sentence() for _ in range(n)]


def labelled(n: int, seed=0):
    """Opinions of one to four clauses, e.g. "the plot was not really dull but the acting was grand and the end ...".

    What counts is the clause after the last `but`, or the first where there is none: its adjective, turned around by
    not, never or hardly. All clauses are drawn alike, so that the words without their order say little.
    """
    rng = np.random.default_rng((seed, 1))
    good = ("grand", "witty", "moving", "fresh", "clever", "brilliant", "charming", "superb")
    bad = ("dull", "flat", "stale", "clumsy", "tedious", "shallow", "awful", "lifeless")
    things = ("plot", "acting", "end", "music", "cast", "script", "pace", "story")
    pick = lambda among: among[rng.integers(len(among))]

    def clause():
        positive, turned = bool(rng.integers(2)), bool(rng.integers(2))
        turn = [pick(["not", "never", "hardly"])] * turned
        middle = [pick(["really", "very", "quite", "so", "that"]) for _ in range(rng.integers(0, 3))]
        words = ["the", pick(things), pick(["was", "is", "seemed"]), *turn, *middle, pick(good if positive else bad)]
        return words, positive != turned

    def opinion():
        words, positive = clause()
        for _ in range(rng.integers(0, 4)):
            more, other = clause()
            link = pick(["but", "and"])
            words, positive = [*words, link, *more], other if link == "but" else positive
        return "positive" if positive else "negative", words

    return [opinion() for _ in range(n)]
