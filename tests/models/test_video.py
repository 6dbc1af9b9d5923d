"""S2VT: decoding against training, ragged clips, causality, any cell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree

from rnn_jax import cells, decoding
from rnn_jax.models.video import S2VT

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")
CELLS = {"lstm": cells.lstm(), "gru": cells.gru(), "tanh": cells.vanilla(), "heads": cells.heads_lstm(head=3)}
FRAMES, COUNTS = np.random.default_rng(0).standard_normal((5, 3, 7)), jnp.asarray([5, 2, 4])
TEXT = jnp.asarray([[2, 4, 5, 6], [2, 7, 3, 0], [2, 8, 8, 4]]).T


def build(cell="lstm", **more):
    model = S2VT(CELLS[cell], 9, 7, d=6, embed=4, **more)
    return model, jax.tree.map(lambda a: 2 * a.astype(jnp.float64) + 0.05, model.init(jax.random.key(0)))


@pytest.mark.parametrize("cell", CELLS)
def test_decoding_steps_are_training_steps(cell):
    model, params = build(cell)
    want = model.logits(params, FRAMES, COUNTS, TEXT)
    carry = model.read(params, FRAMES, COUNTS)
    for i, tokens in enumerate(TEXT):
        carry, logits = model.step(params, carry, tokens)
        agree(logits, want[i], 1e-12)
    carry, logits = model.step(params, model.read(params, FRAMES, COUNTS), TEXT[0])
    assert decoding.beam_search(model.step, params, carry, logits, 5, beams=3, end=3).tokens.shape == (5, 1, 3)


@pytest.mark.parametrize("cell", CELLS)
def test_what_follows_a_clip_s_end_changes_nothing_and_each_frame_before_counts(cell):
    model, params = build(cell)
    base = model.logits(params, FRAMES, COUNTS, TEXT)
    later, earlier = FRAMES.copy(), FRAMES.copy()
    later[2:, 1], earlier[1, 1] = 9, 9
    np.testing.assert_array_equal(model.logits(params, later, COUNTS, TEXT), base)
    assert (model.logits(params, earlier, COUNTS, TEXT)[:, 1] != base[:, 1]).any(-1).all()
    alone = model.logits(params, FRAMES[:2, 1:2], COUNTS[1:2], TEXT[:, 1:2])
    agree(alone[:, 0], base[:, 1], 1e-12)
    turned = model.logits(params, FRAMES[::-1].copy(), jnp.full(3, 5), TEXT)
    assert (turned[:, 0] != base[:, 0]).any(-1).all()  # the order of the frames counts


def test_no_word_sees_what_comes_later():
    model, params = build()
    base, other = (model.logits(params, FRAMES, COUNTS, text) for text in (TEXT, TEXT.at[2, 0].set(7)))
    np.testing.assert_array_equal(base[:2], other[:2])
    assert (base[2, 0] != other[2, 0]).any()


def test_dropout():
    model, params = build(dropout=0.5, dropout_out=0.2)
    run = lambda key: model.logits(params, FRAMES, COUNTS, TEXT, key=key)
    agree(run(None), build()[0].logits(params, FRAMES, COUNTS, TEXT), 1e-12)
    assert (run(jax.random.key(0)) != run(jax.random.key(1))).any()
