"""method="associative": linear carries, equal to the reference; others are refused with the reason."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import CELLS, MASKS, B, D, N, T, agree, gradients, normal, problem, scalar

from rnn_jax import cells, scan
from rnn_jax.methods.linear import recurrence

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")


@pytest.mark.parametrize("mask", ["full", "lengths", "both"])
@pytest.mark.parametrize("cell", ["diagonal", "min_gru", "min_lstm", "lru"])
def test_equals_the_reference(cell, mask):
    cell, kwargs = CELLS[cell], {**MASKS[mask], "reverse": mask == "both"}
    args = cell.step, *problem(cell)
    agree(gradients(*args, method="associative", **kwargs), gradients(*args, method="reference", **kwargs), 1e-11)


def momentum(p, carry, x):
    """Two leaves that meet unit by unit."""
    h, v = carry
    v = 0.9 * v + p["a"] * h + x @ p["w"]
    return (0.8 * h + jnp.where(x[:, :1] > 0, v, 0.5 * v), v), jnp.sin(h * v)


def dense(p, h, x):
    """Units that meet through a matrix, in the carry's other half too."""
    h = jnp.concatenate([h @ p["a"], 0.5 * h[:, :2]], axis=-1)[:, 2:] / (1 + jnp.exp(x @ p["w"])) + p["b"]
    return h, jnp.tanh(h @ p["a"])


STEPS = {
    "momentum": lambda: (momentum, {"a": normal(1, D), "w": normal(2, N, D)}, (normal(3, B, D), normal(4, B, D))),
    "dense": lambda: (dense, {"a": 0.5 * normal(1, D, D), "w": normal(2, N, D), "b": normal(5, D)}, normal(3, B, D)),
}


@pytest.mark.parametrize("step", STEPS)
def test_any_linear_step(step):
    args = *STEPS[step](), normal(6, T, B, N)
    agree(gradients(*args, method="associative"), gradients(*args, method="reference"), 1e-11)


def test_second_derivatives():
    cell = CELLS["min_gru"]
    params, carry, xs = problem(cell)

    def penalty(p, m):
        grads = jax.grad(lambda p: scalar(scan(cell.step, p, carry, xs, method=m)))(p)
        return sum(jnp.sum(a**2) for a in jax.tree.leaves(grads))

    agree(jax.grad(penalty)(params, "associative"), jax.grad(penalty)(params, "reference"), 1e-10)


@pytest.mark.parametrize("length", [0, 1])
def test_no_steps_and_one_step(length):
    params, carry, xs = problem(CELLS["lru"])
    args = CELLS["lru"].step, params, carry, xs[:length]
    agree(gradients(*args, method="associative"), gradients(*args, method="reference"))


@pytest.mark.parametrize(
    ("step", "through"),
    [
        (lambda p, h, x: (jnp.tanh(h), h), "tanh"),
        (lambda p, h, x: (h * h, h), "mul"),
        (lambda p, h, x: (x / h, h), "div"),
        (lambda p, h, x: (jnp.where(h > 0, h, x), h), "gt"),
        (lambda p, h, x: (h.real + 0j, h), "real"),
    ],
)  # fmt: skip
def test_a_nonlinear_carry_is_refused(step, through):
    h = jnp.ones((2, 3), complex if through == "real" else float)
    with pytest.raises(
        ValueError, match=f"associative: the step is not known to be linear in its carry, .*{through}.*newton"
    ):
        scan(step, None, h, jnp.ones((4, 2, 3)), method="associative")


def test_an_integer_carry_is_refused():
    step = lambda p, carry, x: ((carry[0] + x, carry[1] + 1), x)
    with pytest.raises(ValueError, match=r"must be float, one is int64\[\]"):
        scan(step, None, (jnp.zeros(3), jnp.zeros((), int)), jnp.ones((4, 3)), method="associative")


def test_gates_that_multiply_to_nothing_need_no_log_space():
    """float32, 10,000 steps, forget gates down to 1e-30: as near to the exact states as the sequential scan is."""
    cell, t = cells.min_lstm(forget_bias=-20.0), 10_000
    params = cell.init(jax.random.key(0), 1, 8)
    xs = 8 * jax.random.normal(jax.random.key(1), (t, 1, 1), jnp.float32)
    run = lambda dtype, method: scan(
        cell.step, jax.tree.map(lambda a: a.astype(dtype), params), jnp.zeros((1, 8), dtype), xs.astype(dtype),
        method=method, collect=("forget_gate",),
    )  # fmt: skip
    _, exact, seen = run(jnp.float64, "reference")
    assert float(jnp.min(seen["forget_gate"])) < 1e-10 and float(jnp.max(seen["forget_gate"])) > 0.5
    errors = [float(jnp.max(jnp.abs(run(jnp.float32, m)[1] - exact))) for m in ("associative", "reference")]
    assert errors[0] < 3 * errors[1] + 1e-6


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_recurrence_is_the_loop(k, reverse):
    a, r, first = 0.5 * normal(1, T, B, 2, k, k), normal(2, T, B, 2, k), normal(3, B, 2, k)
    s, states = np.asarray(first), {}
    for i in range(T - 1, -1, -1) if reverse else range(T):
        s = np.einsum("buij,buj->bui", a[i], s) + r[i]
        states[i] = s
    agree(recurrence(a, r, first, reverse), jnp.stack([jnp.asarray(states[i]) for i in range(T)]))
