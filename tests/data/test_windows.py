"""Streams are contiguous, targets are inputs shifted by one, and the iterator resumes exactly."""

import itertools

import numpy as np
import pytest

from rnn_jax import data


def part(n, starts=()):
    marks = np.zeros(n, bool)
    marks[list(starts)] = True
    return data.Part("train", np.arange(n, dtype=np.int32), marks)


def take(dataset, n):
    return list(itertools.islice(iter(dataset), n))


def config(**values):
    c = data.defaults()
    c.update(values)
    return c


def char_rnn(n, batch, window):
    """Train and valid of the text 0 1 2 ... n-1."""
    c = config(split="char_rnn", batch=batch, window=window)
    return data.split(np.arange(n, dtype=np.int32), np.zeros(n, bool), c)


def test_shapes_and_types():
    (batch,) = take(data.windows(part(100), 3, 5), 1)
    assert {k: (v.shape, str(v.dtype)) for k, v in batch.items()} == {
        "inputs": ((3, 5), "int32"),
        "targets": ((3, 5), "int32"),
        "resets": ((3, 5), "bool"),
    }


@pytest.mark.parametrize("n, batch, window", [(100, 3, 5), (101, 1, 1), (16, 3, 5), (1000, 7, 13), (61, 4, 5)])
def test_streams_are_contiguous_over_batches_and_epochs(n, batch, window):
    text = part(n)
    k = data.count(text, batch, window)
    assert k == (n - 1) // (batch * window)
    batches = take(data.windows(text, batch, window), 3 * k)
    inputs = np.concatenate([b["inputs"] for b in batches], 1)
    targets = np.concatenate([b["targets"] for b in batches], 1)
    length = k * window
    expected = np.arange(batch)[:, None] * length + np.arange(length)  # row i is the i-th stretch of the text
    np.testing.assert_array_equal(inputs, np.tile(expected, 3))
    np.testing.assert_array_equal(targets, inputs + 1)


def test_char_rnn_is_karpathys_loader():
    n, batch, window = 1234, 3, 10
    train, valid = char_rnn(n, batch, window)
    k = n // (batch * window)
    x = np.arange(batch * k * window)
    y = np.append(x[1:], x[0])  # the last target of all wraps to the first character
    x, y = (np.split(a.reshape(batch, -1), k, axis=1) for a in (x, y))
    found = [b for p in (train, valid) for b in data.windows(p, batch, window, epochs=1)]
    assert len(found) == k and data.count(train, batch, window) == int(0.95 * k)
    for b, xs, ys in zip(found, x, y, strict=True):
        np.testing.assert_array_equal(b["inputs"], xs)
        np.testing.assert_array_equal(b["targets"], ys)


@pytest.mark.parametrize("split", ["char_rnn", "nanogpt", "fractions"])
def test_no_training_input_is_a_validation_input(split):
    n, batch, window = 5000, 4, 10
    parts = data.split(np.arange(n), np.zeros(n, bool), config(split=split, batch=batch, window=window))
    seen = [{int(c) for b in data.windows(p, batch, window, epochs=1) for c in b["inputs"].flat} for p in parts]
    assert len(parts) == (3 if split == "fractions" else 2)
    for one, other in itertools.combinations(seen, 2):
        assert one and other and not one & other


def test_validation_ends():
    assert len(list(data.windows(part(101), 2, 5, epochs=1))) == 10
    assert len(list(data.windows(part(101), 2, 5, epochs=2))) == 20


def test_resets():
    text = part(41, starts=[0, 7, 25])  # two streams of 20

    def marks(resets):
        return np.concatenate([b["resets"] for b in take(data.windows(text, 2, 5, resets=resets), 8)], 1)

    assert not marks("never").any()
    assert np.argwhere(marks("documents")).tolist() == [[0, 0], [0, 7], [0, 20], [0, 27], [1, 5], [1, 25]]
    assert np.argwhere(marks("epochs") & ~marks("documents")).tolist() == [[1, 0], [1, 20]]
    assert text.starts.sum() == 3  # the part itself is not written to


def test_marks_follow_the_text_in_char_rnn():
    starts = np.arange(1000) % 37 == 0
    parts = data.split(np.arange(1000), starts, config(split="char_rnn", batch=4, window=10))
    for b in (b for p in parts for b in data.windows(p, 4, 10, epochs=1)):
        np.testing.assert_array_equal(b["resets"], b["inputs"] % 37 == 0)


@pytest.mark.parametrize("position", [0, 1, 6, 7, 13, 29])
def test_resume_at_any_position(position):
    dataset = data.windows(part(150), 4, 5)  # 7 windows an epoch
    iterator = iter(dataset)
    for _ in range(position):
        next(iterator)
    state = iterator.get_state()
    expected = [next(iterator) for _ in range(9)]
    for resumed in (iter(data.windows(part(150), 4, 5)), iterator):  # a fresh one, and the same one taken back
        resumed.set_state(state)
        for want in expected:
            got = next(resumed)
            assert all(np.array_equal(want[k], got[k]) for k in want)


def test_batches_are_copies():
    text = part(100)
    iterator = iter(data.windows(text, 3, 5))
    next(iterator)["inputs"][:] = -1
    assert text.tokens.min() == 0 and next(iter(data.windows(text, 3, 5)))["inputs"].min() == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(batch=0, window=5), "config.data.batch=0 and config.data.window=5 must be at least 1"),
        (dict(batch=2, window=50), "train has 100 characters, .* needs 101: lower config.data.batch"),
        (dict(batch=1000, window=1), "needs 1,001"),
        (dict(batch=2, window=5, resets="often"), "no 'often'; there are never, documents, epochs"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(data.DataError, match=message) as error:
        data.windows(part(100), **arguments)
    assert "\n" not in str(error.value)


def test_streams_of_another_batch():
    with pytest.raises(data.DataError, match="split for 3 streams, not 4"):
        data.windows(char_rnn(1000, 3, 10)[0], 4, 10)
