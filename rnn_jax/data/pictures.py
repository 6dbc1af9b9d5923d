"""Pictures as arrays: files of any kind, in any colours, of any size.

read(source, 128)              # uint8 [128 128 3], RGB
found("photos,one.png")        # the files that these names stand for
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from rnn_jax.data.errors import DataError

ENDS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def read(source: Any, size: int) -> np.ndarray:
    """The picture as uint8 [size size 3], RGB; squeezed to a square, as the copies of Flickr8k are.

    source: an array uint8 [h w 3], bytes of a file, a path, or (path of a zip, name in it). Turned as its EXIF says;
    what is transparent becomes white; 16 bits a pixel become 8. Raises DataError.
    """
    from PIL import Image, ImageOps

    if isinstance(source, np.ndarray) and source.shape == (size, size, 3):
        return source
    try:
        array = isinstance(source, np.ndarray)
        with Image.fromarray(source) if array else Image.open(io.BytesIO(content(source))) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits: PIL would cut off all above 255
                image = Image.fromarray((np.asarray(image, np.int64) / 257).round().clip(0, 255).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{shown(source)} cannot be read as a picture: {' '.join(str(error).split())[:120]}") from error


def content(source: Any) -> bytes:
    """The bytes of a picture, as they are stored."""
    if isinstance(source, np.ndarray):
        return f"{source.shape}".encode() + source.tobytes()
    if isinstance(source, bytes):
        return source
    try:
        if isinstance(source, tuple):
            return archive(str(source[0])).read(source[1])
        return Path(source).expanduser().read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{shown(source)} cannot be read: {why}") from error


_open: dict[str, zipfile.ZipFile] = {}


def archive(path: str) -> zipfile.ZipFile:
    """An opened zip: each is opened once, its list of thousands of names being read then."""
    if path not in _open:
        _open[path] = zipfile.ZipFile(path)
    return _open[path]


def shown(source: Any) -> str:
    if isinstance(source, tuple):
        return f"{source[1]} in {source[0]}"
    return "the picture" if isinstance(source, bytes | np.ndarray) else str(source)


def found(names: str) -> list[Path]:
    """The files, and the pictures of the folders, that stand in `names` with commas between; absent ones too."""
    out = []
    for path in (Path(name).expanduser() for name in names.split(",") if name):
        out += sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDS) if path.is_dir() else [path]
    return out
