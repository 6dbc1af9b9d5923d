"""Sound: wav files, and the log-mel frames that recognisers read. Samples are float32 in [-1, 1)."""

import struct
from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data.errors import DataError

FLOOR = 1e-8  # of a band's energy before the logarithm: digital silence has none
RATES = 100, 1_000_000  # Hz, of a file: a sample for each of the frames, 10 ms apart; and none that takes all memory
PCM, EXTENSIBLE = 1, 0xFFFE  # formats of a wav file; EXTENSIBLE: the format stands in a GUID, before SUBFORMAT
SUBFORMAT = bytes.fromhex("000000001000800000aa00389b71")
KINDS = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "mu-law", 17: "ADPCM", 85: "MP3"}
UNKNOWN_SIZE = 0x7FFF0000  # bytes of data, at least, that a stream's header says: ffmpeg 0xFFFFFFFF, SoX 0x7FFFF000


class Recording(NamedTuple):
    """One word."""

    label: int  # 0 ...
    speaker: str
    samples: np.ndarray  # float32 [n]


class Wav(NamedTuple):
    samples: np.ndarray  # float32 [n], the mean of the channels
    rate: int  # Hz
    channels: int


def read(file: Path | bytes, name="") -> Wav:
    """A PCM wav file (8 to 32 bits, RATES), by its path or its bytes; one written to a pipe too. Raises DataError."""
    name = name or (str(file) if isinstance(file, Path) else "wav")
    try:
        channels, rate, width, said, data = _parse(file if isinstance(file, bytes) else file.read_bytes())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{name} cannot be read as wav ({why}): give PCM wav of 8 to 32 bits") from error
    if said is not None and len(data) < said:
        raise DataError(f"{name} is cut short: {len(data):,} bytes of {said:,}; fetch it again")
    data = data[: len(data) // (channels * width) * channels * width]  # a stream may end within a sample
    if not data:
        raise DataError(f"{name} holds no sample: give a recording")
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(f"{name} has {rate:,} samples a second: want {RATES[0]:,} to {RATES[1]:,}")
    if width == 1:
        values = np.frombuffer(data, np.uint8) / 128 - 1
    else:  # little-endian, and 24 bits have no dtype: each sample becomes the upper bytes of an int32
        wide = np.zeros((len(data) // width, 4), np.uint8)
        wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        values = wide.reshape(-1).view("<i4") / 2**31
    return Wav(values.reshape(-1, channels).mean(1).astype(np.float32), rate, channels)


def _parse(content: bytes) -> tuple[int, int, int, int | None, bytes]:
    """(channels, rate, bytes of a sample, bytes of the data as the header says or None where it does not know, the
    data). Raises ValueError. Python's `wave` reads no EXTENSIBLE header before 3.12, and no stream's."""
    if content[:4] != b"RIFF" or content[8:12] not in (b"WAVE", b""):
        raise ValueError("it does not start as RIFF WAVE does" if content else "it is empty")
    whole, at, form = 8 + int.from_bytes(content[4:8], "little"), 12, b""
    while True:
        if len(content) < at + 8:
            raise ValueError("it is cut short")
        key, size = struct.unpack_from("<4sI", content, at)
        at += 8
        if key == b"data":
            break
        if key == b"fmt ":
            form = content[at : at + size]
        at += size + size % 2
    if len(form) < 16:
        raise ValueError("it has no format")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and form[26:40] == SUBFORMAT:
        kind = int.from_bytes(form[24:26], "little")
    if kind != PCM:
        raise ValueError(f"its samples are {KINDS.get(kind, f'of format {kind:#06x}')}, not PCM")
    width = (bits + 7) // 8
    if not channels or not 1 <= width <= 4:
        raise ValueError(f"its samples have {bits} bits" if channels else "it has no channel")
    # a header that was written before the sound, and never again: 0, or as much as there may be
    if size >= UNKNOWN_SIZE or (not size and whole != len(content)):
        return channels, rate, width, None, content[at:]
    return channels, rate, width, size, content[at : at + size]


def resample(samples, have: int, want: int):
    """The same sound at another rate (Hz), by a polyphase filter that lets nothing above half of either rate pass."""
    if have == want:
        return samples
    from scipy.signal import resample_poly

    common = gcd(have, want)
    return resample_poly(samples, want // common, have // common).astype(np.float32)


def warp(samples, speed: float):
    """The sound played `speed` times as fast, its pitch with it (Ko et al., 2015), by linear interpolation."""
    at = np.arange(warped(len(samples), speed)) * speed
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def warped(n: int, speed: float) -> int:
    """Samples that `warp` makes of n."""
    return int(n / speed)


def frame_count(n: int, width: int, hop: int) -> int:
    """Whole windows of `width` samples, one every `hop`, in n samples: 1 + floor((n - width) / hop), or 0."""
    return max(0, 1 + (n - width) // hop)


def frames(samples, width: int, hop: int):
    """Those windows, [t width]; what is left at the end fills none."""
    if len(samples) < width:
        return np.zeros((0, width), samples.dtype)
    return np.lib.stride_tricks.sliding_window_view(samples, width)[::hop]


def emphasise(samples, factor=0.97):
    """y_i = x_i - factor x_{i-1}: lifts high frequencies by 6 dB an octave, where speech has less energy."""
    return samples - factor * np.concatenate([samples[:1], samples[:-1]])


def power(windows, fft: int):
    """P_k = |sum_i w_i exp(-2 pi i k / fft)|^2 / fft, k = 0 ... fft/2, of windows [t w], w <= fft: [t fft/2+1].

    Parseval: P_0 + P_{fft/2} + 2 (the others) = the window's energy sum_i w_i^2.
    """
    from scipy.fft import rfft  # numpy's has no float32

    spectrum: Any = rfft(windows, fft)
    return (spectrum.real**2 + spectrum.imag**2) / fft


def mel(hz):
    """m = 2595 log10(1 + f / 700): equal steps are heard as equal steps of pitch (O'Shaughnessy, 1987)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def hz(mels):
    return 700 * (10 ** (np.asarray(mels) / 2595) - 1)


def band(hz, bands: int, rate: int, low=20.0):
    """Which of the bands a frequency lies in the middle of: 0 ... bands - 1, and between them."""
    begin, end = mel(low), mel(rate / 2)
    return (mel(hz) - begin) / (end - begin) * (bands + 1) - 1


@lru_cache
def mel_filters(bands: int, fft: int, rate: int, low=20.0):
    """Triangles [fft/2+1 bands] over the bins' frequencies. Their corners are bands + 2 equal steps of the mel scale,
    from `low` Hz to rate / 2: band k rises from corner k to 1 at corner k + 1 and falls to 0 at corner k + 2.
    """
    corners = hz(np.linspace(mel(low), mel(rate / 2), bands + 2))
    bins = np.arange(fft // 2 + 1)[:, None] * rate / fft
    rise = (bins - corners[:-2]) / np.diff(corners)[:-1]
    fall = (corners[2:] - bins) / np.diff(corners)[1:]
    return np.maximum(0, np.minimum(rise, fall)).astype(np.float32)


def log_mel(samples, rate: int, *, bands=40, window=0.025, hop=0.010, emphasis=0.97):
    """x_tk = log(sum_j F_jk P_tj + floor), float32 [t bands]: Davis & Mermelstein (1980) up to their cosine transform.

    P: the power spectrum of the pre-emphasised sound under a Hann window of `window` seconds, one every `hop` seconds;
    F: `mel_filters`. The FFT is at least twice the window, so that the lowest triangles hold a bin each.
    """
    width, step = sizes(rate, window, hop)
    fft = fft_size(width)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
    windows = frames(emphasise(np.asarray(samples, np.float32), emphasis), width, step) * hann.astype(np.float32)
    return np.log(power(windows, fft) @ mel_filters(bands, fft, rate) + FLOOR)


def sizes(rate: int, window: float, hop: float) -> tuple[int, int]:
    """(width, hop) in samples."""
    return round(rate * window), round(rate * hop)


def fft_size(width: int) -> int:
    """The least power of two that is twice the window."""
    return 2 ** int(np.ceil(np.log2(2 * width)))


def silent(samples) -> bool:
    """Nothing to hear: one value throughout, or what dithers it by the least step of 16 bits."""
    return float(np.ptp(samples)) <= 2 / 2**15


def normalise(features):
    """Each band with mean 0 and variance 1 over the frames [t n]: takes out the microphone and the loudness."""
    return (features - features.mean(0)) / (features.std(0) + 1e-3)


def stack(features, k: int):
    """k frames side by side, [t n] -> [t//k k*n]: k times fewer steps (Sak et al., 2015). Left-over frames drop out."""
    t = len(features) // k
    return features[: t * k].reshape(t, k * features.shape[1])
