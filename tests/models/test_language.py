"""Language models: what a logit may depend on, the state between windows, and the loss."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from rnn_jax import cells
from rnn_jax.models.language import RecurrentLM, WindowLM, cross_entropy

V, D, CONTEXT = 6, 5, 4


def recurrent(cell, **kwargs):
    return RecurrentLM(cell, V, D, rngs=nnx.Rngs(1), **kwargs)


def window(order):
    return WindowLM(V, D, context=CONTEXT, embed=3, order=order, rngs=nnx.Rngs(1))


MODELS = {
    "lstm": lambda: recurrent(cells.lstm()),
    "gru, 2 layers, embedded": lambda: recurrent(cells.gru(), layers=2, embed=3),
    "window_mlp": lambda: window(True),
    "average": lambda: window(False),
}
every_model = pytest.mark.parametrize("name", MODELS)
call = nnx.jit(lambda model, *args: model(*args))  # one compilation is sooner done than one for each operation


def random_tokens(t, b, seed=0):
    return jnp.asarray(np.random.default_rng(seed).integers(0, V, (t, b)), jnp.int32)


def differs(a, b):
    """bool [...]: where two logits [... v] differ by more than rounding."""
    return np.abs(np.asarray(a) - np.asarray(b)).max(-1) > 1e-5


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6), a, b)


@every_model
def test_no_logit_depends_on_a_later_token(name):
    t = 9
    tokens = jnp.tile(random_tokens(t, 1), (1, t))  # column k will have another token at step k
    changed = jnp.where(jnp.eye(t, dtype=bool), (tokens + 1) % V, tokens)
    model = MODELS[name]()
    now, at = np.arange(t)[:, None], np.arange(t)[None]
    where = differs(call(model, tokens)[1], call(model, changed)[1])
    assert not where[now < at].any()
    assert where[now == at].all(), "a logit does not see its own token"
    reach = getattr(model, "context", t)
    assert not where[now >= at + reach].any(), "a logit sees beyond its context"
    assert where[(now >= at) & (now < at + reach)].mean() > 0.8


@every_model
@pytest.mark.parametrize("reset", [False, True])
def test_windows_with_the_state_carried_are_one_long_window(name, reset):
    t, b = 11, 3
    tokens = random_tokens(t, b)
    marks = [[1, 2, 4, 5, 9], [0, 0, 1, 2, 2]]  # within a window, at its first and its last step, twice in a context
    resets = jnp.zeros((t, b), bool).at[tuple(marks)].set(True) if reset else None
    model = MODELS[name]()
    last, whole = call(model, tokens, None, resets)
    carry, parts = model.initial_carry(b), []
    for i, j in ((0, 5), (5, 6), (6, t)):  # a window of one step is shorter than the context
        carry, logits = call(model, tokens[i:j], carry, resets[i:j] if reset else None)
        parts.append(logits)
    assert_close(jnp.concatenate(parts), whole)
    assert_close(carry, last)
    assert jax.tree.map(jnp.shape, model.initial_carry(b)) == jax.tree.map(jnp.shape, last)


@every_model
def test_a_reset_cuts_everything_before_it(name):
    t, at = 9, 6
    tokens = random_tokens(t, 2)
    tokens = tokens.at[:at, 1].set((tokens[:at, 0] + 1) % V).at[at:, 1].set(tokens[at:, 0])  # two pasts, one document
    resets = jnp.zeros((t, 2), bool).at[at].set(True)
    model = MODELS[name]()
    carry, logits = call(model, tokens, None, resets)
    assert_close(logits[at:, 0], logits[at:, 1])
    assert_close(logits[at:], call(model, tokens[at:])[1])  # as if the text began there
    later = call(model, random_tokens(t - at, 1).repeat(2, 1), carry)[1]
    assert_close(later[:, 0], later[:, 1])
    unmarked = call(model, tokens)[1][at]
    assert differs(unmarked[0], unmarked[1]), "without the mark the past is seen"


def test_the_order_within_the_window():
    orders = jnp.asarray(list(itertools.permutations(range(CONTEXT))), jnp.int32).T  # [context 24]
    tokens = jnp.concatenate([random_tokens(3, orders.shape[1]), orders])  # what lies before the window is not seen
    average, mlp = (call(MODELS[name](), tokens)[1][-1] for name in ("average", "window_mlp"))
    assert_close(average, jnp.broadcast_to(average[:1], average.shape))
    distance = np.abs(np.asarray(mlp[:, None] - mlp[None])).max(-1) + np.eye(len(mlp))
    assert distance.min() > 1e-4  # 24 orders, 24 predictions


def test_the_average_is_over_what_is_known():
    """At a document's start it is over the tokens that are there, not over zeros as well."""
    _, logits = call(MODELS["average"](), jnp.full((CONTEXT + 2, 1), 3, jnp.int32))
    assert_close(logits, jnp.broadcast_to(logits[:1], logits.shape))


def test_one_hot_is_an_embedding_by_the_identity():
    one_hot, embedded = recurrent(cells.gru()), recurrent(cells.gru(), embed=V)
    embedded.embedding.embedding[...] = jnp.eye(V)
    embedded.rnn, embedded.head = one_hot.rnn, one_hot.head
    tokens = random_tokens(4, 2)
    assert_close(call(one_hot, tokens)[1], call(embedded, tokens)[1])


def test_cross_entropy():
    logits, targets = jnp.asarray(5 * np.random.default_rng(0).normal(size=(3, 2, V)), jnp.float32), random_tokens(3, 2)
    p = np.exp(np.asarray(logits, np.float64))
    p /= p.sum(-1, keepdims=True)
    want = -np.log(np.take_along_axis(p, np.asarray(targets)[..., None], -1)[..., 0])
    np.testing.assert_allclose(jax.jit(cross_entropy)(logits, targets), want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cross_entropy(jnp.full((3, 2, V), 7.0), targets), np.log(V), rtol=1e-6)
    np.testing.assert_allclose(cross_entropy(jnp.asarray([1e4, 0.0, -1e4]), jnp.asarray(2)), 2e4)  # no overflow
    gradient = jax.jit(jax.grad(lambda x: cross_entropy(x, targets).sum()))(logits)
    np.testing.assert_allclose(gradient, p - np.eye(V)[np.asarray(targets)], atol=1e-6)
