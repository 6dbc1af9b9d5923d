"""Captioner: decoding against training, causality, the picture, the doubly stochastic penalty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree

from rnn_jax import cells, decoding
from rnn_jax.models.captioner import Captioner, unbalanced

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")
W, K = 9, 6
KINDS = {
    "cnn_h0": dict(cell=cells.lstm(), inform="state", layers=2),
    "show_and_tell": dict(cell=cells.lstm(), inform="state", see="first"),
    "show_attend_tell": dict(cell=cells.lstm(), gate=True),
    "attend_first": dict(cell=cells.gru(), see="first", layers=2),
    "luong": dict(cell=cells.gru(), attention="general", when="after", feed=True),
    "input": dict(cell=cells.vanilla(), inform="input", see="first"),
    "heads": dict(cell=cells.heads_lstm(head=3), inform="state", see="first", d=6),
}
FEATURES = np.random.default_rng(3).standard_normal((3, 2, 4, K))
TEXT = jnp.asarray([[2, 4, 5, 6, 3], [2, 7, 3, 0, 0], [2, 8, 8, 4, 0]]).T
SEGMENTS = jnp.asarray([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]).T


def build(kind, **changes):
    model = Captioner(targets=W, channels=K, **({"d": 5, "embed": 4} | KINDS[kind] | changes))
    params = model.init(jax.random.key(0))
    return model, jax.tree.map(lambda a: 2 * a.astype(jnp.float64) + 0.05, params)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_steps_are_training_steps(kind):
    model, params = build(kind)
    want = model.logits(params, FEATURES, TEXT, SEGMENTS)
    given, carry = model.begin(params, model.look(jnp.asarray(FEATURES)))
    for i, tokens in enumerate(TEXT):
        carry, logits = model.step(given, carry, tokens)
        here = np.asarray(SEGMENTS[i] == 1)
        agree(logits[here], want[i][here], 1e-12)
    given, carry = model.begin(params, model.look(jnp.asarray(FEATURES)))
    carry, logits = model.step(given, carry, TEXT[0])
    assert decoding.beam_search(model.step, given, carry, logits, 6, beams=3, end=3).tokens.shape == (6, 1, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_counts_and_its_scale_does_not(kind):
    model, params = build(kind)
    base = model.logits(params, FEATURES, TEXT, SEGMENTS)
    agree(model.logits(params, 100 * FEATURES, TEXT, SEGMENTS), base, 1e-6)
    other = model.logits(params, jnp.asarray(FEATURES).at[0].multiply(-1), TEXT, SEGMENTS)
    assert (other[:, 0] != base[:, 0]).any(-1).all()
    np.testing.assert_array_equal(other[:, 1:], base[:, 1:])
    nothing = model.logits(params, np.zeros_like(FEATURES), TEXT, SEGMENTS)
    assert np.isfinite(nothing).all()


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_sees_what_comes_later(kind):
    model, params = build(kind)
    base = model.logits(params, FEATURES, TEXT, SEGMENTS)
    other = model.logits(params, FEATURES, TEXT.at[3, 0].set(7), SEGMENTS)
    np.testing.assert_array_equal(base[:3], other[:3])
    assert (base[3, 0] != other[3, 0]).any()


@pytest.mark.parametrize("kind", ["show_attend_tell", "luong"])
def test_the_gradient_by_both_methods(kind):
    fast, slow = (
        jax.grad(lambda p, m=build(kind, method=method)[0]: jnp.sum(jnp.sin(m.logits(p, FEATURES, TEXT, SEGMENTS))))(
            build(kind)[1]
        )
        for method in ("deferred", "reference")
    )
    agree(fast, slow, 1e-11)


def test_the_gate_scales_what_is_read():
    """Shut, the model is one that reads nothing: its weights no longer count."""
    model, params = build("show_attend_tell")
    shut = params | {"gate": {"w": jnp.zeros((5, 1)), "b": jnp.full(1, -1e3)}}
    turned = shut | {"attention": shut["attention"] | {"wk": -shut["attention"]["wk"]}}
    run = lambda params: model.logits(params, FEATURES, TEXT, SEGMENTS)
    agree(run(shut), run(turned), 1e-12)
    assert (run(params) != run(params | {"attention": turned["attention"]})).any()


def test_the_penalty_of_attention():
    """0 where each position has had a weight of 1 in all; collected weights are 0 after the end of a caption."""
    even = jnp.full((4, 4, 2), 1 / 4)
    np.testing.assert_allclose(unbalanced(even), 0, atol=1e-12)
    np.testing.assert_allclose(unbalanced(even.at[:, 0].set(0)), 1)
    model, params = build("show_attend_tell")
    _, seen = model.logits(params, FEATURES, TEXT, SEGMENTS, collect=("attention",))
    np.testing.assert_allclose(seen["attention"].sum(1), SEGMENTS, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"see": "last"}, "see is 'last'; want h0 or first"),
        ({"cell": cells.heads_lstm(head=3), "d": 6}, 'whose carry leaves are not .b d. needs see="first"'),
        ({"gate": True, "inform": "state"}, 'gate=True gates c by .*needs inform="attention", when="before"'),
    ],
)
def test_what_makes_no_model_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build("cnn_h0", **changes)
