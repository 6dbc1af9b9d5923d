"""method="auto": what it picks, that `explain` says so, and that a pass without a gradient is another program."""

import re

import jax
import jax.numpy as jnp
import pytest
from scan_problems import CELLS, MASKS, agree, as_if_on_a_gpu, gradients, normal, problem, scalar

import rnn_jax
from rnn_jax import cells, scan
from rnn_jax.methods import auto, chunked, native
from rnn_jax.methods.auto import pick
from rnn_jax.methods.deferred import loop
from rnn_jax.methods.native import build
from rnn_jax.tracing import inner_jaxprs, one_step, trace

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")


def picked(cell, shape, platform="cpu", dtype=jnp.float32):
    b, t, n, d = shape
    zeros = lambda a: jnp.zeros(a.shape, a.dtype if jnp.iscomplexobj(a) else dtype)
    params, carry = jax.tree.map(zeros, jax.eval_shape(lambda: (cell.init(jax.random.key(0), n, d), cell.carry(b, d))))
    x = jax.typeof(jnp.zeros((b, n), dtype))
    body = trace(cell.step, params, carry, x, taps={}, collect=[], active=None, reset=None).body
    return pick(body, t, platform)


def loops(jaxpr):
    """The loops over time."""
    inner = [e for eqn in jaxpr.eqns for j in inner_jaxprs(eqn) for e in loops(j)]
    return inner + [e for e in jaxpr.eqns if e.primitive.name == "scan"]


def primitives(jaxpr, looped=False):
    """Names of all equations, (outside of loops, inside)."""
    found = [], []
    for e in jaxpr.eqns:
        found[looped].append(e.primitive.name)
        for inner in inner_jaxprs(e):
            for mine, more in zip(found, primitives(inner, looped or e.primitive.name == "scan"), strict=True):
                mine += more
    return found


@pytest.mark.parametrize(
    ("cell", "shape", "forward", "gradient"),
    [
        (cells.lstm(), (32, 100, 64, 128), "hoisted", "deferred"),  # four gates
        (cells.lstm(), (64, 100, 64, 128), "hoisted", "chunked"),  # 66 MiB kept
        (cells.lstm(), (16, 128, 768, 768), "deferred", "chunked"),  # large W_x
        (cells.gru(), (32, 100, 64, 128), "deferred", "deferred"),
        (cells.gru(), (64, 128, 256, 512), "hoisted", "chunked"),  # 48 MiB of products of inputs
        (cells.vanilla(), (20, 200, 6, 50), "deferred", "deferred"),
        (cells.min_gru(), (1, 65_536, 64, 64), "deferred", "chunked"),
    ],
)
def test_the_table(monkeypatch, cell, shape, forward, gradient):
    if not build.problem():
        assert picked(cell, shape)[:2] == ("native", "native")
    monkeypatch.setattr(native, "problem", lambda: "there is no C++ compiler")
    assert picked(cell, shape)[:2] == (forward, gradient)
    assert picked(cell, shape, "tpu")[:2] == ("deferred", "deferred")
    assert "not measured on a tpu" in picked(cell, shape, "tpu").why


@pytest.mark.parametrize(
    ("cell", "shape", "capability", "method", "why"),
    [
        (cells.min_gru(), (32, 100, 64, 64), (9, 0), "associative", "linear in its carry"),
        (cells.lru(), (1, 4096, 64, 64), (7, 5), "associative", "linear in its carry"),
        (cells.lstm(), (32, 100, 64, 64), (9, 0), "fused", "one kernel"),
        (cells.heads_lstm(), (16, 1024, 768, 768), (10, 0), "fused", "one kernel"),
        (cells.lstm(), (32, 100, 64, 64), (8, 0), "deferred", "steps in each iteration of the loop$"),
        (cells.lstm(), (32, 100, 64, 64), (), "deferred", "steps in each iteration of the loop$"),
        (cells.lstm(), (16, 1024, 768, 768), (9, 0), "deferred", r"\(fused: a program would hold .* or narrower\)$"),
        (cells.gru(), (32, 100, 64, 24), (9, 0), "deferred", "powers of two"),
    ],
)
def test_the_table_of_a_gpu(monkeypatch, cell, shape, capability, method, why):
    monkeypatch.setattr(auto, "capability", lambda: capability)
    with as_if_on_a_gpu():
        choice = picked(cell, shape, "gpu")
    assert choice[:2] == (method, method) and re.search(why, choice.why)


def test_several_gpus_and_double_precision_have_no_kernel(monkeypatch):
    monkeypatch.setattr(auto, "capability", lambda: (9, 0))
    with as_if_on_a_gpu():
        assert picked(cells.lstm(), (32, 100, 64, 64), "gpu", jnp.float64).gradient == "deferred"
        monkeypatch.setattr(jax, "device_count", lambda: 2)
        assert picked(cells.lstm(), (32, 100, 64, 64), "gpu").gradient == "deferred"


def test_a_gpu_runs_several_steps_in_an_iteration(monkeypatch):
    monkeypatch.setitem(loop.UNROLL, "cpu", 4)
    cell = cells.gru()  # of its own: compiled calls are kept by step
    args = cell.step, *problem(cell)
    call = lambda *args: gradients(*args, method="deferred")
    unrolled = [e.params["unroll"] for e in loops(jax.make_jaxpr(lambda *a: call(args[0], *a))(*args[1:]).jaxpr)]
    assert unrolled and set(unrolled) == {4}
    agree(call(*args), gradients(*args, method="reference"))


def test_several_devices_keep_their_one_all_reduce(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert picked(cells.lstm(), (64, 100, 64, 128)).gradient == "deferred"


def test_a_gradient_in_chunks(monkeypatch):
    monkeypatch.setattr(auto, "LARGE_KEPT", 0)
    monkeypatch.setattr(chunked, "CACHE", 6000)
    cell = cells.lstm()  # of its own: compiled calls are kept by step
    args = cell.step, *problem(cell)
    assert "and 2 steps" in rnn_jax.explain(*args)
    agree(gradients(*args), gradients(*args, method="reference"))


def test_explain_tells():
    told = lambda name: rnn_jax.explain(CELLS[name].step, *problem(CELLS[name])).splitlines()[-1]
    assert told("lstm").startswith("method      auto picks 'deferred' ('hoisted' where no gradient is asked for): ")
    assert told("gru").startswith("method      auto picks 'deferred': ")


@pytest.mark.parametrize("mask", MASKS)
def test_both_passes_equal_the_reference(mask):
    args, kwargs = (CELLS["lstm"].step, *problem(CELLS["lstm"])), MASKS[mask]
    agree(gradients(*args, **kwargs), gradients(*args, method="reference", **kwargs))


def test_without_a_gradient_inputs_are_read_step_by_step():
    cell, (params, carry, xs) = CELLS["lstm"], problem(CELLS["lstm"])
    ys = lambda params: scan(cell.step, params, carry, xs)[1]
    gradient = jax.grad(lambda params: jnp.sum(ys(params)))
    products = lambda f: primitives(jax.make_jaxpr(f)(params).jaxpr)[0].count("dot_general")
    assert products(ys) == 0 and products(gradient) > 0


@pytest.mark.parametrize(("cell", "mask"), [("cayley", "full"), ("gru", "both")])
def test_hoisted_equals_the_reference(cell, mask):
    args, kwargs = (CELLS[cell].step, *problem(CELLS[cell])), MASKS[mask]
    agree(gradients(*args, method="hoisted", **kwargs), gradients(*args, method="reference", **kwargs), 1e-11)


def test_hoisted_solves_once_and_takes_forward_mode():
    cell, (params, carry, xs) = CELLS["cayley"], problem(CELLS["cayley"])
    ys = lambda params: scan(cell.step, params, carry, xs, method="hoisted")[1]
    outside, inside = primitives(jax.make_jaxpr(ys)(params).jaxpr)
    assert "lu" in outside and "abs" in inside and "lu" not in inside and "triangular_solve" not in inside
    assert jax.jvp(ys, (params,), (params,))[1].shape == ys(params).shape


def test_second_derivatives_closed_over_arrays_and_vmap():
    cell, (params, carry, xs) = CELLS["lstm"], problem(CELLS["lstm"])
    scale = normal(9, 5)

    def penalty(scale, params, method):
        step = lambda p, k, x: cell.step(p, jax.tree.map(lambda a: a * scale, k), x)
        loss = lambda p: scalar(scan(step, p, carry, xs, method=method))
        return scalar(jax.grad(loss)(params))

    twice = lambda m: jax.vmap(jax.grad(lambda s: penalty(s, params, m)))(jnp.stack([scale, 0.5 * scale]))
    agree(twice("auto"), twice("reference"), 1e-10)


def test_effects_stay_with_the_gradient_method():
    """A callback is run once and in order, which `lax.scan` does not promise under a gradient."""
    cell = CELLS["lstm"]

    def step(params, carry, x):
        jax.debug.callback(lambda x: None, x)
        return cell.step(params, carry, x)

    params, carry, xs = problem(cell)
    body = trace(step, params, carry, one_step(xs), taps={}, collect=[], active=None, reset=None).body
    assert pick(body, 6, "cpu").forward == "deferred"
