"""Taggers and classifiers: packed rows against single sentences, what an output may see, pooling, dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scan_problems import agree

from rnn_jax import cells
from rnn_jax.data import packing
from rnn_jax.models import pooling
from rnn_jax.models.labelling import Classifier, Encoder, Tagger, around, drop, loss
from rnn_jax.models.language import cross_entropy
from rnn_jax.nn import functional

pytestmark = pytest.mark.usefixtures("quick_compilation")
V, C, D = 30, 3, 4
SENTENCES = [[4, 5, 6], [7, 8, 9, 10, 11, 12], [13], [14, 15, 16, 17]]
LAYOUT = [[1, 0], [3, 2], []]  # which sentences stand in which row; the last one is empty
ALONE = [[0], [1], [2], [3]]
ENCODERS = {
    "lstm": dict(cell=cells.lstm()),
    "tanh": dict(cell=cells.vanilla(), bidirectional=False, layers=2),
    "window": dict(cell=cells.vanilla(), reach=(1, 2)),
    "mlp": dict(cell=None, reach=(1, 1), layers=2),
}
call = nnx.jit(lambda model, *args: model(*args), static_argnums=3)  # one compilation, not one for each operation


def encoder(kind, **changes):
    return Encoder([(V, 5), (4, 2)], d=D, rngs=nnx.Rngs(0), **(ENCODERS[kind] | changes))


def build(kind, pool=None, **changes):
    """A tagger or a classifier, its weights larger than at the start: every path matters."""
    inside, rngs = encoder(kind, **changes), nnx.Rngs(1)
    model = Classifier(inside, C, pool=pool, rngs=rngs) if pool else Tagger(inside, C, rngs=rngs)
    params, rebuild = functional(model)
    return rebuild(jax.tree.map(lambda a: 2 * a + 0.05, params))


def two(tokens):
    """A second feature beside the first."""
    return jnp.stack([tokens, tokens % 4], axis=-1)


def rows(layout=LAYOUT, size=12):
    tokens, segments = packing.lay(layout, SENTENCES, size)
    return two(jnp.asarray(tokens.T)), jnp.asarray(segments.T)


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_sentence_in_a_packed_row_is_tagged_as_if_it_were_alone(kind):
    model = build(kind)
    tokens, segments = rows()
    logits, alone = call(model, tokens, segments), call(model, *rows(ALONE, 6))
    for row, items in enumerate(LAYOUT):
        for number, item in enumerate(items, 1):
            here = np.asarray(segments[:, row] == number)
            agree(logits[here, row], alone[: len(SENTENCES[item]), item], 1e-5)


@pytest.mark.parametrize("pool", pooling.KINDS)
def test_a_sentence_in_a_packed_row_is_labelled_as_if_it_were_alone(pool):
    model = build("tanh", pool, bidirectional=True, layers=1)
    (logits, weights), (alone, _) = call(model, *rows(), 3), call(model, *rows(ALONE, 6), 1)
    assert logits.shape == (3, 3, C) and (weights is None) == (pool != "attention")
    for row, items in enumerate(LAYOUT):
        for number, item in enumerate(items):
            agree(logits[number, row], alone[0, item], 1e-5)
    if weights is not None:
        there = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
        np.testing.assert_allclose(weights.sum(1), there, atol=1e-6)


def seen(model, t=7):
    """bool [t t]: does the logit at i depend, by its gradient, on word j of a sentence of different words?"""
    params, rebuild = functional(model)
    tokens = jnp.arange(t)[:, None]
    inputs = jnp.stack([tokens, jnp.zeros_like(tokens)], -1)

    def logits(table):
        changed = jax.tree.map(lambda a: a, params)  # a copy
        changed["encoder"]["embeddings"][0]["embedding"] = table
        return rebuild(changed)(inputs, jnp.ones_like(tokens))[:, 0].sum(-1)

    one = jax.jit(jax.grad(lambda table, i: logits(table)[i]))
    table = params["encoder"]["embeddings"][0]["embedding"]
    return np.stack([np.abs(one(table, i)[:t]).max(-1) > 0 for i in range(t)])


def test_what_a_tag_sees():
    at = np.arange(7)
    np.testing.assert_array_equal(seen(build("tanh")), at[:, None] >= at)  # one direction: nothing that comes later
    assert seen(build("tanh", bidirectional=True, layers=1)).all()
    before = at[:, None] - at
    np.testing.assert_array_equal(seen(build("mlp", reach=(2, 2))), np.abs(before) <= 2)
    np.testing.assert_array_equal(seen(build("mlp", reach=(2, 0))), (before >= 0) & (before <= 2))
    np.testing.assert_array_equal(seen(build("mlp", reach=(0, 0))), np.eye(7, dtype=bool))
    np.testing.assert_array_equal(seen(build("window", bidirectional=False)), before >= -2)  # reach of a memory


def test_words_around_are_those_of_the_same_sentence():
    xs, resets = jnp.arange(1.0, 6)[:, None, None], jnp.asarray([True, False, False, True, False])[:, None]
    want = [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 0], [0, 4, 5, 0], [4, 5, 0, 0]]
    np.testing.assert_array_equal(around(xs, resets, (1, 2))[:, 0], want)


def test_pooling_is_what_its_docstring_says():
    h = jnp.asarray(np.random.default_rng(0).normal(size=(6, 1, 4)))
    segments = jnp.asarray([1, 1, 1, 2, 2, 0])[:, None]
    params = {"wq": np.ones((2, 3)), "wk": np.ones((4, 3)) * 0.3, "v": np.arange(3.0)}
    pooled, weights = jax.jit(pooling.attend, static_argnums=2)(h, segments, 2, jnp.asarray([0.5, 0.1]), params)
    mean, most = (jax.jit(f, static_argnums=2)(h, segments, 2) for f in (pooling.mean, pooling.max))
    last = jax.jit(pooling.last, static_argnums=(2, 3))(h, segments, 2, 3)
    for n, (i, j) in enumerate([(0, 3), (3, 5)]):
        mine = np.asarray(h[i:j, 0])
        np.testing.assert_allclose(mean[n, 0], mine.mean(0), rtol=1e-5)
        np.testing.assert_array_equal(most[n, 0], mine.max(0))
        np.testing.assert_array_equal(last[n, 0], np.concatenate([mine[-1, :3], mine[0, 3:]]))
        want = np.exp(np.tanh(mine @ params["wk"] + 0.6) @ params["v"])
        want /= want.sum()
        np.testing.assert_allclose(weights[n, i:j, 0], want, rtol=1e-5)
        np.testing.assert_allclose(pooled[n, 0], want @ mine, rtol=1e-4)


@pytest.mark.parametrize("pool", pooling.KINDS)
def test_a_row_of_padding_is_finite_and_without_a_gradient(pool):
    params, rebuild = functional(build("tanh", pool))
    tokens, segments = two(jnp.zeros((5, 2), int)), jnp.zeros((5, 2), int)

    def value(params):
        logits, _ = rebuild(params)(tokens, segments, 2)
        return jnp.sum(jnp.sin(logits)) + loss(logits, jnp.zeros((2, 2), int), jnp.zeros((2, 2), bool))

    found, grads = jax.jit(jax.value_and_grad(value))(params)
    assert jnp.isfinite(found)
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        here = jnp.abs(grad).max()
        assert here > 0 if "bias" in str(path) and "head" in str(path) else here == 0, path


def test_the_loss_is_over_what_is_kept():
    rng = np.random.default_rng(0)
    logits, targets, kept = rng.normal(size=(4, 3, C)), rng.integers(0, C, (4, 3)), rng.random((4, 3)) < 0.5
    run = jax.jit(loss, static_argnums=3)
    for smoothing in (0.0, 0.2):
        want = cross_entropy(logits[kept], targets[kept], smoothing).mean()
        np.testing.assert_allclose(run(logits, targets, kept, smoothing), want, rtol=1e-5)
    assert run(logits, targets, kept & False, 0.0) == 0


def test_dropout_and_unknown_words():
    tokens, segments = rows()
    plain, model = call(build("tanh"), tokens, segments), build("tanh", dropout=0.5)
    agree(call(model, tokens, segments), plain, 1e-6)  # without a key there is none
    train = nnx.jit(lambda model, i: model(tokens, segments, jax.random.key(i)))
    assert (train(model, 0) != train(model, 1)).any() and (train(model, 0) != plain).any()
    kept = drop(jax.random.key(0), jnp.ones((200, 200)), 0.25)
    assert np.unique(kept) == pytest.approx([0, 1 / 0.75]) and abs(float(kept.mean()) - 1) < 0.02
    lost = train(build("tanh", word_dropout=1.0, unknown=2), 0)
    agree(lost, call(build("tanh"), tokens.at[..., 0].set(2), segments), 1e-6)  # of the first feature alone


def test_no_such_pooling():
    with pytest.raises(ValueError, match="no pooling 'sum'; there are last, mean, max, attention"):
        build("tanh", "sum")
