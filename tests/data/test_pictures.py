"""Pictures of every kind become RGB squares; what is no picture is told in one line."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnn_jax.data import DataError, pictures

RNG = np.random.default_rng(0)


def photo(h=20, w=30):
    """A smooth one, which JPEG keeps."""
    y, x = np.mgrid[:h, :w] / max(h, w)
    return np.stack([255 * x, 255 * y, 128 + 0 * x], -1).astype(np.uint8)


def encoded(image, kind, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_every_kind_of_file(kind):
    image = Image.fromarray(photo(32, 32))
    found = pictures.read(encoded(image, kind), 32)
    assert found.shape == (32, 32, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - photo(32, 32)).mean() < 6


@pytest.mark.parametrize(
    ("size", "most", "shape"),
    [((60, 20), 30, (10, 30)), ((20, 60), 30, (30, 10)), ((9, 3), 30, (3, 9)), ((900, 1), 9, (1, 9))],
)
def test_a_whole_picture_keeps_its_proportions(size, most, shape):
    colour = Image.new("RGB", size, (10, 200, 90))
    found = pictures.whole(encoded(colour, "PNG"), most)
    assert found.shape == (*shape, 3) and np.abs(found.astype(int) - (10, 200, 90)).max() <= 1


def test_a_picture_is_squeezed_to_a_square():
    """As Pillow's Lanczos does it: nothing is cut off."""
    found = pictures.read(encoded(Image.fromarray(photo()), "PNG"), 16)
    want = Image.fromarray(photo()).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found, np.asarray(want))


def test_the_same_from_a_path_bytes_a_zip_and_an_array(tmp_path):
    data = encoded(Image.fromarray(photo()), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as z:
        z.writestr("in/a.png", data)
    sources = (tmp_path / "a.png", str(tmp_path / "a.png"), data, (tmp_path / "all.zip", "in/a.png"), photo())
    found = [pictures.read(source, 12) for source in sources]
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])
    assert pictures.members(tmp_path / "all.zip") == ["in/a.png"]
    square = photo(12, 12)
    np.testing.assert_array_equal(pictures.read(square, 12), square)


def test_every_mode():
    """Grey, black and white, 16 bits, CMYK: the greys that they mean."""
    grey = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    want = np.repeat(grey[..., None], 3, -1).astype(int)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    for image, kind, most in (
        (Image.fromarray(grey), "PNG", 0), (Image.fromarray(grey).convert("P"), "GIF", 0), (deep, "PNG", 0),
        (deep, "TIFF", 0), (Image.fromarray(grey.astype(np.int32) * 257), "TIFF", 0),
        (Image.fromarray(grey).convert("RGB").convert("CMYK"), "TIFF", 0), (Image.fromarray(grey), "JPEG", 9),
        (Image.fromarray(grey).convert("RGB").convert("CMYK"), "JPEG", 9),
    ):  # fmt: skip
        found = pictures.read(encoded(image, kind), 8)
        assert np.abs(found - want).max() <= most, (image.mode, kind)
    for values in (grey / 255, grey, grey * 257.0):
        found = pictures.read(encoded(Image.fromarray(values.astype(np.float32)), "TIFF"), 8)
        assert np.abs(found - want).max() <= 1
    assert np.array_equal(pictures.read(encoded(Image.fromarray(grey.astype(np.int32)), "TIFF"), 8), want)
    for wrong in (grey * 1e6, -1.0 * grey, np.nan * grey):
        with pytest.raises(DataError, match=r"32 bits a pixel, from .* want 0 to 1 or 255 or 65535"):
            pictures.read(encoded(Image.fromarray(wrong.astype(np.float32)), "TIFF"), 8)
    two = pictures.read(encoded(Image.fromarray(grey > 100), "PNG"), 8)
    np.testing.assert_array_equal(two, 255 * (want > 100))


def test_what_is_transparent_is_white():
    colours = np.zeros((8, 8, 4), np.uint8)
    colours[..., 0], colours[:, 4:, 3], colours[:, :4, 3] = 200, 255, 0
    image = Image.fromarray(colours)
    palette = Image.fromarray(np.repeat([[0, 0, 0, 0, 1, 1, 1, 1]], 8, 0).astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 200, 0, 0])
    for data in (
        encoded(image, "PNG"), encoded(palette, "PNG", transparency=0), encoded(palette, "GIF", transparency=0),
        encoded(image, "WEBP", lossless=True),
    ):  # fmt: skip
        found = pictures.read(data, 8)
        assert (found[:, :4] == 255).all() and (found[:, 4:] == (200, 0, 0)).all()
    half = pictures.read(encoded(Image.new("LA", (2, 2), (0, 128)), "PNG"), 2)
    assert abs(int(half[0, 0, 0]) - 127) <= 1


def test_a_film_shows_its_first_picture():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    assert (pictures.read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 4) == (255, 0, 0)).all()


@pytest.mark.parametrize(("turn", "back"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_exif_says_how_it_is_turned(turn, back):
    upright = photo(16, 16)
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = np.rot90(upright, back)  # a camera that was held so
    found = pictures.read(encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif), 16)
    np.testing.assert_array_equal(found, upright)


def test_one_pixel():
    assert (pictures.read(encoded(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"), 5) == (1, 2, 3)).all()


def test_a_jpeg_is_small_and_alike():
    data = pictures.jpeg(photo(200, 300), 64)
    assert len(data) < 64 * 64 * 3 / 4
    assert np.abs(pictures.read(data, 64).astype(int) - pictures.read(photo(200, 300), 64)).mean() < 3


def test_what_is_no_picture_is_one_line(tmp_path):
    whole = encoded(Image.fromarray(RNG.integers(255, size=(64, 64, 3), dtype=np.uint8)), "JPEG")
    for name, data in (("cut.jpg", whole[: len(whole) // 2]), ("empty.png", b""), ("text.gif", b"hello\nthere")):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "bad.zip").write_bytes(b"PK" + bytes(50))
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as z:
        z.writestr("a.jpg", whole)
    for source, message in (
        (tmp_path / "cut.jpg", "cut.jpg cannot be read as a picture: .*truncated"),
        (tmp_path / "empty.png", "empty.png cannot be read as a picture: of no known kind$"),
        (tmp_path / "text.gif", "text.gif cannot be read as a picture: of no known kind$"),
        (tmp_path / "lost.png", "lost.png cannot be read: No such file or directory$"),
        (tmp_path, f"{tmp_path.name} cannot be read: Is a directory$"),
        ((tmp_path / "good.zip", "b.jpg"), "^b.jpg in .*good.zip cannot be read: There is no item named 'b.jpg'"),
        ((tmp_path / "bad.zip", "b.jpg"), "^b.jpg in .*bad.zip cannot be read: File is not a zip file$"),
        (whole[:200], "^the picture cannot be read as a picture: "),
    ):
        with pytest.raises(DataError, match=message) as error:
            pictures.read(source, 8)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match=r"bad.zip cannot be read as a zip \(File is not a zip file\): fetch it again"):
        pictures.members(tmp_path / "bad.zip")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.filterwarnings("ignore")
def test_damage_never_raises_anything_else(kind):
    whole = encoded(Image.fromarray(RNG.integers(255, size=(12, 12, 3), dtype=np.uint8)), kind)
    for _ in range(60):
        data = bytearray(whole)
        for at in RNG.integers(len(data), size=3):
            data[at] = RNG.integers(256)
        try:
            assert pictures.read(bytes(data), 8).shape == (8, 8, 3)
        except DataError as error:
            assert "\n" not in str(error)


def test_names_of_pictures(tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    for name in ("in/b.JPG", "in/a.png", "in/note.txt", "in/deep/c.webp", "in/d.gif", "one.bmp"):
        (tmp_path / name).touch()
    found = pictures.found(f"{tmp_path / 'in'}, {tmp_path / 'one.bmp'},{tmp_path / 'lost.png'}")
    assert [str(p.relative_to(tmp_path)) for p in found] == [
        "in/a.png", "in/b.JPG", "in/d.gif", "in/deep/c.webp", "one.bmp", "lost.png",
    ]  # fmt: skip
    assert pictures.found("") == pictures.found(" , ") == []
    assert [p.name for p in pictures.others(f"{tmp_path / 'in'},{tmp_path / 'lost'}")] == ["note.txt"]


def test_numbers_in_names_count_and_a_comma_may_stand_in_one(tmp_path):
    folder = tmp_path / "a,b"
    folder.mkdir()
    for number in (10, 9, 1, 2):
        (folder / f"frame_{number}.png").touch()
    names = ["frame_1.png", "frame_2.png", "frame_9.png", "frame_10.png"]
    assert [p.name for p in pictures.inside(folder)] == [p.name for p in pictures.found(str(folder))] == names
    assert pictures.named(f"{folder},x") == [tmp_path / "a", Path("b"), Path("x")]  # the whole is no path


def test_a_look_is_a_corner_of_the_picture_and_its_mirror():
    images = RNG.integers(256, size=(2, 16, 16, 3), dtype=np.uint8)
    assert np.array_equal(pictures.Look()(images), images)
    assert np.array_equal(pictures.Look(mirrored=True)(images), images[:, :, ::-1])
    kept = [(slice(0, 14), slice(0, 14)), (slice(0, 14), slice(2, 16)), (slice(2, 16), slice(0, 14)),
            (slice(2, 16), slice(2, 16))]  # fmt: skip
    for corner, (y, x) in enumerate(kept):
        found = pictures.Look(corner)(images)
        assert found.shape == images.shape and found.dtype == np.uint8
        outside = RNG.integers(256, size=images.shape, dtype=np.uint8)
        outside[:, y, x] = images[:, y, x]
        assert np.array_equal(pictures.Look(corner)(outside), found)  # the rest is not seen
        assert np.array_equal(pictures.Look(corner, mirrored=True)(images), found[:, :, ::-1])
        part = Image.fromarray(images[0, y, x]).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.abs(found[0].astype(int) - np.asarray(part)).max() <= 1
    names = {str(pictures.Look(corner, side)) for corner in (None, *range(4)) for side in (False, True)}
    assert len(names) == 10  # what is cached by them is not mixed up
