"""method="chunked": equal to the reference, with a weight gradient added once a chunk."""

import jax
import jax.numpy as jnp
import pytest
from scan_problems import CELLS, MASKS, B, D, T, agree, gradients, normal, problem, scalar
from test_auto import primitives

from rnn_jax import methods, scan

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")


@pytest.mark.parametrize("chunk", [None, 1, 2, 4, 6, 99])  # 6 steps: all, single, even, with a rest, one, too many
@pytest.mark.parametrize(("mask", "reverse"), [("full", False), ("both", True)])
def test_equals_the_reference(chunk, mask, reverse):
    args, kwargs = (CELLS["lstm"].step, *problem(CELLS["lstm"])), {**MASKS[mask], "reverse": reverse}
    agree(gradients(*args, method=methods.Chunked(chunk), **kwargs), gradients(*args, method="reference", **kwargs))


@pytest.mark.parametrize("cell", ["cayley", "gru", "lru", "min_lstm"])
def test_other_cells(cell):
    args = CELLS[cell].step, *problem(CELLS[cell])
    agree(gradients(*args, method=methods.Chunked(4)), gradients(*args, method="reference"), 1e-11)


def test_closed_over_arrays_and_second_derivatives():
    w, carry, xs = normal(0, D, D), normal(2, B, D), normal(3, T, B, D)

    def penalty(w, method):
        step = lambda p, h, x: (jnp.tanh(h @ w + x + p),) * 2
        return jnp.sum(jax.grad(lambda p: scalar(scan(step, p, carry, xs, method=method)))(normal(1, D)) ** 2)

    agree(jax.grad(penalty)(w, methods.Chunked(2)), jax.grad(penalty)(w, "reference"), 1e-10)


def test_what_params_determine_is_computed_once_and_products_are_of_a_whole_chunk():
    cell, (params, carry, xs) = CELLS["cayley"], problem(CELLS["cayley"])
    loss = lambda params: jnp.sum(scan(cell.step, params, carry, xs, method=methods.Chunked(3))[1])
    outside, inside = primitives(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)
    assert "lu" in outside and "lu" not in inside
    step = lambda w, h, x: (jnp.tanh(h @ w + x),) * 2
    loss = lambda w: jnp.sum(scan(step, w, carry[0] if isinstance(carry, tuple) else carry, normal(4, T, B, D),
                                  method=methods.Chunked(3))[1])  # fmt: skip
    text = str(jax.make_jaxpr(jax.grad(loss))(normal(0, D, D)))
    assert f"f64[3,{B},{D}]" in text  # what one product of a chunk reads


def test_what_it_cannot_do_is_refused():
    def step(p, h, x):
        jax.debug.callback(lambda v: None, h)
        return h, h

    with pytest.raises(ValueError, match="callbacks or prints, whose order it cannot keep"):
        scan(step, None, jnp.ones(2), jnp.ones((3, 2)), method="chunked")
    for chunk in (0, 2.5, "4"):
        with pytest.raises(ValueError, match=f"chunked: chunk is an int of at least 1 .*, got {chunk!r}"):
            methods.Chunked(chunk)
