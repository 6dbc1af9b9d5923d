"""Decoding from a step (params, carry, tokens) -> (carry, logits)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import decoding

V = 5


def step(params, carry, tokens):
    """A Markov chain whose carry counts the steps."""
    return carry + 1, params[tokens]


def chain():
    return jnp.asarray(np.random.default_rng(0).normal(size=(V, V)), jnp.float32)


def test_greedy_equals_a_plain_loop():
    params, start = chain(), jnp.asarray([[0.0, 0, 3, 0, 0], [0, 1, 0, 0, 0]])
    got = jax.jit(lambda: decoding.sample(step, params, jnp.zeros(2), start, 8, jax.random.key(0), temperature=0))()
    logits, expected = start, []
    for _ in range(8):
        token = jnp.argmax(logits, -1)
        expected.append(token)
        logits = params[token]
    np.testing.assert_array_equal(got, jnp.stack(expected))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature):
    params, n = chain(), 20_000
    start = jnp.tile(params[:1], (n, 1))
    draws = decoding.sample(step, params, jnp.zeros(n), start, 2, jax.random.key(1), temperature=temperature)
    for tokens, logits in ((draws[0], params[0]), (draws[1][draws[0] == 2], params[2])):
        p = jax.nn.softmax(logits / temperature)
        found = jnp.bincount(tokens, length=V) / len(tokens)
        assert np.all(np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / len(tokens)) + 1e-6)


def test_a_seed_is_a_text():
    run = lambda seed: decoding.sample(step, chain(), jnp.zeros(1), jnp.zeros((1, V)), 40, jax.random.key(seed))
    np.testing.assert_array_equal(run(0), run(0))
    assert np.any(run(0) != run(1))


def test_a_negative_temperature():
    with pytest.raises(ValueError, match="want 0"):
        decoding.sample(step, chain(), jnp.zeros(1), jnp.zeros((1, V)), 4, jax.random.key(0), temperature=-1)
