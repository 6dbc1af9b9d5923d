"""Half precision on a CPU: "auto" computes in float32, rounds at the ends, and leaves alone what it cannot retype."""

import jax
import jax.numpy as jnp
import pytest

import rnn_jax
from rnn_jax import cells, scan
from rnn_jax.methods.widened import widened
from rnn_jax.tracing import one_step, trace

B, T, N, D = 3, 12, 5, 8


def round_to(dtype, tree):
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def problem(cell, dtype):
    params, carry = cell.init(jax.random.key(0), N, D), cell.carry(B, D)
    return round_to(dtype, (params, carry, jax.random.normal(jax.random.key(1), (T, B, N))))


def body_of(step, params, carry, xs):
    return trace(step, params, carry, one_step(xs), taps={}, collect=[], active=None, reset=None).body


def with_gradient(step, args, method, **masks):
    def loss(params, carry, xs):
        last, ys = scan(step, params, carry, xs, method=method, **masks)
        return sum(jnp.sum(jnp.square(a.astype(jnp.float32))) for a in jax.tree.leaves((last, ys))), (last, ys)

    (_, out), grads = jax.jit(jax.value_and_grad(loss, (0, 2), has_aux=True))(*args)
    return jax.tree.leaves((out, grads))


def distance(found, exact):
    return sum(float(jnp.sum((a.astype(jnp.float32) - e) ** 2)) for a, e in zip(found, exact, strict=True)) ** 0.5


@pytest.mark.parametrize(
    ("name", "ragged", "dtype"),
    [
        ("lstm", False, jnp.bfloat16), ("lstm", True, jnp.float16), ("gru", True, jnp.bfloat16),
        ("gru", False, jnp.float16), ("vanilla", False, jnp.bfloat16), ("vanilla", True, jnp.float16),
        ("peephole_lstm", True, jnp.bfloat16), ("min_gru", False, jnp.float16), ("min_gru", True, jnp.bfloat16),
    ],
)  # fmt: skip
def test_nearer_to_float32_than_the_reference_in_the_types_that_were_given(name, ragged, dtype):
    cell, masks = getattr(cells, name)(), {"lengths": jnp.array([12, 4, 1])} if ragged else {}
    args = problem(cell, dtype)
    assert widened(body_of(cell.step, *args)) is not None
    found = {method: with_gradient(cell.step, args, method, **masks) for method in ("auto", "reference")}
    exact = with_gradient(cell.step, round_to(jnp.float32, args), "reference", **masks)
    assert [a.dtype for a in found["auto"]] == [a.dtype for a in found["reference"]]
    assert jnp.dtype(dtype) in [a.dtype for a in found["auto"]]
    assert distance(found["auto"], exact) < distance(found["reference"], exact)


def test_of_mixed_types_only_the_halves_are_widened():
    """An integer that counts, parameters in float32, a cast and a constant inside of the step."""

    def step(w, carry, x):
        h, count = carry
        h = jnp.tanh((x + h @ w.astype(jnp.bfloat16)) * jnp.bfloat16(0.5))
        return (h, count + 1), (h, count, h.astype(jnp.float32))

    w, h = jax.random.normal(jax.random.key(0), (D, D)), jnp.zeros((B, D), jnp.bfloat16)
    args = w, (h, jnp.int32(0)), jnp.ones((T, B, D), jnp.bfloat16)
    body = widened(body_of(step, *args))
    assert {str(v.aval.dtype) for e in body.jaxpr.eqns for v in e.outvars} == {"float32", "int32"}
    (last, count), ys = scan(step, *args)
    wanted = scan(step, *args, method="reference")
    assert count == T and [a.dtype for a in jax.tree.leaves(ys)] == [a.dtype for a in jax.tree.leaves(wanted[1])]
    assert jnp.allclose(last.astype(jnp.float32), wanted[0][0].astype(jnp.float32), atol=0.02)


@pytest.mark.parametrize(
    "f", (jax.nn.relu, lambda a: jax.lax.cond(a[0, 0] > 0, jnp.sin, jnp.cos, a), lambda a: jnp.nextafter(a, a + 1))
)
def test_what_cannot_be_retyped_runs_as_it_is(f):
    step = lambda w, h, x: (f(x + h @ w), h)
    args = jnp.eye(D, dtype=jnp.bfloat16), jnp.ones((B, D), jnp.bfloat16), jnp.ones((T, B, D), jnp.bfloat16)
    assert widened(body_of(step, *args)) is None
    assert jnp.array_equal(scan(step, *args)[0], scan(step, *args, method="deferred")[0])


def test_told_by_explain_and_not_of_float32():
    cell = cells.lstm()
    assert "in float32, which is faster on a CPU" in rnn_jax.explain(cell.step, *problem(cell, jnp.bfloat16))
    assert "in float32" not in rnn_jax.explain(cell.step, *problem(cell, jnp.float32))
    assert widened(body_of(cell.step, *problem(cell, jnp.float32))) is None
