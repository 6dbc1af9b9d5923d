"""CTC against the sum over all paths, written out: loss, best path, prefix beam search."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import ctc

pytestmark = pytest.mark.usefixtures("quick_module")
T, B, V = 7, 31, 3  # one shape for nearly all: few programs to compile; paths are enumerated up to LONG steps
LONG = 4
search = jax.jit(ctc.prefix_beam_search, static_argnums=2)
best_path, loss, collapse = jax.jit(ctc.best_path), jax.jit(ctc.loss), jax.jit(ctc.collapse)


def collapsed(path):
    """B(path), as the docstring has it: repetitions out, then blanks."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != ctc.BLANK)


def every_labelling(logits):
    """{labelling: p} of one row [t v]."""
    y, found = np.asarray(jax.nn.softmax(logits), np.float64), {}
    for path in itertools.product(range(V), repeat=len(logits)):
        here = collapsed(path)
        found[here] = found.get(here, 0) + np.prod([y[i, symbol] for i, symbol in enumerate(path)])
    return found


def rows(longest, scale=2.0, seed=0):
    """Logits [T B V], and lengths from 0 to the longest."""
    lengths = np.arange(B) % (longest + 1)
    return np.random.default_rng(seed).normal(0, scale, (T, B, V)).astype(np.float32), lengths[::-1].copy()


def written(found, i):
    """The labelling of row i, and nothing but blanks after it."""
    labels, count = np.asarray(found.labels)[:, i], int(found.counts[i])
    assert not labels[count:].any() and labels[:count].all()
    return tuple(map(int, labels[:count]))


def laid(labellings):
    out = np.zeros((T, B), np.int32)
    for i, one in enumerate(labellings):
        out[: len(one), i] = one
    return out, np.array([len(one) for one in labellings])


def test_loss_is_the_sum_over_all_paths():
    """For each labelling of one row, all in one batch; the probabilities of all add up to 1."""
    logits, _ = rows(LONG)
    every = every_labelling(logits[:LONG, 0])
    assert len(every) <= B
    many = [*every, *[()] * (B - len(every))]
    got = loss(np.broadcast_to(logits[:, :1], logits.shape), np.full(B, LONG), *laid(many))
    np.testing.assert_allclose(np.exp(-got), [every[l] for l in many], rtol=1e-5)
    assert np.exp(-got)[: len(every)].sum() == pytest.approx(1, rel=1e-5)


def test_what_lies_past_a_row_s_length_or_count_changes_nothing():
    """Nor has it a gradient; and no path at all is a large loss with a finite one."""
    logits, lengths = rows(LONG)
    labels, counts = laid([(1,), (2, 2), (1, 2), (), (1,), (2, 1, 2)] * 5 + [()])
    value = loss(logits, lengths, labels, counts)
    slope = np.asarray(jax.jit(jax.grad(lambda *a: jnp.sum(ctc.loss(*a))))(logits, lengths, labels, counts))
    past = np.arange(T)[:, None] >= lengths
    filled = np.where(np.arange(T)[:, None] >= counts, 1, labels)
    other = loss(logits + 9 * past[..., None], lengths, filled, counts)
    np.testing.assert_allclose(value, other, rtol=1e-6)
    assert not slope[past].any() and np.isfinite(slope).all()
    for i in range(B):
        p = every_labelling(logits[: lengths[i], i]).get(tuple(map(int, labels[: counts[i], i])), 0)
        assert value[i] == pytest.approx(-np.log(p), rel=1e-5, abs=1e-5) if p else value[i] >= 1e5 - 100


def test_collapse():
    paths = [(1, 1, 0, 1, 2, 0), (0, 0, 0, 0, 0, 0), (2, 2, 2, 2, 2, 2), (1, 2, 1, 2, 2, 1)]
    for length in (6, 3, 0):
        found = ctc.Labelling(*collapse(np.array(paths).T, np.full(4, length)), None)
        assert [written(found, i) for i in range(4)] == [collapsed(path[:length]) for path in paths]


def test_a_beam_of_all_prefixes_finds_the_likeliest_labelling():
    for seed in range(3):
        logits, lengths = rows(LONG, seed=seed)
        found = search(logits, lengths, 40)
        for i in range(B):
            every = every_labelling(logits[: lengths[i], i])
            best = max(every, key=lambda l: every[l])
            assert written(found, i) == best
            assert found.logprobs[i] == pytest.approx(np.log(every[best]), abs=1e-5)


def test_the_beam_s_own_sums_are_exact():
    """Before the ranking: the kept prefixes in the order of b + n are the labellings in the order of p."""
    logits, _ = rows(LONG)
    every = every_labelling(logits[:3, 0])
    labels, counts = ctc._prefixes(jax.nn.log_softmax(logits[:, 0]), 3, len(every))
    found = [tuple(map(int, l[:c])) for l, c in zip(labels, counts, strict=True)]
    assert found == sorted(every, key=lambda l: -every[l])


@pytest.mark.parametrize("beams", [1, 40])
def test_never_less_likely_than_the_best_path(beams):
    """And the log-probability that is returned is that of the labelling that is returned."""
    logits, lengths = rows(T, scale=0.5, seed=1)
    alone, beam = best_path(logits, lengths), search(logits, lengths, beams)
    assert (beam.logprobs >= alone.logprobs).all()
    for found in (alone, beam):
        np.testing.assert_allclose(found.logprobs, -loss(logits, lengths, found.labels, found.counts), rtol=1e-5)
    likeliest = [np.argmax(logits[: lengths[i], i], -1).tolist() for i in range(B)]
    assert [written(alone, i) for i in range(B)] == [collapsed(path) for path in likeliest]
    if beams > 1:
        assert (beam.logprobs > alone.logprobs + 1e-3).mean() > 0.3


def test_the_labelling_whose_every_path_is_unlikely():
    """Graves (2012), section 7.5.1: all blanks is the best path with 0.7 * 0.6 = 0.42; the label has 0.58 on three."""
    logits, lengths = np.full((T, B, V), -30, np.float32), np.full(B, 2)
    logits[:2, :, :2] = np.log([[0.7, 0.3], [0.6, 0.4]])[:, None]
    assert written(best_path(logits, lengths), 0) == ()
    found = search(logits, lengths, 40)
    assert written(found, 0) == (1,) and found.logprobs[0] == pytest.approx(np.log(0.58), abs=1e-6)


def test_rows_of_blanks_and_rows_without_a_step_are_empty():
    logits = np.zeros((T, B, V), np.float32)
    logits[..., ctc.BLANK] = 20
    for lengths in (np.full(B, T), np.zeros(B, int)):
        for found in (best_path(logits, lengths), search(logits, lengths, 40)):
            assert not found.labels.any() and not found.counts.any()
            np.testing.assert_allclose(found.logprobs, 0, atol=1e-5)


def test_a_row_is_decoded_as_it_would_be_alone():
    """Whatever its neighbours are, and whatever is past its end."""
    logits, lengths = rows(T, scale=1.0, seed=3)
    together = search(logits, lengths, 40)
    other = rows(T, seed=4)[0]
    past = np.arange(T)[:, None] >= lengths
    for keep in (np.arange(B) % 2 == 0, np.arange(B) % 2 == 1):
        mixed = np.where((keep & ~past)[..., None], logits, other)
        alone = search(mixed, lengths, 40)
        for i in np.flatnonzero(keep):
            assert written(alone, i) == written(together, i) and alone.logprobs[i] == together.logprobs[i]


def test_no_beam_is_refused():
    with pytest.raises(ValueError, match="0 beams; want at least 1"):
        ctc.prefix_beam_search(*rows(2), 0)
