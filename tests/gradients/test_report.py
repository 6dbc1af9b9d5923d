"""The report: one file with its pictures inside, numbers and words that are right, parts that a step does not have."""

import base64
import html.parser
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import cells, gradients
from rnn_jax.cells import initializers, name

XS = jax.random.normal(jax.random.key(0), (30, 3, 2))
ALL = {"lag", "influence", "eigenvalues", "singular_values", "lyapunov", "saturation"}


def last(ys):
    return jnp.mean(ys[-1] ** 2)


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in ("img", "meta"):
            self.open.append(tag)
        self.sources += [v for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def linear(params, h, x):
    h = name(h @ params + x, "h")
    return h, h


def test_the_page_stands_alone_and_its_words_are_right(tmp_path):
    w = 0.83 * initializers.orthogonal()(jax.random.key(1), (4, 4))
    xs = jax.random.normal(jax.random.key(2), (30, 3, 4))
    seen = gradients.report(linear, w, xs, last, tmp_path, carry=jnp.zeros((3, 4)))
    assert seen.path == tmp_path / "report.html" and set(seen.figures) == ALL - {"saturation"}
    assert seen.words[0] == "Gradients shrink by 0.83 a step; half-life 3.7 steps."
    np.testing.assert_allclose(seen.numbers["log10_rate"], np.log10(0.83), rtol=1e-4)
    np.testing.assert_allclose(seen.numbers["log10_bound"], np.log10(0.83), rtol=1e-4)
    np.testing.assert_allclose(seen.numbers["largest_lyapunov"], np.log(0.83), rtol=1e-4)
    assert seen.numbers["lag_of_one_percent"] == 25 and seen.numbers["farthest"] == 29
    assert "they surely vanish" in seen.words[2]
    page = Page(seen.path.read_text())
    assert not page.open and len(page.sources) == len(seen.figures)
    for source, path in zip(page.sources, seen.figures.values(), strict=True):
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")) == path.read_bytes()
    assert all(html.escape(word) in seen.path.read_text() for word in seen.words)


def test_an_output_that_reads_the_state_before(tmp_path):
    late = lambda params, h, x: (h @ params + x, h)
    w = 0.9 * initializers.orthogonal()(jax.random.key(1), (4, 4))
    xs = jax.random.normal(jax.random.key(2), (20, 3, 4))
    seen = gradients.report(late, w, xs, last, tmp_path, carry=jnp.zeros((3, 4)))
    np.testing.assert_allclose(seen.numbers["log10_rate"], np.log10(0.9), rtol=1e-4)
    assert seen.numbers["farthest"] == 19


@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_gradients_that_do_not_shrink(tmp_path, scale):
    w = scale * initializers.orthogonal()(jax.random.key(1), (4, 4))
    xs = jax.random.normal(jax.random.key(2), (30, 3, 4))
    words = gradients.report(linear, w, xs, last, tmp_path, carry=jnp.zeros((3, 4))).words
    assert ("keep their size" if scale == 1 else "double every 3.8 steps") in words[0]


@pytest.mark.parametrize("cell", [cells.lstm(), cells.gru(reset_after=True), cells.irnn()], ids=["lstm", "gru", "irnn"])
def test_a_cell_needs_no_state(tmp_path, cell):
    params = cell.init(jax.random.key(0), 2, 5)
    seen = gradients.report(cell, params, XS, lambda ys: jnp.mean(ys**2), tmp_path)
    assert set(seen.figures) == ALL
    radius = np.abs(np.linalg.eigvals(np.asarray(params["wh"]).reshape(5, -1, 5).swapaxes(0, 1))).max(-1)
    np.testing.assert_allclose(seen.numbers["spectral_radius/wh"], radius, rtol=1e-4)
    assert not re.search(r"Not shown: (?!local_bound)", seen.path.read_text())


def test_what_a_step_does_not_have_is_said(tmp_path):
    def step(params, carry, x):  # one matrix for [x, h], and a counter beside the state
        h, count = carry
        h = jnp.tanh(jnp.concatenate([x, h], axis=-1) @ params)
        return (h, count + 1), h

    w = 0.5 * jax.random.normal(jax.random.key(0), (7, 5))
    seen = gradients.report(step, w, XS, last, tmp_path, carry=(jnp.zeros((3, 5)), jnp.zeros((3, 1), int)))
    assert set(seen.figures) == {"lag", "influence", "eigenvalues", "singular_values", "lyapunov"}
    assert re.search(r"Not shown: recurrent_matrices: .*not made of square blocks", seen.path.read_text())


def test_a_loss_that_reaches_nothing(tmp_path):
    cell = cells.vanilla()
    seen = gradients.report(cell, cell.init(jax.random.key(0), 2, 4), XS, lambda ys: jnp.float32(1.0), tmp_path)
    assert seen.words[0] == "No gradient of this loss reaches any step before its own."
    assert "lag" not in seen.figures and "lyapunov" in seen.figures


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xs": XS[:1]}, "report: needs at least two steps"),
        ({"xs": XS.at[3, 1].set(jnp.nan)}, "report: xs holds NaN"),
        ({"loss": lambda ys: ys[-1]}, r"report: loss\(ys\) must be a real scalar"),
        ({"params": {"w": jnp.ones(3)}}, "not parameters of this cell"),
        ({"xs": XS[:, :, 0]}, r"reads xs \[t b n\]"),
        ({"cell": cells.vanilla().step}, "give carry="),
        ({"cell": lambda params, h, x: ((h, h), h), "carry": jnp.zeros((3, 4))}, "a carry of another structure"),
    ],
    ids=["t", "nan", "loss", "params", "xs", "step", "structure"],
)
def test_errors_come_before_any_file(tmp_path, change, message):
    given = {"cell": cells.vanilla(), "params": cells.vanilla().init(jax.random.key(0), 2, 4), "xs": XS, "loss": last}
    given |= change
    cell, carry = given.pop("cell"), given.pop("carry", None)
    with pytest.raises((ValueError, TypeError), match=message):
        gradients.report(cell, *given.values(), tmp_path / "new", carry=carry)
    assert not (tmp_path / "new").exists()
