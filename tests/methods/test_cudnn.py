"""method="cudnn": its recognition of the LSTM, weights and masks, with JAX's reference in place of the GPU's kernel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from rnn_jax import cells, scan
from rnn_jax.methods import cudnn

T, B, N, D = 6, 3, 4, 5
MASKS = {"full": {}, "lengths": {"lengths": np.array([6, 1, 3])}, "zero": {"lengths": np.array([2, 0, 6])}}


def problem(cell=None, seed=0):
    cell = cell or cells.lstm()  # anew: what was compiled for a step is kept with it
    rng = np.random.default_rng(seed)
    normal = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
    params = jax.tree.map(lambda a: a + 0.3 * normal(*a.shape), cell.init(jax.random.key(0), N, D))
    return cell.step, params, jax.tree.map(lambda a: normal(*a.shape), cell.carry(B, D)), normal(T, B, N)


@pytest.fixture
def on_a_gpu(monkeypatch):
    """The kernel, as JAX defines what it computes, on weights that JAX unpacks."""

    def kernel(x, h, c, weights, lengths):
        assert x.shape[0] == h.shape[1] == len(lengths) and weights.ndim == 1
        n, d = x.shape[-1], h.shape[-1]
        parts = rnn.unpack_lstm_weights(weights, n, d, 1, False)
        return rnn.lstm_ref(x, h, c, *parts, lengths, n, d, 1, 0.0, False)

    monkeypatch.setattr(cudnn, "available", lambda: True)
    monkeypatch.setattr(cudnn, "kernel", kernel)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_equals_the_reference(on_a_gpu, mask, reverse):
    step, *args = problem()

    def run(method):
        loss = lambda *args: sum(
            jnp.sum(jnp.sin(a))
            for a in jax.tree.leaves(scan(step, *args, method=method, reverse=reverse, **MASKS[mask]))
        )
        return scan(step, *args, method=method, reverse=reverse, **MASKS[mask]), jax.grad(loss, (0, 1, 2))(*args)

    for a, b in zip(jax.tree.leaves(run("cudnn")), jax.tree.leaves(run("reference")), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def test_any_lstm_with_the_same_equations(on_a_gpu):
    """Initial biases are no part of the step; a step written anew is recognised by its equations."""

    def own(p, carry, x):
        h, c = carry
        i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return (h, c), h

    _, *args = problem(cells.lstm(chrono=10))
    for step in (cells.lstm(3.0).step, own):
        np.testing.assert_allclose(scan(step, *args, method="cudnn")[1], scan(step, *args)[1], atol=2e-6)


def peephole(p, carry, x):
    (h, c), y = cells.lstm().step(p, carry, x)
    return (h, c + 0.1 * h), y


@pytest.mark.parametrize(
    ("step", "kwargs"),
    [
        (cells.gru(), {}), (peephole, {}), (cells.lstm(), {"collect": ("c",)}),
        (cells.lstm(), {"resets": np.zeros((T, B), bool)}), (cells.lstm(), {"taps": {"h": jnp.zeros((T, B, D))}}),
    ],
    ids=["gru", "another", "collect", "resets", "taps"],
)  # fmt: skip
def test_what_is_refused(on_a_gpu, step, kwargs):
    _, *args = problem(step if isinstance(step, cells.Cell) else cells.lstm())
    step = step.step if isinstance(step, cells.Cell) else step
    with pytest.raises(ValueError, match=r"cudnn: takes the step of rnn_jax\.cells\.lstm alone"):
        scan(step, *args, method="cudnn", **kwargs)


def test_half_precision_is_refused(on_a_gpu):
    step, *args = problem()
    half = functools.partial(jax.tree.map, lambda a: a.astype(jnp.bfloat16))
    with pytest.raises(ValueError, match="in float32"):
        scan(step, *map(half, args), method="cudnn")


@pytest.mark.skipif(cudnn.available(), reason="there is a GPU here")
def test_without_a_gpu():
    with pytest.raises(ValueError, match='needs an NVIDIA GPU, and JAX runs on "cpu"'):
        scan(*problem(), method="cudnn")


@pytest.mark.skipif(not cudnn.available(), reason="needs an NVIDIA GPU")
def test_on_a_gpu():
    step, *args = problem()
    np.testing.assert_allclose(scan(step, *args, method="cudnn")[1], scan(step, *args)[1], rtol=1e-3, atol=1e-4)


def test_weights_of_another_precision_are_refused():
    step, params, carry, xs = problem()
    halves = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
    with pytest.raises(ValueError, match="takes the step of"):
        scan(step, halves, carry, xs, method="cudnn")


def test_arguments_on_a_mesh(monkeypatch):
    """Where they lie is no part of the step: it is the standard LSTM all the same."""
    monkeypatch.setattr(cudnn, "available", lambda: False)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    place = lambda a: jax.device_put(a, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    cell = cells.lstm()
    params, xs = jax.tree.map(place, (cell.init(jax.random.key(0), 3, 4), jnp.zeros((5, 2, 3))))
    with pytest.raises(ValueError, match="needs an NVIDIA GPU"):
        jax.jit(lambda p, xs: scan(cell.step, p, cell.carry(2, 4), xs, method="cudnn"))(params, xs)
