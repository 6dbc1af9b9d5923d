"""Codes of texts: padding changes nothing; the style shift."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree

from rnn_jax import cells
from rnn_jax.models.story import TextCoder, as_picture, shifted

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")


@pytest.mark.parametrize("cell", [cells.gru(), cells.lstm()], ids=["gru", "lstm"])
def test_a_code_depends_on_its_text_alone(cell):
    model = TextCoder(cell, 9, d=5, embed=4, inform="input", channels=10)
    params = jax.tree.map(lambda a: a.astype(jnp.float64) + 0.05, model.init(jax.random.key(0)))
    text = jnp.asarray([[4, 5, 6, 3, 0], [7, 3, 0, 0, 0], [8, 8, 5, 5, 3]]).T
    codes = model.code(params, text, jnp.asarray([4, 2, 5]))
    assert codes.shape == (3, 10)
    agree(model.code(params, text[:2, 1:2], jnp.asarray([2]))[0], codes[1], 1e-12)
    agree(model.code(params, text.at[2:, 1].set(6), jnp.asarray([4, 2, 5])), codes, 1e-12)
    for i in range(4):  # each word counts, in both directions
        other = model.code(params, text.at[i, 0].set(8), jnp.asarray([4, 2, 5]))
        assert (other[0] != codes[0]).sum() > 5 and (other[1:] == codes[1:]).all()
    inputs = jnp.asarray([[2, 4, 5]]).T
    one, two = (model.logits(params, as_picture(codes[i : i + 1]), inputs, jnp.ones_like(inputs)) for i in (0, 1))
    assert one.shape == (3, 1, 9) and (one != two).any()


def test_the_shift_moves_the_mean_of_captions_onto_that_of_stories():
    rng = np.random.default_rng(0)
    captions, stories = rng.standard_normal((50, 4)), 3 + rng.standard_normal((70, 4))
    moved = shifted(captions, captions, stories)
    np.testing.assert_allclose(moved.mean(0), stories.mean(0), rtol=1e-12)
    np.testing.assert_allclose(moved[0] - moved[1], captions[0] - captions[1], rtol=1e-9)
