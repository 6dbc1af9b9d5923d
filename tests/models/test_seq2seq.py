"""Encoder-decoder: packed rows against single sentences, decoding against training, causality, sampling, dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree

from rnn_jax import cells, decoding
from rnn_jax.data import packing
from rnn_jax.models.decoder import begins
from rnn_jax.models.seq2seq import Seq2Seq, ends

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")
V, W = 11, 9
KINDS = {
    "state": dict(cell=cells.lstm(), inform="state", layers=2, bidirectional=False),
    "input": dict(cell=cells.gru(), inform="input"),
    "bahdanau": dict(cell=cells.gru(reset_after=True), attention="additive", deep=3),
    "bahdanau_deep": dict(cell=cells.lstm(), attention="concat", layers=2),
    "complex_deep": dict(cell=cells.lru(), layers=2),
    "luong": dict(cell=cells.lstm(), attention="general", when="after", feed=True, bidirectional=False),
    "luong_dot": dict(cell=cells.vanilla(), attention="dot", when="after", bidirectional=False),
}
PAIRS = [([3, 4, 5], [6, 7]), ([5, 6, 7, 8, 9], [4, 5, 6, 7, 8]), ([10, 4], [3]), ([8, 8, 3, 9], [7, 3, 4, 5])]


def build(kind, **changes):
    model = Seq2Seq(sources=V, targets=W, d=5, embed=4, **(KINDS[kind] | changes))
    params = model.init(jax.random.key(0))
    # float64, and larger than at the start: every path matters
    return model, jax.tree.map(lambda a: 2 * a.astype(jnp.float64) + 0.05, params)


def rows(pairs, layout, size=12):
    """source, its segments, inputs, targets' segments, time-major; layout: which pairs stand in which row."""
    sources, targets = [a for a, _ in pairs], [b for _, b in pairs]
    laid = packing.lay(layout, sources, size), packing.lay(layout, targets, size)
    return [jnp.asarray(a.T) for pair in laid for a in pair]


def alone(model, params, pair):
    s, t = (jnp.asarray(a)[:, None] for a in pair)
    return jax.jit(model.logits)(params, s, jnp.ones_like(s), t, jnp.ones_like(t))[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_in_a_packed_row_is_scored_as_if_it_were_alone(kind):
    model, params = build(kind)
    layout = [[1, 0, 2], [3], []]
    args = rows(PAIRS, layout)
    logits = jax.jit(model.logits)(params, *args)
    for row, items in enumerate(layout):
        for number, item in enumerate(items, 1):
            here = np.asarray(args[3][:, row] == number)
            agree(logits[here, row], alone(model, params, PAIRS[item]), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_that_of_the_pairs_alone(kind):
    """The packed rows by "deferred", the pairs alone by "reference"."""
    (fast, params), (plain, _) = (build(kind, method=method) for method in ("deferred", "reference"))
    args = rows(PAIRS[:3], [[0, 1], [2]])
    packed = lambda params: jnp.sum(jnp.where((args[3] > 0)[..., None], jnp.sin(fast.logits(params, *args)), 0))
    single = lambda params: sum(jnp.sum(jnp.sin(alone(plain, params, pair))) for pair in PAIRS[:3])
    agree(*(jax.jit(jax.grad(loss))(params) for loss in (packed, single)), 1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_steps_are_training_steps(kind):
    """The scores of each token, fed one by one, are those under teacher forcing; and greedy decoding follows them."""
    model, params = build(kind)
    source, target = PAIRS[1]
    s = jnp.asarray(source)[:, None]
    given, carry = model.begin(params, model.encode(params, s, jnp.ones_like(s)))
    want = alone(model, params, PAIRS[1])
    for i, token in enumerate(target):
        carry, logits = model.step(given, carry, jnp.asarray([token]))
        agree(logits[0], want[i], 1e-12)
    if model.inform == "attention":
        np.testing.assert_allclose(carry[1].sum(), len(target), rtol=1e-12)  # the attention so far
    given, carry = model.begin(params, model.encode(params, s, jnp.ones_like(s)))
    carry, logits = model.step(given, carry, jnp.asarray([2]))
    written = decoding.beam_search(model.step, given, carry, logits, 6, beams=3, end=3).tokens[:, 0, 0]
    assert written.shape == (6,)


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_sees_what_comes_later(kind):
    model, params = build(kind)
    s, segments, inputs, marks = rows(PAIRS, [[1], [3]])
    base = model.logits(params, s, segments, inputs, marks)
    later = inputs.at[3, 0].set((inputs[3, 0] + 1) % W)
    other = model.logits(params, s, segments, later, marks)
    np.testing.assert_array_equal(base[:3], other[:3])
    assert (base[3, 0] != other[3, 0]).any()
    np.testing.assert_array_equal(base[:, 1], other[:, 1])


def test_another_source_is_another_translation():
    for kind in KINDS:
        model, params = build(kind)
        one, two = alone(model, params, PAIRS[1]), alone(model, params, ([5, 6, 7, 8, 3], PAIRS[1][1]))
        assert (one != two).any(-1).all(), kind


@pytest.mark.parametrize("kind", ["state", "bahdanau", "luong"])
def test_scheduled_sampling(kind):
    """Always given: teacher forcing. Never: each segment's first token, then what the model finds most likely."""
    model, params = build(kind)
    args = rows(PAIRS, [[0, 1], [2, 3]])
    run = lambda p: model.logits(params, *args, forcing=jnp.full(2, p), key=jax.random.key(0))
    agree(run(1.0), model.logits(params, *args), 1e-12)
    free, (_, _, inputs, segments) = run(0.0), args
    fed = jnp.where(begins(segments), inputs, jnp.roll(free.argmax(-1), 1, 0).astype(inputs.dtype))
    agree(free, model.logits(params, *args[:2], fed, segments), 1e-12)
    some = run(0.5)
    assert (some != free).any() and (some != run(1.0)).any()
    with pytest.raises(ValueError, match="give a key"):
        model.logits(params, *args, forcing=jnp.ones(2))


def test_a_coin_for_each_token():
    model, params = build("bahdanau")
    args = rows([([3] * 12, [4] * 12)] * 200, [[i] for i in range(200)])
    key = jax.random.key(1)
    free, half, given = (
        model.logits(params, *args, forcing=jnp.full(200, p), key=key)[..., 0] for p in (0.0, 0.5, 1.0)
    )
    assert (half != free).any() and (half != given).any()  # neither the one nor the other everywhere
    assert len(np.unique(np.asarray(half).T, axis=0)) > 20  # and not alike in all rows


@pytest.mark.parametrize("variational", [False, True])
def test_dropout(variational):
    model, params = build("bahdanau_deep", dropout=0.5, dropout_out=0.2, variational=variational)
    args = rows(PAIRS, [[0, 1], [2, 3]])
    run = lambda key: model.logits(params, *args, key=key)
    agree(run(None), build("bahdanau_deep")[0].logits(params, *args), 1e-12)
    one, two = run(jax.random.key(0)), run(jax.random.key(1))
    assert (one != two).any() and (one != run(None)).any()
    mask = model.mask(jax.random.key(2), (50, 40, 30), 0.25)
    assert np.unique(mask) == pytest.approx([0, 1 / 0.75]) and abs(float(mask.mean()) - 1) < 0.1
    assert bool((mask == mask[0]).all()) is variational


def test_where_segments_begin_and_end():
    source = jnp.asarray([[1, 1, 2, 2, 2, 0]]).T
    target = jnp.asarray([[1, 2, 2, 3, 0]]).T
    assert begins(target)[:, 0].tolist() == [True, True, False, True, True]
    last, first = ends(source, target)
    assert last[:, 0].tolist()[:4] == [1, 4, 4, 0] and first[:, 0].tolist()[:4] == [0, 2, 2, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inform": "memory"}, "inform is 'memory'; want one of state, input, attention"),
        ({"attention": "cosine"}, "attention is 'cosine'; want one of additive, dot"),
        ({"feed": True}, r"feed=True feeds back .*needs inform=\"attention\", when=\"after\""),
    ],
)
def test_what_makes_no_model_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build("bahdanau", **changes)
