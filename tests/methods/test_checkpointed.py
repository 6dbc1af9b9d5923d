"""method="checkpointed": equal to the reference, in the memory it promises."""

import math

import jax
import jax.numpy as jnp
import pytest
from scan_problems import CELLS, MASKS, B, D, T, agree, gradients, normal, problem, scalar

from rnn_jax import cells, methods, scan
from rnn_jax.cells import name
from rnn_jax.methods.chunks import chunk_length

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
SAVE_C = jax.checkpoint_policies.save_only_these_names("c")


@pytest.mark.parametrize(
    "method",
    ["checkpointed", methods.Checkpointed(4), methods.Checkpointed(1), methods.Checkpointed(99),
     methods.Checkpointed(4, SAVE_C)],
    ids=["root", "4 and a rest of 2", "1", "99", "saving c"],
)  # fmt: skip
@pytest.mark.parametrize(("mask", "reverse"), [("full", False), ("both", True)])
def test_equals_the_reference(method, mask, reverse):
    cell, kwargs = CELLS["lstm"], {**MASKS[mask], "reverse": reverse}
    args = cell.step, *problem(cell)
    agree(gradients(*args, method=method, **kwargs), gradients(*args, method="reference", **kwargs))


@pytest.mark.parametrize("cell", ["cayley", "gru", "lru"])
def test_other_cells(cell):
    """A transform of the weights stays outside of the chunks, and gets its gradient."""
    args = CELLS[cell].step, *problem(CELLS[cell])
    agree(gradients(*args, method="checkpointed"), gradients(*args, method="reference"), 1e-11)


def test_closed_over_arrays_collected_values_and_second_derivatives():
    w, params, carry, xs = normal(0, D, D), {"b": normal(1, D)}, normal(2, B, D), normal(3, T, B, D)

    def penalty(w, params, method):
        step = lambda p, h, x: (name(jnp.tanh(h @ w + x + p["b"]), "h"),) * 2
        loss = lambda w: scalar(scan(step, params, carry, xs, method=method, collect=("h",)))
        return jnp.sum(jax.grad(loss)(w) ** 2)

    both = lambda m: jax.value_and_grad(penalty, (0, 1))(w, params, m)
    agree(both("checkpointed"), both("reference"), 1e-10)


@pytest.mark.parametrize("length", [0, 1])
def test_no_steps_and_one_step(length):
    params, carry, xs = problem(CELLS["gru"])
    args = CELLS["gru"].step, params, carry, xs[:length]
    agree(gradients(*args, method="checkpointed"), gradients(*args, method="reference"))


@pytest.mark.parametrize("t", [1, 2, 7, 100, 997, 1000, 99_999])
def test_chunks_are_near_the_root(t):
    chunk = chunk_length(t, math.isqrt(t))
    assert 1 <= chunk <= t and t**0.5 / 2 - 1 <= chunk <= 2 * t**0.5
    assert {100: 10, 1000: 25}.get(t, chunk) == chunk


def test_a_callback_is_refused():
    def step(p, h, x):
        jax.debug.callback(lambda v: None, h)
        return h, h

    with pytest.raises(ValueError, match="callbacks or prints, which would run twice"):
        scan(step, None, jnp.ones(2), jnp.ones((3, 2)), method="checkpointed")
    for chunk in (0, 2.5, "4"):
        with pytest.raises(ValueError, match=f"checkpointed: chunk is an int of at least 1 .*, got {chunk!r}"):
            methods.Checkpointed(chunk)
    with pytest.raises(ValueError, match=r"checkpointed: policy is one of jax\.checkpoint_policies.*'dots_saveable'"):
        methods.Checkpointed(policy="dots_saveable")


def temporaries(t, method):
    """Bytes that the compiled gradient holds beside its arguments and results."""
    cell = cells.lstm()
    params, carry = cell.init(jax.random.key(0), 8, 16), cell.carry(4, 16)
    loss = lambda p, xs: jnp.sum(scan(cell.step, p, carry, xs, method=method)[0][0])
    shapes = params, jax.ShapeDtypeStruct((t, 4, 8), jnp.float32)
    return jax.jit(jax.grad(loss)).lower(*shapes).compile().memory_analysis().temp_size_in_bytes


def test_memory_grows_with_the_root():
    short, long = temporaries(400, "checkpointed"), temporaries(40_000, "checkpointed")
    assert long < 20 * short, "a hundred times the steps, about ten times the memory"
    assert long < temporaries(40_000, "deferred") / 20
