"""Pages: self-contained, escaped, nothing lost."""

import base64
import io
import re

import numpy as np
from PIL import Image

from rnn_jax import pages


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
