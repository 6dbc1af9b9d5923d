"""The Flax layers: they are `scan` with parameters, usable inside anybody's NNX model."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from rnn_jax import cells, scan
from rnn_jax.nn import Bidirectional, Recurrent, Stack

T, B, N, D = 5, 3, 4, 6
LENGTHS = np.array([5, 0, 3])


def inputs(n=N, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(T, B, n)), jnp.float32)


def test_a_layer_is_scan():
    cell, xs = cells.lstm(), inputs()
    layer = Recurrent(cell, N, D, rngs=nnx.Rngs(0))
    params = jax.tree.map(lambda p: p[...], layer.params, is_leaf=lambda p: isinstance(p, nnx.Param))
    expected = scan(cell.step, params, cell.carry(B, D), xs, lengths=LENGTHS)
    for a, b in zip(jax.tree.leaves(layer(xs, lengths=LENGTHS)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_state_carried_over_windows():
    layer, xs = (
        Stack([Recurrent(cells.gru(), N, D, rngs=nnx.Rngs(0)), Recurrent(cells.lstm(), D, D, rngs=nnx.Rngs(1))]),
        inputs(),
    )
    carry, first = layer(xs[:2])
    carry, second = layer(xs[2:], carry)
    last, whole = layer(xs)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), carry, last)


def test_stack_of_bidirectional_layers():
    r = nnx.Rngs(0)
    two = lambda n: Bidirectional(
        Recurrent(cells.gru(), n, D, rngs=r), Recurrent(cells.lstm(), n, D, reverse=True, rngs=r)
    )
    model, xs = Stack([two(N), two(2 * D)]), inputs()
    names = ("0/forward/h", "1/backward/c")
    _, ys, seen = model(xs, lengths=LENGTHS, collect=names)
    assert ys.shape == (T, B, 2 * D) and set(seen) == set(names)
    # what lies past a sequence's end, noise included, changes nothing within it
    noise = jnp.where(np.arange(T)[:, None, None] < LENGTHS[:, None], xs, 7.0)
    np.testing.assert_array_equal(model(noise, lengths=LENGTHS)[1], ys)
    assert not np.any(ys[:, 1]) and not np.any(ys[3:, 2])
    with pytest.raises(ValueError, match="'h' names no layer here; write one of 0/h, 1/h"):
        model(xs, collect=("h",))
    with pytest.raises(ValueError, match="with reverse=True"):
        Bidirectional(Recurrent(cells.gru(), N, D, rngs=r), Recurrent(cells.gru(), N, D, rngs=r))


def test_causality():
    """No output depends on a later input."""
    model = Stack([Recurrent(cells.lstm(), N, D, rngs=nnx.Rngs(0)), Recurrent(cells.gru(), D, D, rngs=nnx.Rngs(1))])
    t = 2
    grad = jax.grad(lambda xs: jnp.sum(model(xs)[1][t] ** 2))(inputs())
    assert np.all(np.any(grad[: t + 1], axis=(1, 2))) and not np.any(grad[t + 1 :])


def test_learned_carry_gets_the_gradient_of_starts_and_resets():
    layer, xs = Recurrent(cells.lstm(), N, D, learn_carry=True, rngs=nnx.Rngs(0)), inputs()
    resets = np.zeros((T, B), bool)
    resets[3] = True
    loss = lambda m, resets: jnp.sum(m(xs, resets=resets)[1] ** 2)
    without = nnx.grad(loss)(layer, np.zeros((T, B), bool))["start"][0][...]
    with_reset = nnx.grad(loss)(layer, resets)["start"][0][...]
    assert without.shape == (1, D) and np.any(without) and np.max(np.abs(with_reset - without)) > 1e-4


def test_noise_from_a_key():
    """A cell whose step takes (x, key); evaluation gives no key."""
    gru = cells.gru()

    def step(params, h, x):
        if isinstance(x, tuple):
            x, key = x
            x = x * jax.random.bernoulli(key, 0.5, x.shape) * 2
        return gru.step(params, h, x)

    layer = Recurrent(gru._replace(step=step), N, D, rngs=nnx.Rngs(0))
    xs, key = inputs(), jax.random.key(1)
    np.testing.assert_array_equal(layer(xs, key=key)[1], layer(xs, key=key)[1])
    assert np.any(layer(xs, key=key)[1] != layer(xs)[1])


def test_in_a_user_s_model_under_nnx_transforms():
    """nnx.jit, nnx.grad and nnx.Optimizer; a sum of the inputs is learned."""

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.rnn = Recurrent(cells.lstm(), 1, 8, learn_carry=True, rngs=rngs)
            self.head = nnx.Linear(8, 1, rngs=rngs)

        def __call__(self, xs):
            return self.head(self.rnn(xs)[1][-1])

    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def update(model, optimizer, xs):
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(xs) - xs.sum(0)) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    keys = jax.random.split(jax.random.key(0), 150)
    losses = [float(update(model, optimizer, jax.random.uniform(k, (6, 32, 1)))) for k in keys]
    assert np.mean(losses[-10:]) < 0.1 * losses[0]
