"""Decoding: greedy against a loop by hand, sampling against the softmax, and jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import decoding

V, KEY = 5, jax.random.key(0)


def step(params, carry, tokens):
    """Scores that depend on the token, on the one before it and on how often the step was called."""
    before, count = carry
    return (tokens, count + 1), params["now"][tokens] + params["before"][before] + jnp.sin(count * jnp.arange(V))


def start(b):
    """(params, carry, logits [b v])"""
    rng = np.random.default_rng(0)
    params = {k: jnp.asarray(rng.normal(size=(V, V)), jnp.float32) for k in ("now", "before")}
    return params, (jnp.zeros(b, jnp.int32), jnp.float32(0)), jnp.asarray(rng.normal(size=(b, V)), jnp.float32)


def draw(args, length, key=KEY, temperature=1.0):
    return jax.jit(lambda args, key: decoding.sample(step, *args, length, key, temperature=temperature))(args, key)


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
    np.testing.assert_array_equal(got, decoding.sample(step, *args, 8, KEY, temperature=temperature))


def test_no_token_and_one_token():
    args = start(2)
    assert decoding.sample(step, *args, 0, KEY).shape == (0, 2)
    np.testing.assert_array_equal(draw(args, 1, temperature=0)[0], args[2].argmax(-1))
