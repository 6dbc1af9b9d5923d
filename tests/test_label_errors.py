"""Edit distance against its definition by recursion; label error rates."""

from functools import lru_cache

import numpy as np
import pytest

from rnn_jax import metrics


@lru_cache(None)
def distance(a: tuple, b: tuple) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


def test_edit_distance_is_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (tuple(map(int, rng.integers(3, size=rng.integers(7)))) for _ in range(2))
        assert metrics.edit_distance(a, b) == distance(a, b) == metrics.edit_distance(b, a)
        assert metrics.edit_distance(a, a) == 0


def test_label_error_rate_is_summed_over_the_corpus():
    assert metrics.label_error_rate([[1, 2, 3], [4]], [[1, 3], [5, 4, 4, 4]]) == pytest.approx(4 / 6)
    assert metrics.label_error_rate([[], [1, 1]], [[2, 2], []]) == 2.0
    assert metrics.label_error_rate([[1]], [[1]]) == 0 == metrics.label_error_rate([], [])
    with pytest.raises(ValueError):
        metrics.label_error_rate([[1]], [])
