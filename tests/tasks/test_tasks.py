"""The generated tasks: what stands where, and that it is what the equations say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax.tasks import memory, temporal_order


@pytest.mark.parametrize("t", [10, 20, 55, 100])
def test_temporal_order(t):
    inputs, targets, mask = jax.jit(temporal_order.batch, static_argnums=(1, 2))(jax.random.key(0), 500, t)
    assert inputs.shape == (t, 500, 6) and targets.shape == (500,) and mask.shape == (t, 500)
    np.testing.assert_array_equal(inputs.sum(-1), 1)
    symbols = np.asarray(inputs.argmax(-1))
    relevant = symbols < 2
    np.testing.assert_array_equal(relevant.sum(0), 2)
    first, last = relevant.argmax(0), t - 1 - relevant[::-1].argmax(0)
    tenth = t // 10
    assert set(first) == set(range(tenth, 2 * tenth)) and set(last) == set(range(t // 2, t // 2 + tenth))
    rows = np.arange(500)
    np.testing.assert_array_equal(targets, symbols[first, rows] + 2 * symbols[last, rows])
    assert np.all(np.bincount(targets, minlength=4) > 90)  # the four classes are equally likely
    assert set(symbols[~relevant]) == {2, 3, 4, 5}
    assert mask[-1].all() and not mask[:-1].any()


@pytest.mark.parametrize(("symbols", "length", "lag"), [(4, 2, 5), (2, 1, 1), (8, 5, 20)])
def test_memory(symbols, length, lag):
    inputs, targets, mask = memory.batch(jax.random.key(1), 64, symbols=symbols, length=length, lag=lag)
    t = 2 * length + lag - 1
    assert inputs.shape == (t, 64, memory.width(symbols)) and targets.shape == mask.shape == (t, 64)
    shown = np.asarray(inputs.argmax(-1))
    np.testing.assert_array_equal(inputs.sum(-1), 1)
    assert (shown[:length] < symbols).all() and set(np.unique(shown[:length])) == set(range(symbols))
    signal = shown == symbols + 1
    np.testing.assert_array_equal(np.flatnonzero(signal.any(1)), [length + lag - 1])
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(mask).all(1)), np.arange(t - length, t))
    assert not mask[: t - length].any()
    np.testing.assert_array_equal(targets[t - length :], shown[:length])  # each length + lag - 1 steps later
    assert t - length == length + lag - 1


def test_batches_follow_from_the_key_alone():
    draw = lambda seed: memory.batch(jax.random.key(seed), 8, symbols=4, length=3, lag=4)
    assert all(map(np.array_equal, draw(0), draw(0))) and not jnp.array_equal(draw(0)[0], draw(1)[0])


def test_sizes_that_cannot_be():
    with pytest.raises(ValueError, match="at least 10"):
        temporal_order.batch(jax.random.key(0), 2, 9)
    with pytest.raises(ValueError, match="want at least 2, 1, 1"):
        memory.batch(jax.random.key(0), 2, symbols=4, length=1, lag=0)
