"""Language models: no logit sees a later token, the state goes on over windows, resets cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnn_jax import cells
from rnn_jax.models.language import RecurrentLM, WindowLM, cross_entropy

T, B, V, D = 9, 3, 7, 5
MODELS = {
    "one_hot": lambda: RecurrentLM(cells.lstm(), V, D, layers=2, rngs=nnx.Rngs(0)),
    "embedded": lambda: RecurrentLM(cells.gru(), V, D, embed=4, rngs=nnx.Rngs(0)),
    "window_mlp": lambda: WindowLM(V, D, context=4, embed=3, rngs=nnx.Rngs(0)),
    "average": lambda: WindowLM(V, D, context=4, embed=3, order=False, rngs=nnx.Rngs(0)),
}


def tokens(seed=0, t=T):
    return jnp.asarray(np.random.default_rng(seed).integers(0, V, (t, B)))


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_causality(name):
    model, x, t = MODELS[name](), tokens(), 4
    changed = x.at[t + 1 :].set((x[t + 1 :] + 1) % V)
    before, after = model(x)[1], model(changed)[1]
    assert before.shape == (T, B, V)
    np.testing.assert_array_equal(before[: t + 1], after[: t + 1])
    assert np.all(np.any(before[t + 1] != after[t + 1], axis=-1))


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_windows_continue_one_another(name, resets):
    model, x = MODELS[name](), tokens()
    marks = jnp.asarray(np.random.default_rng(1).random((T, B)) < 0.3) if resets else None
    carry, pieces = model.initial_carry(B), []
    for a, b in ((0, 2), (2, 3), (3, T)):
        carry, logits = model(x[a:b], carry, None if marks is None else marks[a:b])
        pieces.append(logits)
    close(jnp.concatenate(pieces), model(x, None, marks)[1])


@pytest.mark.parametrize("name", MODELS)
def test_a_reset_cuts_the_document_before(name):
    model, x, t = MODELS[name](), tokens(), 5
    marks = jnp.zeros((T, B), bool).at[t].set(True)
    close(model(x, None, marks)[1][t:], model(x[t:])[1])
    assert np.any(np.abs(model(x)[1][t:] - model(x[t:])[1]) > 1e-4)


def test_only_the_average_ignores_order():
    x, t = tokens(), 6
    swapped = x.at[t - 3].set(x[t - 1]).at[t - 1].set(x[t - 3])  # both within the window of step t
    average, mlp = MODELS["average"](), MODELS["window_mlp"]()
    close(average(x)[1][t], average(swapped)[1][t])
    assert np.any(np.abs(mlp(x)[1][t] - mlp(swapped)[1][t]) > 1e-3)


def test_a_window_forgets_what_lies_before_it():
    model, x = MODELS["window_mlp"](), tokens()
    close(model(x)[1][-1], model(x.at[: T - 4].set(0))[1][-1])


def test_cross_entropy():
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(T, B, V)), jnp.float32)
    expected = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits)), np.asarray(tokens())[..., None], -1)[..., 0]
    close(cross_entropy(logits, tokens()), expected)
    close(cross_entropy(jnp.zeros((T, B, V)), tokens()), np.log(V))
