"""Pictures as arrays: files of any kind, in any colours, of any size.

read(source, 128)              # uint8 [128 128 3], RGB
whole(source, 320)             # uint8 [213 320 3], in its own proportions
found("photos,one.png")        # the files that these names stand for
"""

import functools
import io
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data.errors import DataError

ENDS = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".avif", ".tif", ".tiff")


def read(source: Any, size: int) -> np.ndarray:
    """The picture as uint8 [size size 3], RGB; squeezed to a square, as the copies of Flickr8k are.

    source: an array uint8 [h w 3 or 4], bytes of a file, a path, or (path of a zip, name in it). Turned as its EXIF
    says; what is transparent becomes white; 16 or 32 bits a pixel become 8 (`eight`); of a film the first picture.
    Raises DataError.
    """
    if isinstance(source, np.ndarray) and source.shape == (size, size, 3):
        return source
    return _resized(source, lambda w, h: (size, size))


def whole(source: Any, most: int) -> np.ndarray:
    """The same, as uint8 [h w 3] in its own proportions, of at most so many pixels a side."""

    def fitting(w, h):
        share = min(1, most / max(w, h))
        return max(1, round(w * share)), max(1, round(h * share))

    return _resized(source, fitting)


class Look(NamedTuple):
    """How training sees a picture: whole, or its corner 0 ... 3 of 7/8 of a side, enlarged; mirrored or not."""

    corner: int | None = None
    mirrored: bool = False

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [n size size 3] -> the same."""
        if self.corner is not None:
            import jax

            size = images.shape[1]
            side = size * 7 // 8
            y, x = ((size - side) * at for at in divmod(self.corner, 2))
            part = images[:, y : y + side, x : x + side].astype(np.float32)
            images = np.asarray(jax.image.resize(part, images.shape, "bilinear")).round().astype(np.uint8)
        return images[:, :, ::-1] if self.mirrored else images

    def __str__(self):
        return f" corner {self.corner}" * (self.corner is not None) + " mirrored" * self.mirrored


def _resized(source: Any, size) -> np.ndarray:
    from PIL import Image, ImageOps, UnidentifiedImageError

    array = isinstance(source, np.ndarray)
    data = b"" if array else content(source)
    try:
        with Image.fromarray(source) if array else Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode[0] in "IF":  # PIL would cut off all above 255
                image = Image.fromarray(eight(np.asarray(image), image.mode))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB").resize(size(*image.size), Image.Resampling.LANCZOS))
    except Exception as error:  # PIL promises no kind: damaged files raise OSError, SyntaxError, struct.error, ...
        why = "of no known kind" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())[:120]
        raise DataError(f"{shown(source)} cannot be read as a picture: {why}") from error


def eight(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey of more bits, by PIL's modes I;16 (0 to 65,535), I (to 255 or 65,535) and F (to 1, 255 or 65,535), as uint8.
    Which it is of 32 bits, the largest value tells. Raises ValueError."""
    values = values.astype(np.float64)
    least, most = values.min(), values.max()
    ends = (65535,) if "16" in mode else (255, 65535) if mode == "I" else (1, 255, 65535)
    end = next((end for end in ends if most <= end), None)
    if end is None or not least >= 0:
        raise ValueError(f"32 bits a pixel, from {least:.4g} to {most:.4g}; want 0 to {' or '.join(map(str, ends))}")
    return (values * (255 / end)).round().astype(np.uint8)


def jpeg(source: Any, size: int) -> bytes:
    """The picture, `size` pixels a side, as bytes that `read` takes: a sixth of the memory."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(read(source, size)).save(out, "JPEG", quality=95)
    return out.getvalue()


def content(source: Any) -> bytes:
    """The bytes of a picture, as they are stored. Raises DataError."""
    if isinstance(source, np.ndarray):
        return f"{source.shape}".encode() + source.tobytes()
    if isinstance(source, bytes):
        return source
    try:
        if isinstance(source, tuple):
            return archive(str(source[0])).read(source[1])
        return Path(source).expanduser().read_bytes()
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{shown(source)} cannot be read: {reason(error)}") from error


def members(path) -> list[str]:
    """The names in a zip. Raises DataError."""
    try:
        return archive(str(path)).namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a zip ({reason(error)}): fetch it again") from error


@functools.cache
def archive(path: str) -> zipfile.ZipFile:
    """An opened zip: each is opened once, its list of thousands of names being read then."""
    return zipfile.ZipFile(path)


def reason(error: Exception) -> str:
    return " ".join(str(error.args[-1]).split()) if error.args else type(error).__name__


def shown(source: Any) -> str:
    if isinstance(source, tuple):
        return f"{source[1]} in {source[0]}"
    return "the picture" if isinstance(source, bytes | np.ndarray) else str(source)


def found(names: str) -> list[Path]:
    """The files, and the pictures of the folders, that stand in `names` with commas between; absent ones too."""
    return [file for path in named(names) for file in (inside(path) if path.is_dir() else [path])]


def named(names: str) -> list[Path]:
    """What stands in `names` with commas between; one path, if the whole is one."""
    each = [names] if os.path.exists(Path(names.strip()).expanduser()) else names.split(",")
    return [Path(name.strip()).expanduser() for name in each if name.strip()]


def inside(folder: Path) -> list[Path]:
    """The pictures in a folder and its folders, in the order of their names."""
    return sorted((p for p in folder.rglob("*") if p.suffix.lower() in ENDS), key=natural)


def others(names: str) -> list[Path]:
    """The files of other kinds in the folders of `names`: what `found` passes over."""
    files = [p for path in named(names) if path.is_dir() for p in path.rglob("*") if p.is_file()]
    return sorted((p for p in files if p.suffix.lower() not in ENDS), key=natural)


def natural(path) -> list[Any]:
    """The order of names with numbers by their value: frame_2 before frame_10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", str(path)))]
