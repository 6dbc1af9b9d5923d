"""Recurrent matrices found in a step, their spectra, and the bound on the gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_problems import normal, problem, with_radius

from rnn_jax.gradients import jacobian_product_log10norms, local_bound, recurrent_matrices, spectrum


@pytest.mark.parametrize("kind, g", [("tanh", 1), ("irnn", 1), ("lstm", 4), ("gru", 3), ("gru_after", 3)])
def test_recurrent_matrices_of_cells(kind, g):
    step, params, carry, xs = problem(kind)
    found = recurrent_matrices(step, params, carry, xs)
    assert list(found) == ["wh"] and found["wh"].shape == (g, 4, 4)
    np.testing.assert_array_equal(found["wh"], np.stack(np.split(params["wh"], g, axis=1)))


def test_recurrent_matrices_through_slices_transposes_and_checkpoints():
    def step(p, carry, x):
        h, c = carry
        inner = jax.checkpoint(lambda h: jnp.tanh(h @ p["deep"]["b"]))
        z = h @ p["a"].T + jnp.concatenate([inner(c), c @ p["list"][0][:, 4:]], axis=1)
        h, c = jnp.split(jnp.tanh(z) + x @ p["in"], 2, axis=1)
        return (h, c), h @ p["readout"]

    shapes = {"a": (8, 4), "deep": {"b": (4, 4)}, "list": [(4, 8)], "in": (2, 8), "readout": (4, 3)}
    params = jax.tree.map(lambda s: normal(*s), shapes, is_leaf=lambda s: isinstance(s, tuple))
    found = recurrent_matrices(step, params, (normal(3, 4), normal(3, 4)), normal(5, 3, 2))
    assert {k: v.shape for k, v in found.items()} == {"a": (2, 4, 4), "deep/b": (1, 4, 4), "list/0": (2, 4, 4)}
    np.testing.assert_array_equal(found["a"][1], params["a"][4:])


def test_a_closed_over_matrix_and_params_that_are_one_array():
    assert list(recurrent_matrices(*problem("closing"))) == ["closed-over/0"]
    assert list(recurrent_matrices(*problem("unbatched"))) == ["params"]
    assert recurrent_matrices(lambda p, h, x: (h * p + x, h), jnp.ones(4), jnp.ones((2, 4)), jnp.ones((3, 2, 4))) == {}


@pytest.mark.parametrize("n", [3, 4])
def test_a_matrix_that_is_not_made_of_square_blocks(n):
    def step(p, h, x):
        h = jnp.tanh(jnp.concatenate([x, h], axis=1) @ p["w"]) @ p["v"]
        return h, h

    params = {"w": normal(n + 4, 16), "v": normal(16, 4)}
    with pytest.raises(ValueError, match=rf"^recurrent_matrices: 'w' of the shape \({n + 4}, 16\) .* `spectrum`"):
        recurrent_matrices(step, params, normal(2, 4), normal(5, 2, n))


@pytest.mark.parametrize("kind, gamma", [("tanh", 1), ("sigmoid", 0.25), ("relu", 1), ("irnn", 1), ("unbatched", 1)])
def test_local_bound_bounds_the_product(x64, kind, gamma):
    args = problem(kind)
    w = args[1] if kind == "unbatched" else args[1]["wh"]
    bound = local_bound(*args)
    np.testing.assert_allclose(bound, np.log10(np.linalg.norm(w, 2) * gamma), atol=1e-12)
    norms = jacobian_product_log10norms(*args)
    lags = jnp.arange(1, 7).reshape((6,) + (1,) * (norms.ndim - 1))
    assert jnp.all(norms <= lags * bound + 1e-12)
    np.testing.assert_allclose(jax.jit(lambda x: local_bound(*args[:3], x))(args[3]), bound, atol=1e-12)


def test_local_bound_of_a_linear_step_is_reached(x64):
    w = with_radius(0.9, 5)
    args = lambda p, h, x: (h @ p, h), jnp.asarray(w @ w.T), jnp.zeros((1, 5)), jnp.zeros((4, 1, 5))
    np.testing.assert_allclose(jacobian_product_log10norms(*args)[-1, 0], 4 * local_bound(*args), atol=1e-10)


def refused(step, params=None):
    params = {"u": jnp.eye(3), "w": jnp.eye(3)} if params is None else params
    with pytest.raises(ValueError, match=r"^local_bound: needs one recurrent matrix .*, found (.*);") as e:
        local_bound(step, params, jnp.ones((2, 3)), jnp.ones((4, 2, 3)))
    return str(e.value).split("found ")[1].split(";")[0]


def test_local_bound_refuses_other_steps_and_says_what_it_found():
    one = lambda f: lambda p, h, x: (lambda h: (h, h))(f(p, h, x))
    tanh = jnp.tanh
    assert refused(one(lambda p, h, x: tanh(tanh(h @ p["u"]) @ p["w"]))) == "the matrices u, w"
    assert refused(one(lambda p, h, x: tanh(jax.nn.relu(h @ p["w"])))) == "the nonlinearities relu, tanh"
    assert (
        refused(one(lambda p, h, x: h + tanh(h @ p["w"]))) == "an equation 'add' of two values that depend on the carry"
    )
    assert refused(one(lambda p, h, x: 3 * tanh(h @ p["w"]))) == "an equation 'mul'"
    assert refused(one(lambda p, h, x: jnp.sin(h @ p["w"]))) == "an equation 'sin'"
    assert refused(one(lambda p, h, x: tanh(h @ (p["w"] + p["u"])))) == (
        "a product with a matrix that is not a whole leaf of params"
    )
    assert refused(one(lambda p, h, x: tanh(h + x))) == "no matrix"
    assert refused(one(lambda p, h, x: h @ (p["w"] * x[0, 0]))) == (
        "a product with a matrix that is not a whole leaf of params"
    )
    step, *args = problem("lstm")
    with pytest.raises(ValueError, match="found 2 carry leaves"):
        local_bound(step, *args)
    step, *args = problem("gru")
    with pytest.raises(ValueError, match="found a product with a matrix that is not a whole leaf"):
        local_bound(step, *args)
    step, params, carry, xs = problem("tanh")
    with pytest.raises(ValueError, match=r"^local_bound: needs at least two steps"):
        local_bound(step, params, carry, xs[:1])


def test_spectrum(x64, monkeypatch):
    w = np.stack([with_radius(0.7, 6), with_radius(1.2, 6, seed=1)])

    def agrees(s):
        assert s.eigenvalues.shape == s.singular_values.shape == (2, 6)
        np.testing.assert_allclose(s.radius, [0.7, 1.2], atol=1e-12)
        np.testing.assert_allclose(s.singular_values, np.linalg.svd(w, compute_uv=False), atol=1e-12)
        want = np.sort_complex(np.linalg.eigvals(w))
        np.testing.assert_allclose(np.sort_complex(np.asarray(s.eigenvalues)), want, atol=1e-10)

    for backend in ("cpu", "gpu"):  # "gpu": the way through numpy, which runs here as well
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        agrees(spectrum(w))
        agrees(jax.jit(spectrum)(w))
        agrees(jax.vmap(spectrum)(jnp.asarray(w)))
    with pytest.raises(ValueError, match=r"^spectrum: needs square matrices \[... d d\], got the shape \(2, 3\)"):
        spectrum(jnp.ones((2, 3)))
