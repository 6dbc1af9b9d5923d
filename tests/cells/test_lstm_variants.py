"""Peepholes and heads: what the LSTM becomes without them, and their equations; every method takes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree, gradients, normal

from rnn_jax import cells
from rnn_jax.methods import Fused

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
KEY = jax.random.key(0)


def run(cell, params, xs, **kwargs):
    return gradients(cell.step, params, cell.carry(xs.shape[1], 8, jnp.float64), xs, **kwargs)


def test_without_peepholes_it_is_the_lstm():
    cell = cells.peephole_lstm(peephole_init=cells.initializers.normal(0.0))
    params, xs = cell.init(KEY, 3, 8, jnp.float64), normal(0, 5, 2, 3)
    plain = {k: params[k] for k in ("wx", "wh", "b")}
    agree(run(cell, params, xs)[0], run(cells.lstm(), plain, xs)[0])
    agree(cells.lstm().init(KEY, 3, 8, jnp.float64), plain)


def test_the_equations_of_peepholes():
    cell = cells.peephole_lstm(peephole_init=cells.initializers.normal(1.0))
    p, x, h, c = cell.init(KEY, 3, 8, jnp.float64), normal(1, 2, 3), normal(2, 2, 8), normal(3, 2, 8)
    s = lambda a: 1 / (1 + np.exp(-a))
    i, f, g, o = np.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=1)
    want = s(f + p["pf"] * c) * c + s(i + p["pi"] * c) * np.tanh(g)
    agree(cell.step(p, (h, c), x)[0], (jnp.asarray(s(o + p["po"] * want) * np.tanh(want)), jnp.asarray(want)))


def test_heads_are_an_lstm_with_a_block_diagonal_matrix():
    cell = cells.heads_lstm(head=4)
    params, xs = cell.init(KEY, 3, 8, jnp.float64), normal(0, 5, 2, 3)
    assert params["wh"].shape == (2, 4, 16) and params["b"].reshape(2, 4, 4)[:, 1].min() == 1
    whole = np.zeros((2, 4, 4, 2, 4))  # [head unit gate head unit]
    for m in range(2):
        whole[m, :, :, m] = params["wh"][m].reshape(4, 4, 4)
    gates_first = lambda a: jnp.moveaxis(a.reshape(*a.shape[:-2], 2, 4, 4), -3, -2).reshape(*a.shape[:-2], 32)
    plain = {"wx": gates_first(params["wx"]), "wh": jnp.asarray(whole.reshape(8, 32)), "b": gates_first(params["b"])}
    agree(run(cell, params, xs)[0][1], run(cells.lstm(), plain, xs)[0][1])
    np.testing.assert_allclose(params["wh"][0, :, :4].T @ params["wh"][0, :, :4], np.eye(4), atol=1e-12)


@pytest.mark.parametrize("cell", [cells.peephole_lstm(), cells.heads_lstm(head=4)], ids=["peephole", "heads"])
@pytest.mark.parametrize("method", ["deferred", "newton", Fused(block_b=2, interpret=True)], ids=str)
def test_every_method(cell, method):
    params, xs = cell.init(KEY, 3, 8, jnp.float64), normal(0, 5, 3, 3)
    masks = {"lengths": np.array([5, 0, 3]), "resets": np.arange(15).reshape(5, 3) % 4 == 2}
    agree(run(cell, params, xs, method=method, **masks), run(cell, params, xs, method="reference", **masks), 1e-11)


def test_one_head_where_the_layer_is_narrow_and_bad_widths():
    assert cells.heads_lstm().init(KEY, 3, 8)["wh"].shape == (1, 8, 32)
    with pytest.raises(ValueError, match="width 100 is not a multiple of its heads of 64 units"):
        cells.heads_lstm().init(KEY, 3, 100)
