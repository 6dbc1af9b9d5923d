"""Decoding: greedy against a loop by hand, sampling against the softmax, beams against every text there is."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import decoding

pytestmark = pytest.mark.usefixtures("quick_compilation")
V, KEY = 5, jax.random.key(0)


def step(params, carry, tokens):
    """Scores that depend on the token, on the one before it and on how often the step was called."""
    before, count = carry
    return (tokens, count + 1), params["now"][tokens] + params["before"][before] + jnp.sin(
        count[:, None] * jnp.arange(V)
    )


def start(b):
    """(params, carry, logits [b v])"""
    rng = np.random.default_rng(0)
    params = {k: jnp.asarray(rng.normal(size=(V, V)), jnp.float32) for k in ("now", "before")}
    return params, (jnp.zeros(b, jnp.int32), jnp.zeros(b)), jnp.asarray(rng.normal(size=(b, V)), jnp.float32)


def draw(args, length, key=KEY, temperature=1.0):
    run = lambda args, key: decoding.sample(step, *args, length, key, temperature=temperature).tokens
    return jax.jit(run)(args, key)


def test_greedy_is_a_loop_by_hand():
    params, carry, logits = start(3)
    tokens = draw((params, carry, logits), 12, temperature=0)
    now, before = (np.asarray(params[k]) for k in ("now", "before"))
    for row in range(3):
        scores, last, want = np.asarray(logits[row]), 0, []
        for i in range(12):
            want.append(int(scores.argmax()))
            scores = now[want[-1]] + before[last] + np.sin(i * np.arange(V))
            last = want[-1]
        assert tokens[:, row].tolist() == want
    np.testing.assert_array_equal(tokens, draw((params, carry, logits), 12, jax.random.key(1), 0))  # it uses no key
    assert len(np.unique(tokens)) > 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature):
    """Of the first tokens by the given scores, of the second by the step's: within 5 standard errors."""
    b = 20_000
    params, carry, logits = start(b)
    logits = jnp.broadcast_to(logits[0], (b, V))
    first, second = np.asarray(draw((params, carry, logits), 2, temperature=temperature))

    def agree(drawn, scores):
        p = np.exp(np.asarray(scores, np.float64) / temperature)
        p /= p.sum()
        error = np.sqrt(p * (1 - p) / len(drawn)) + 1 / len(drawn)
        assert (np.abs(np.bincount(drawn, minlength=V) / len(drawn) - p) < 5 * error).all()

    agree(first, logits[0])
    for token in np.flatnonzero(np.bincount(first, minlength=V) > 500):  # a draw of its own, whatever the first one was
        agree(second[first == token], params["now"][token] + params["before"][0])


def test_almost_zero_is_greedy():
    args = start(3)
    np.testing.assert_array_equal(draw(args, 6, temperature=1e-4), draw(args, 6, temperature=0))


def test_a_key_is_a_text():
    args = start(4)
    one, again, other = (draw(args, 30, jax.random.key(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(0).all()  # in every row


def test_a_negative_temperature_is_refused():
    with pytest.raises(ValueError, match=r"temperature is -0\.5; want 0 \(greedy\) or more"):
        decoding.sample(step, *start(1), 3, KEY, temperature=-0.5)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_jit_changes_nothing(temperature):
    args = start(3)
    got = draw(args, 8, temperature=temperature)
    assert got.shape == (8, 3) and jnp.issubdtype(got.dtype, jnp.integer)
    np.testing.assert_array_equal(got, decoding.sample(step, *args, 8, KEY, temperature=temperature).tokens)


def test_no_token_and_one_token():
    args = start(2)
    assert decoding.sample(step, *args, 0, KEY).tokens.shape == (0, 2)
    np.testing.assert_array_equal(draw(args, 1, temperature=0)[0], args[2].argmax(-1))


@pytest.mark.parametrize(("top_k", "top_p"), [(2, 1.0), (0, 0.5), (3, 0.6), (9, 0.999)])
def test_top_k_and_top_p_cut_the_tail(top_k, top_p):
    b = 5_000
    params, carry, logits = start(b)
    logits = jnp.broadcast_to(logits[0], (b, V))
    drawn = np.asarray(decoding.sample(step, params, carry, logits, 1, KEY, top_k=top_k, top_p=top_p).tokens[0])
    p = np.asarray(jax.nn.softmax(logits[0]), np.float64)
    order = np.argsort(-p)
    kept = order[: top_k or V]
    share = p[kept] / p[kept].sum()
    kept = kept[: int(np.searchsorted(np.cumsum(share), top_p) + 1)]
    assert set(drawn) == set(kept)
    want = p[kept] / p[kept].sum()
    found = np.array([np.mean(drawn == i) for i in kept])
    assert (np.abs(found - want) < 5 * np.sqrt(want * (1 - want) / b) + 1 / b).all()


def counting():
    """(the step, a list that gains an entry whenever it runs)."""
    calls = []

    def counted(params, carry, tokens):
        jax.debug.callback(lambda: calls.append(1))
        return step(params, carry, tokens)

    return counted, calls


def test_rows_end_one_by_one_and_the_loop_ends_with_the_last():
    """After its end a row holds `end`, its log p is that of what it wrote, and no step is made for nothing."""
    counted, calls = counting()
    args = start(6)
    out = decoding.sample(counted, *args, 50, jax.random.key(3), end=2)
    jax.effects_barrier()
    assert len(calls) == out.lengths.max() < 50 and len(set(out.lengths.tolist())) > 2
    params, _, logits = (jax.tree.map(np.asarray, a) for a in args)
    for row in range(6):
        text = out.tokens[: out.lengths[row], row]
        assert text[-1] == 2 and 2 not in text[:-1] and (out.tokens[out.lengths[row] :, row] == 2).all()
        np.testing.assert_allclose(out.logprobs[row], logp(params, logits[row], text), rtol=1e-5)


def logp(params, logits, text):
    """Of one text, by hand."""
    total, scores, last = 0.0, np.asarray(logits, np.float64), 0
    for i, token in enumerate(text):
        total += scores[token] - np.log(np.exp(scores).sum())
        scores, last = (
            params["now"][token].astype(np.float64) + params["before"][last] + np.sin(i * np.arange(V)),
            token,
        )
    return total


def everything(params, logits, length, end):
    """Every text of at most `length` tokens, with its log p, best first."""
    texts = [()]
    found = []
    for _ in range(length):
        texts = [(*t, i) for t in texts for i in range(V)]
        found += [t for t in texts if t[-1] == end]
        texts = [t for t in texts if t[-1] != end]
    return sorted(((logp(params, logits, t), t) for t in found + texts), reverse=True)


def rows(decoded, row):
    """The texts of a row, without what comes after their end."""
    tokens, lengths = np.asarray(decoded.tokens[..., row]), np.asarray(decoded.lengths[:, row])
    return [tuple(tokens[: lengths[i], i].tolist()) for i in range(len(lengths))]


def penalised(power):
    return lambda pair: pair[0] / ((5 + len(pair[1])) / 6) ** power


@pytest.mark.parametrize("limits", [None, (4, 2, 3)])
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_beam_is_exhaustive_search(power, limits):
    args, given = start(3), {} if limits is None else {"limits": jnp.asarray(limits)}

    @jax.jit
    def search(args, given):
        penalty = decoding.Penalty(power)
        return decoding.beam_search(step, *args, 4, beams=150, end=1, best=20, penalty=penalty, **given)

    found = search(args, given)
    params, _, logits = (jax.tree.map(np.asarray, a) for a in args)
    for row, length in enumerate(limits or (4, 4, 4)):
        want = sorted(everything(params, logits[row], length, 1), key=penalised(power), reverse=True)[:20]
        assert rows(found, row) == [t for _, t in want]
        np.testing.assert_allclose(found.logprobs[:, row], [p for p, _ in want], rtol=1e-5)
        np.testing.assert_allclose(found.scores[:, row], [penalised(power)(pair) for pair in want], rtol=1e-5)


@pytest.mark.parametrize("limits", [None, np.array([9, 2, 0, 30])])
def test_one_beam_is_greedy_to_the_last_bit(limits):
    args = start(4)
    one = decoding.beam_search(step, *args, 9, beams=1, end=0, limits=limits)
    alone = decoding.greedy(step, *args, 9, end=0, limits=limits)
    for a, b in zip(one, alone, strict=True):
        np.testing.assert_array_equal(a[:, 0] if a.ndim == 3 else a[0], b)


@pytest.mark.parametrize("power", [0.0, 0.6])
def test_more_beams_never_score_below_greedy(power):
    args, penalty = start(200), decoding.Penalty(power)
    # a model that punishes the greedy choice or not, row by row
    args = args[0] | {"now": 3 * args[0]["now"]}, *args[1:]
    alone = decoding.greedy(step, *args, 8, end=0, penalty=penalty)
    better = 0
    for beams in (2, 3, 8):
        found = decoding.beam_search(step, *args, 8, beams=beams, end=0, penalty=penalty)
        assert (found.scores[0] >= alone.scores).all()
        better += int((found.scores[0] > alone.scores + 1e-3).sum())
    assert better > 20


def test_the_n_best_differ_and_are_sorted():
    found = decoding.beam_search(step, *start(5), 7, beams=6, end=0, best=6)
    assert (np.diff(found.scores, axis=0) <= 0).all()
    for row in range(5):
        assert len(set(rows(found, row))) == 6


def test_a_row_does_not_depend_on_its_neighbours():
    params, carry, logits = start(4)
    every = decoding.beam_search(step, params, carry, logits, 8, beams=3, end=0, best=3)
    for row in range(4):
        alone = decoding.beam_search(
            step, params, tuple(a[row : row + 1] for a in carry), logits[row : row + 1], 8, beams=3, end=0, best=3
        )
        assert rows(alone, 0) == rows(every, row)


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("beams", [0, 3, 6])
def test_a_row_with_a_limit_is_the_row_alone_with_that_length(beams, power):
    """Whatever its neighbours may write. No beam: temperature 0."""
    (params, carry, logits), limits = start(6), [3, 12, 1, 5, 7, 12]
    logits = logits.at[:, 4].add(-3.0)  # few end early

    @partial(jax.jit, static_argnames="length")
    def run(carry, logits, length, limits=None):
        given = {"end": 4, "penalty": decoding.Penalty(power), "limits": limits}
        if beams:
            return decoding.beam_search(step, params, carry, logits, length, beams=beams, best=3, **given)
        found = decoding.sample(step, params, carry, logits, length, KEY, temperature=0, **given)
        return decoding.Decoded(found.tokens[:, None], *(a[None] for a in found[1:]))

    every, cut = run(carry, logits, 12, jnp.asarray(limits)), 0
    for row, limit in enumerate(limits):
        alone = run(jax.tree.map(lambda a, row=row: a[row : row + 1], carry), logits[row : row + 1], limit)
        assert rows(alone, 0) == rows(every, row)
        np.testing.assert_allclose(every.logprobs[:, row], alone.logprobs[:, 0], rtol=1e-6)
        np.testing.assert_allclose(every.scores[:, row], alone.scores[:, 0], rtol=1e-6)
        cut += sum(text[-1] != 4 for text in rows(every, row))
        assert (every.tokens[limit:, :, row] == 4).all()
    assert cut > 2


def test_without_an_end_a_row_writes_its_limit():
    """0 comes after it, log p is that of what was written, and the loop ends with the longest row."""
    counted, calls = counting()
    args = start(4)
    out = decoding.greedy(counted, *args, 50, limits=jnp.asarray([2, 0, 6, 5]))
    jax.effects_barrier()
    assert len(calls) == 6 and out.lengths.tolist() == [2, 0, 6, 5] and out.tokens.shape == (50, 4)
    free = decoding.greedy(step, *args, 50).tokens
    params, _, logits = (jax.tree.map(np.asarray, a) for a in args)
    for row, limit in enumerate([2, 0, 6, 5]):
        np.testing.assert_array_equal(out.tokens[:limit, row], free[:limit, row])
        assert (out.tokens[limit:, row] == 0).all()
        np.testing.assert_allclose(out.logprobs[row], logp(params, logits[row], out.tokens[:limit, row]), rtol=1e-5)


@pytest.mark.parametrize(("limits", "got"), [([3], r"int32\[1\]"), ([3.0, 4.0], r"float32\[2\]")])
def test_limits_that_are_not_one_for_each_row_are_refused(limits, got):
    with pytest.raises(ValueError, match=rf"limits are {got}; want int\[2\], one for each row"):
        decoding.beam_search(step, *start(2), 5, beams=2, end=0, limits=jnp.asarray(limits))


def test_coverage_ranks_texts_that_read_everything_first():
    """Two texts of equal probability; one has left a source position unread."""
    logits = jnp.log(jnp.asarray([[0.01, 0.51, 0.48]]))  # end, read position 0, read position 1
    start_at = jnp.asarray([[1.0, 0.0]])  # position 0 has been read

    def read(params, covered, tokens):
        seen = covered + jax.nn.one_hot(tokens - 1, 2)
        return seen, jnp.broadcast_to(jnp.asarray([30.0, 0.0, 0.0]), (len(tokens), 3))

    for weight, first in ((0.0, 1), (1.0, 2)):
        penalty = decoding.Penalty(0.0, weight, lambda covered: covered)
        found = decoding.beam_search(read, None, start_at, logits, 3, beams=3, end=0, best=2, penalty=penalty)
        assert found.tokens[0, 0, 0] == first
    gap = float(found.scores[0, 0] - found.scores[1, 0])
    assert gap > 10  # log of 1e-6, the position that the second text never read
    with pytest.raises(ValueError, match="coverage_weight needs `coverage`"):
        decoding.greedy(read, None, start_at, logits, 3, penalty=decoding.Penalty(0.0, 1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"top_k": -1}, "top_k is -1"), ({"top_p": 0.0}, "top_p 0.0"), ({"top_p": 1.5}, "0 < top_p <= 1")],
)
def test_a_cut_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        decoding.sample(step, *start(1), 3, KEY, **options)


def test_more_texts_than_beams_are_refused():
    with pytest.raises(ValueError, match="the best 4 of 3 beams; want 1 <= best <= beams"):
        decoding.beam_search(step, *start(1), 3, beams=3, end=0, best=4)
