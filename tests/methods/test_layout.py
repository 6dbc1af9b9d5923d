"""Products with large weights run as columns on a CPU: the same values, gradients of any order, on any side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import cells, scan
from rnn_jax.methods.deferred import layout

D = 512


@pytest.fixture
def square(monkeypatch):
    """Square weights too: a step of one product needs no gates."""
    monkeypatch.setattr(layout, "WIDE", 1)


def rows_first(params, h, x):
    h = jnp.tanh(x @ params["w"] + h @ params["u"])
    return h, h


def weight_first(params, h, x):
    """State [d b]: the weight is the left operand, its first axis summed over in one product, its last in the other."""
    h = jnp.tanh(params["w"] @ x.T + params["u"].T @ h + params["u"] @ h)
    return h, h


def turned_weight(params, h, x):
    h = jnp.tanh(x @ params["w"] + jnp.einsum("bk,mk->bm", h, params["u"]))
    return h, h


def problem(step, b, key=jax.random.key(0)):
    normal = lambda i, *shape: jax.random.normal(jax.random.fold_in(key, i), shape)
    params = {"w": normal(0, D, D) / 30, "u": normal(1, D, D) / 30}
    h = normal(2, *((D, b) if step is weight_first else (b, D)))
    return params, h, normal(3, 5, b, D)


def gradient(step, method, weight):
    loss = lambda params, h, xs: jnp.sum(weight * scan(step, params, h, xs, method=method)[1] ** 2)
    return jax.value_and_grad(loss, (0, 1, 2))


@pytest.mark.usefixtures("square")
@pytest.mark.parametrize("b", (8, 10))
@pytest.mark.parametrize("step", (rows_first, weight_first, turned_weight))
def test_equal_to_reference(step, b):
    args = problem(step, b)
    weight = jax.random.normal(jax.random.key(9), (5, *args[1].shape))
    ours, theirs = (jax.jit(gradient(step, method, weight))(*args) for method in ("deferred", "reference"))
    for a, r in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True):
        np.testing.assert_allclose(a, r, rtol=2e-5, atol=2e-5 * float(jnp.abs(r).max()))


@pytest.mark.usefixtures("square")
def test_second_derivatives():
    """A Hessian-vector product through products as columns."""
    params, h, xs = problem(rows_first, 8)

    def product(method):
        loss = lambda h: jnp.sum(scan(rows_first, params, h, xs[:2], method=method)[1] ** 3)
        return jax.jit(jax.grad(lambda h: jnp.vdot(jax.grad(loss)(h), h)))(h)

    np.testing.assert_allclose(product("deferred"), product("reference"), rtol=1e-4, atol=1e-4)


def compiled(b, d, cell=cells.lstm()):
    params, carry = jax.eval_shape(lambda: (cell.init(jax.random.key(0), 8, d), cell.carry(b, d)))
    call = lambda p, c, xs: scan(cell.step, p, c, xs, method="deferred")
    text = jax.jit(call).lower(params, carry, jax.ShapeDtypeStruct((5, b, 8), jnp.float32)).as_text()
    gates = params["wh"].shape[1] // d
    return f"tensor<{gates * d}x{b}xf32>" in text


def test_the_square_weights_of_these_tests_are_columns(square):
    assert (
        "tensor<512x8xf32>" in jax.jit(gradient(rows_first, "deferred", 1.0)).lower(*problem(rows_first, 8)).as_text()
    )


def test_only_few_rows_of_large_weights():
    assert layout.LARGE == 4 * 256 * 1024
    assert compiled(16, 256) and compiled(32, 512)
    assert not compiled(16, 128) and not compiled(10, 256) and not compiled(40, 256)
    assert compiled(16, 512, cells.gru(reset_after=True)) and not compiled(16, 512, cells.vanilla())
