"""What each initialiser promises, per gate block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import cells
from rnn_jax.cells import initializers

KEY = jax.random.key(0)
N, D = 10, 16
GATED = {"lstm": (cells.lstm(), 4), "gru": (cells.gru(), 3), "gru_reset_after": (cells.gru(reset_after=True), 3)}


def blocks(w, g):
    return np.split(np.asarray(w, np.float64), g, axis=-1)


@pytest.mark.parametrize("name", GATED)
def test_every_gate_block_is_orthogonal(name):
    cell, g = GATED[name]
    parts = blocks(cell.init(KEY, N, D)["wh"], g)
    assert len(parts) == g
    for part in parts:
        np.testing.assert_allclose(part.T @ part, np.eye(D), atol=1e-5)
    assert all(np.abs(p - q).max() > 0.1 for i, p in enumerate(parts) for q in parts[:i])  # independent keys


def test_vanilla_is_orthogonal():
    wh = np.asarray(cells.vanilla().init(KEY, N, D)["wh"])
    np.testing.assert_allclose(wh.T @ wh, np.eye(D), atol=1e-5)


@pytest.mark.parametrize("name", GATED)
def test_glorot_counts_one_block_as_fan_out(name):
    cell, g = GATED[name]
    bound = (6 / (N + D)) ** 0.5  # of the packed matrix it would be (6 / (N + g D))^(1/2)
    for part in blocks(cell.init(KEY, N, D)["wx"], g):
        assert 0.9 * bound < np.abs(part).max() <= bound


def test_glorot_orthogonal_and_normal_are_those_of_jax():
    for init in (initializers.glorot(), initializers.orthogonal(), initializers.normal(0.5), initializers.he()):
        assert init(KEY, (4, 4), jnp.float32).shape == (4, 4)
    w = initializers.orthogonal(scale=2.0)(KEY, (D, D))
    np.testing.assert_allclose(w.T @ w, 4 * np.eye(D), atol=1e-4)


def test_he_has_variance_two_over_fan_in():
    parts = blocks(initializers.gates(initializers.he(), 3)(KEY, (200, 600)), 3)
    for part in parts:
        assert np.std(part) == pytest.approx((2 / 200) ** 0.5, rel=0.03)
        assert np.mean(part) == pytest.approx(0, abs=0.003)


def test_uniform_and_normal_have_their_scale():
    w = np.asarray(initializers.uniform(0.08)(KEY, (200, 200)))
    assert 0.079 < w.max() <= 0.08 and -0.08 <= w.min() < -0.079
    assert np.std(initializers.normal(0.3)(KEY, (200, 200))) == pytest.approx(0.3, rel=0.03)


def test_identity():
    np.testing.assert_array_equal(initializers.identity(0.5)(KEY, (3, 3)), 0.5 * np.eye(3))
    for part in blocks(initializers.gates(initializers.identity(), 4)(KEY, (3, 12)), 4):
        np.testing.assert_array_equal(part, np.eye(3))
    with pytest.raises(ValueError, match=r"square matrix, got \(3, 12\); use gates\(identity\(\), g\)"):
        initializers.identity()(KEY, (3, 12))


def test_irnn_starts_as_the_identity():
    params = cells.irnn().init(KEY, N, D)
    np.testing.assert_array_equal(params["wh"], np.eye(D))
    np.testing.assert_array_equal(params["b"], np.zeros(D))
    assert np.abs(params["wx"]).max() < 0.01
    np.testing.assert_array_equal(cells.irnn(0.01).init(KEY, N, D)["wh"], np.asarray(0.01 * jnp.eye(D)))


def test_sparse_rows_and_spectral_radius():
    w = np.asarray(initializers.sparse(15, spectral_radius=0.95)(KEY, (50, 50)))
    assert (np.count_nonzero(w, axis=1) == 15).all()
    assert len({tuple(np.flatnonzero(row)) for row in w}) == 50  # each row has its own places
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(0.95, rel=1e-3)
    assert initializers.radius(w) == pytest.approx(0.95, rel=1e-3)


def test_sparse_without_a_radius():
    w = np.asarray(initializers.sparse(15, scale=0.3)(KEY, (400, 60)))  # not square
    assert (np.count_nonzero(w, axis=1) == 15).all()
    assert np.std(w[w != 0]) == pytest.approx(0.3, rel=0.05)
    few = np.asarray(initializers.sparse(15)(KEY, (8, 8)))  # narrower than 15: dense
    assert np.count_nonzero(few) == 64
    with pytest.raises(ValueError, match=r"a spectral radius needs a square matrix, got \(4, 5\)"):
        initializers.sparse(2, spectral_radius=0.95)(KEY, (4, 5))


def test_sparse_per_gate():
    for part in blocks(initializers.gates(initializers.sparse(15, spectral_radius=0.95), 4)(KEY, (40, 160)), 4):
        assert (np.count_nonzero(part, axis=1) == 15).all()
        assert np.abs(np.linalg.eigvals(part)).max() == pytest.approx(0.95, rel=1e-3)


def test_chrono():
    i, f, g, o = np.split(np.asarray(initializers.chrono(100)(KEY, (4 * 500,))), 4)
    np.testing.assert_array_equal(i, -f)
    assert f.min() >= 0 and f.max() <= np.log(99)
    assert f.max() > np.log(95)  # the whole range is used
    assert np.mean(np.exp(f)) == pytest.approx(50, rel=0.1)  # exp(f) ~ U(1, 99)
    np.testing.assert_array_equal(np.concatenate([g, o]), 0)


@pytest.mark.parametrize("t_max", [1, 2])
def test_chrono_of_the_shortest_memories_is_finite(t_max):
    np.testing.assert_allclose(initializers.chrono(t_max)(KEY, (8,)), 0, atol=1e-5)


def test_forget_bias_is_in_block_f_alone():
    for bias in (1.0, 0.0, 3.0):
        i, f, g, o = blocks(cells.lstm(forget_bias=bias).init(KEY, N, D)["b"], 4)
        np.testing.assert_array_equal(f, np.full(D, bias))
        np.testing.assert_array_equal(np.concatenate([i, g, o]), 0)


def test_gru_biases():
    assert set(cells.gru().init(KEY, N, D)) == {"wx", "wh", "b"}
    params = cells.gru(reset_after=True).init(KEY, N, D)
    assert set(params) == {"wx", "wh", "b", "bh"}
    np.testing.assert_array_equal(np.concatenate([params["b"], params["bh"]]), np.zeros(6 * D))


def test_gates_needs_blocks_of_equal_width():
    with pytest.raises(ValueError, match=r"the last axis of \(4, 10\) does not hold 4 blocks of equal width"):
        initializers.gates(initializers.glorot(), 4)(KEY, (4, 10))


@pytest.mark.usefixtures("x64")
def test_cells_keep_the_dtype_asked_for():
    for dtype in (jnp.float32, jnp.float64):
        for cell in (cells.vanilla(), cells.irnn(), cells.lstm(), cells.gru(reset_after=True)):
            shapes = jax.eval_shape(lambda: (cell.init(KEY, 4, 4, dtype), cell.carry(2, 4, dtype)))
            assert all(leaf.dtype == dtype for leaf in jax.tree.leaves(shapes))


def test_initialisers_keep_the_dtype_asked_for():
    for init in (initializers.identity(2.0), initializers.sparse(2), initializers.uniform(0.1)):
        assert init(KEY, (4, 4), jnp.bfloat16).dtype == jnp.bfloat16
    assert initializers.chrono(10)(KEY, (16,), jnp.bfloat16).dtype == jnp.bfloat16
