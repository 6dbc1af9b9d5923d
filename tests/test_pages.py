"""Pages: self-contained, escaped, nothing lost. Pictures with text: all of it in the picture, none on another."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from rnn_jax import pages, plots


def test_a_page_of_captions(tmp_path):
    image = np.zeros((400, 500, 3), np.uint8)
    image[..., 0] = 200
    items = [
        ("a<b>.jpg", image, [("a dog & a cat", -3.21), ("a dog", -4.0)], ""),
        ("nothing.png", image, [("", -1.0)], ""),
        ("cut.jpg", None, [], "cut.jpg is cut short"),
        ("lost.jpg", None, [], "no such file"),
    ]
    page = pages.captions_page(items, tmp_path / "new/page.html", title="Mine & yours").read_text()
    assert "a dog &amp; a cat" in page and "-3.21" in page and "a&lt;b&gt;.jpg" in page and "(nothing)" in page
    assert "<li>cut.jpg is cut short</li><li>lost.jpg: no such file</li>" in page and "Mine &amp; yours" in page
    assert "http" not in page and "<script" not in page and page.count("<img") == 2
    with Image.open(io.BytesIO(base64.b64decode(re.findall(r"base64,([^\"]+)", page)[0]))) as shown:
        assert shown.size == (320, 256) and abs(np.asarray(shown)[5, 5, 0] - 200) < 4
    assert "Not read" not in pages.captions_page(items[:1], tmp_path / "page.html", title="t").read_text()


LONG = "a man in a red shirt rides a bicycle down a very steep and rocky hill next to a river for $5 or $6" * 2
LONG += " supercalifragilisticexpialidociousness"
WORDS = LONG.split()[:20]
SQUARE, WIDE, TALL = (np.full((h, w, 3), 90, np.uint8) for h, w in ((32, 32), (20, 60), (60, 20)))


def sheet(path):
    each = [(SQUARE, LONG, -123.4), (WIDE, LONG, -5), (TALL, LONG, -5), (SQUARE, "", -1), (SQUARE, LONG, -2)]
    return plots.contact_sheet([("best", each), ("worst", each[:1])], path)


def strip(path):
    clip = lambda t: np.zeros((t, 16, 24, 3), np.uint8)
    return plots.frame_strip([(clip(30), f"wanted: {LONG}\nwritten: {LONG}"), (clip(2), LONG), (clip(1), "")], path)


def attention(path):
    return plots.attention_over(WIDE, WORDS, np.random.default_rng(0).random((len(WORDS), 3, 5)), path)


@pytest.mark.parametrize("draw", [sheet, strip, attention])
def test_no_text_lies_on_another_or_on_a_picture(draw, tmp_path, monkeypatch):
    figures, save = [], plots.save
    monkeypatch.setattr(plots, "save", lambda figure, path: figures.append(figure) or save(figure, path))
    with Image.open(draw(tmp_path / "figures/a.png")) as picture:
        assert picture.width == 1200
    (figure,) = figures
    texts = [*figure.texts, *(text for axes in figure.axes for text in (axes.title, *axes.texts))]
    texts = [text.get_window_extent() for text in texts if text.get_text()]
    shown = [axes.get_window_extent() for axes in figure.axes if axes.images]
    for i, box in enumerate(texts):
        assert min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        assert not box.count_overlaps(texts[:i] + shown)
    assert len(texts) == {sheet: 8, strip: 2, attention: len(WORDS)}[draw]
    assert len(shown) == {sheet: 6, strip: 15, attention: len(WORDS) + 1}[draw]
