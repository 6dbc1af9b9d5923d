"""Layers that read in both directions: who sees whom, and where a row ends."""

import jax
import numpy as np
import pytest
from flax import nnx

from rnn_jax import cells
from rnn_jax.models.sequence import SequenceModel

pytestmark = pytest.mark.usefixtures("quick_module")
T, B, N = 5, 3, 2


@pytest.fixture(scope="module")
def run(quick_module):
    model = SequenceModel(cells.vanilla(), N, 4, 3, layers=2, bidirectional=True, rngs=nnx.Rngs(0))
    return jax.jit(lambda xs, lengths: model(xs, lengths=lengths)[1])


def test_each_output_depends_on_every_input_of_its_row_and_on_no_other(run):
    xs, lengths = np.random.default_rng(0).normal(size=(T, B, N)).astype(np.float32), np.array([5, 3, 0])
    before, inside = run(xs, lengths), np.arange(T)[:, None] < lengths
    for t, b in np.ndindex(T, B):
        other = xs.copy()
        other[t, b] += 1
        seen = np.any(run(other, lengths) != before, axis=-1)  # [t b]
        np.testing.assert_array_equal(seen, inside & inside[t, b] & (np.arange(B) == b))


def test_a_row_is_read_as_it_would_be_alone(run):
    xs = np.random.default_rng(1).normal(size=(T, B, N)).astype(np.float32)
    padded = run(xs, np.array([5, 3, 1]))
    xs[3:] = 7
    other = run(xs, np.array([3, 3, 3]))
    assert padded.shape == (T, B, 3)
    np.testing.assert_allclose(padded[:3, 1], other[:3, 1], rtol=1e-6)
