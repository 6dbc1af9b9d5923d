"""The Free Spoken Digit Dataset: six speakers, ten English digits, 8 kHz (github.com/Jakobovski, CC BY-SA 4.0)."""

import re
import zipfile
import zlib
from pathlib import Path

from rnn_jax.data import audio, fetched
from rnn_jax.data.audio import Recording
from rnn_jax.data.errors import DataError

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset"
NAME = re.compile(r"(?:.*/)?(\d)_([a-z]+)_(\d+)\.wav")  # {digit}_{speaker}_{index}.wav
RATE = 8000
VALID = (5, 6)  # indices of the train part that are held out; the official test part is 0 to 4

BAD = DataError, zipfile.BadZipFile, zlib.error, RuntimeError  # a name, a sound; a checksum, damage, a password


def files(root="") -> list[Path]:
    """<root>/fsdd/train.zip and test.zip. Raises DataError."""
    source = f"the recordings/ of {URL} as two zip files (test.zip: those of index 0 to 4; train.zip: others)"
    return fetched.files(root, "fsdd", ("train.zip", "test.zip"), source)


def read(root="", rate=RATE) -> tuple[list[list[Recording]], list[str]]:
    """(recordings to train, validate and test at `rate` Hz; what could not be read, a line each). Raises DataError."""
    parts: list[list[Recording]] = [[], [], []]
    bad = []
    for path in files(root):
        try:
            with zipfile.ZipFile(path) as z:
                for name in sorted(n for n in z.namelist() if n.endswith(".wav")):
                    try:
                        digit, speaker, index = parse(name)
                        wav = audio.read(z.read(name), name)
                        samples = audio.resample(wav.samples, wav.rate, rate)
                    except BAD as error:
                        bad.append(f"{path.name}: {error}")
                        continue
                    held_out = 2 if path.stem == "test" else int(index in VALID)
                    parts[held_out].append(Recording(digit, speaker, samples))
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"fsdd: {path} cannot be read ({error}): make it again from {URL}") from error
    return parts, bad


def parse(name: str) -> tuple[int, str, int]:
    """(digit, speaker, index) of a file's name."""
    match = NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{name} is not named {{digit}}_{{speaker}}_{{index}}.wav")
    return int(match[1]), match[2], int(match[3])
