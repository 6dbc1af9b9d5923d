"""Features are computed once: for the same pictures and encoder, whatever happens to the file."""

import json
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from rnn_jax.data import DataError, cached

RNG = np.random.default_rng(0)


class Picture(NamedTuple):
    source: Any


class Encoder:
    """The means of 2 x 2 fields of 4 x 4 pixels; counts its calls."""

    def __init__(self, factor=1.0):
        self.shapes, self.factor = [], factor

    def __call__(self, images):
        self.shapes.append(images.shape)
        return self.factor * images.reshape(len(images), 2, 2, 2, 2, 3).mean((2, 4))


@pytest.fixture
def found(tmp_path):
    """Seven pictures: arrays, a file, and two that cannot be read."""
    Image.fromarray(RNG.integers(255, size=(9, 5, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    arrays = [Picture(RNG.integers(255, size=(4, 4, 3), dtype=np.uint8)) for _ in range(4)]
    return [
        arrays[0],
        Picture(tmp_path / "cut.jpg"),
        Picture(tmp_path / "a.png"),
        *arrays[1:],
        Picture(tmp_path / "no"),
    ]


def features(found, encode, folder, **changes):
    options = {"key": "means", "size": 4, "folder": str(folder), "batch": 3} | changes
    return cached.features(found, encode, **options)


def test_computed_once_and_kept(found, tmp_path):
    encode = Encoder()
    first, bad = features(found, encode, tmp_path)
    assert encode.shapes == [(3, 4, 4, 3)] * 3  # one shape, the last batch too
    assert isinstance(first, np.memmap) and first.dtype == np.float16 and first.shape == (7, 2, 2, 3)
    for i in (0, 3, 4, 5):
        want = found[i].source.reshape(2, 2, 2, 2, 3).mean((1, 3))
        np.testing.assert_allclose(first[i], want, rtol=1e-3)
    assert first[2].any() and not first[[1, 6]].any()
    assert [i for i, _ in bad] == [1, 6] and "cut.jpg cannot be read as a picture" in bad[0][1]
    again, told = features(found, encode, tmp_path)
    assert len(encode.shapes) == 3 and told == bad
    np.testing.assert_array_equal(again, first)
    assert sorted(f.suffix for f in (tmp_path / "features").iterdir()) == [".json", ".npy"]


def test_what_changes_is_computed_anew(found, tmp_path):
    encode = Encoder()
    features(found, encode, tmp_path)
    other = [*found[:3], Picture(found[3].source + 1), *found[4:]]
    calls = len(encode.shapes)
    for pictures, changes in (
        (found, {"key": "others"}), (other, {}), (found[::-1], {}), (found[:-1], {}),
    ):  # fmt: skip
        before = len(encode.shapes)
        out, _ = features(pictures, encode, tmp_path, **changes)
        assert len(encode.shapes) == before + len(pictures + [0, 0]) // 3 and len(out) == len(pictures)
    Image.new("RGB", (3, 3), "red").save(tmp_path / "a.png")  # another picture of the same name
    out, _ = features(found, encode, tmp_path)
    assert (out[2, ..., 0] == 255).all() and not out[2, ..., 1:].any()
    Image.new("RGB", (3, 3), "red").save(tmp_path / "cut.jpg")  # mended
    out, bad = features(found, encode, tmp_path)
    assert [i for i, _ in bad] == [6] and out[1].any() and len(encode.shapes) > calls


def test_the_same_pictures_elsewhere_are_known_and_told_by_their_new_names(found, tmp_path):
    encode = Encoder()
    found = found[:-1]  # without the one that does not exist, whose name is all that is known of it
    features(found, encode, tmp_path)
    (tmp_path / "cut.jpg").rename(tmp_path / "moved.jpg")
    calls = len(encode.shapes)
    _, told = features([found[0], Picture(tmp_path / "moved.jpg"), *found[2:]], encode, tmp_path)
    assert len(encode.shapes) == calls and [i for i, _ in told] == [1] and "moved.jpg cannot be read" in told[0][1]


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".npy", lambda data: data[:-5]), (".npy", lambda data: b""), (".npy", lambda data: bytes(len(data))),
        (".npy", lambda data: data[:20]), (".json", lambda data: data[:-3]), (".json", lambda data: b"null"),
        (".json", lambda data: b'{"bad": 1}'), (".json", lambda data: b"\xff"), (".npy", None), (".json", None),
    ],
)  # fmt: skip
def test_damaged_files_are_computed_anew(found, tmp_path, suffix, damage):
    first, bad = features(found, Encoder(), tmp_path)
    first = np.array(first)
    (file,) = (tmp_path / "features").glob(f"*{suffix}")
    data = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(data))
    encode = Encoder()
    again, told = features(found, encode, tmp_path)
    np.testing.assert_array_equal(again, first)
    assert len(encode.shapes) == 3 and told == bad
    assert json.loads(file.with_suffix(".json").read_text()) == [i for i, _ in bad]


def test_an_encoder_that_fails_leaves_nothing(found, tmp_path):
    class Fails(Encoder):
        def __call__(self, images):
            if len(self.shapes) == 1:
                raise RuntimeError("no memory")
            return super().__call__(images)

    with pytest.raises(RuntimeError, match="no memory"):
        features(found, Fails(), tmp_path)
    assert not list((tmp_path / "features").iterdir())
    for factor in (1e4, np.nan):
        with pytest.raises(DataError, match="no numbers, or beyond float16's 65,504"):
            features(found, Encoder(factor), tmp_path)
        assert not list((tmp_path / "features").iterdir())


def test_where_it_is_kept(found, tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_JAX_CACHE", str(tmp_path / "env"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cached.features(found, Encoder(), key="", size=4)
    assert len(list((tmp_path / "env/features").iterdir())) == 2
    monkeypatch.delenv("RNN_JAX_CACHE")
    out, _ = cached.features(found, Encoder(), key="", size=4)  # batches of 100
    assert len(list((tmp_path / "home/.cache/rnn_jax/features").iterdir())) == 2 and len(out) == 7


def test_a_folder_that_cannot_be_written(found, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    message = r"features cannot be kept in .*features \(.+\): name another folder by RNN_JAX_CACHE or config.data.cache"
    with pytest.raises(DataError, match=message):
        features(found, Encoder(), tmp_path / "file")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cached.os, "replace", full)
    with pytest.raises(DataError, match=r"\(No space left on device\)") as error:
        features(found, Encoder(), tmp_path)
    assert "\n" not in str(error.value) and not list((tmp_path / "features").iterdir())
    with pytest.raises(DataError, match="features of no pictures"):
        features([], Encoder(), tmp_path)


def test_it_is_read_only(found, tmp_path):
    """The file is what it was: nobody writes into it by chance."""
    out, _ = features(found, Encoder(), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        out[0] = 0
