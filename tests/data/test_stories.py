"""Passages: made up, and cut from a text."""

import pytest

from rnn_jax.data import DataError, captions, shapes, stories


def test_passages_that_are_made_up():
    found = stories.make(500)
    assert found == stories.make(500) != stories.make(500, 1)
    assert all(text == captions.tokens(text) and len(text.split()) <= 30 for text in found)
    words = {word for text in found for word in text.split()}
    assert {*shapes.COLOURS, *shapes.KINDS} <= words
    said = {word for scene in shapes.make(300, 1, 1)[0] for word in scene.caption.split()}
    assert len(words - said) > 30 and {"dreamed", "king", "treasure"} <= words - said
    assert all(sum(word in shapes.KINDS for word in text.split()) in (1, 2) for text in found)


def test_a_text_is_cut_into_passages(tmp_path):
    file = tmp_path / "book.txt"
    file.write_text("It was late. The moon rose over the hill!\n\nNobody came; all slept.\n" * 60 + "word " * 90 + ".")
    found, left_out = stories.cut(str(file), 12)
    assert found[0] == "it was late the moon rose over the hill" and found[1] == "nobody came all slept"
    assert len(found) == 120 and left_out == 1  # what is longer than 12 words
    with pytest.raises(DataError, match=r"book.txt has 0 passages of 4 to 3 words: want 100 or more"):
        stories.cut(str(file), 3)
    with pytest.raises(DataError, match=r"config.data.text: .*none.txt does not exist"):
        stories.cut(str(tmp_path / "none.txt"), 12)
