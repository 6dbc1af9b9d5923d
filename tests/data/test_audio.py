"""Wav files and log-mel frames: every format, every fault, and what physics says of them."""

import io
import struct
import wave

import numpy as np
import pytest

from rnn_jax.data import DataError, audio

RATE = 8000


def wav(values, rate=RATE, width=2, channels=1):
    """The bytes of a PCM wav file of values in [-1, 1)."""
    out, most = io.BytesIO(), 2 ** (8 * width - 1)
    whole = np.round(np.asarray(values) * most).astype(np.int64)
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = b"".join(int(v).to_bytes(width, "little", signed=True) for v in whole)
    with wave.open(out, "wb") as f:
        f.setnchannels(channels)
        f.setsampwidth(width)
        f.setframerate(rate)
        f.writeframes(data)
    return out.getvalue()


def headed(values, *, kind=1, channels=1, rate=RATE, bits=16, more=b"", size=None, whole=None):
    """A wav file of 16-bit values with any header; size, whole: of the data and of the file, as it says."""
    data = np.round(np.asarray(values) * 2**15).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", kind, channels, rate, 0, 2, bits) + more
    whole = 20 + len(form) + len(data) if whole is None else whole
    size = len(data) if size is None else size
    return b"RIFF%sWAVEfmt %s%sdata%s" % (whole.to_bytes(4, "little"), len(form).to_bytes(4, "little"), form,
                                          size.to_bytes(4, "little")) + data  # fmt: skip


def guid(kind):
    """What follows the format of an EXTENSIBLE header."""
    return struct.pack("<HHIH", 22, 16, 4, kind) + audio.SUBFORMAT


def tone(hz, n=RATE, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(n) / rate)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_reads_as_the_same_sound(width, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(tone(300, 500), rate=11025, width=width))
    found = audio.read(tmp_path / "a.wav")
    assert (found.rate, found.channels, found.samples.dtype) == (11025, 1, np.float32)
    np.testing.assert_allclose(found.samples, tone(300, 500), atol=2.0 ** (1 - 8 * width) + 1e-7)


def test_channels_are_averaged():
    both = np.stack([tone(300, 100), np.zeros(100)], 1)
    found = audio.read(wav(both.reshape(-1), channels=2))
    np.testing.assert_allclose(found.samples, tone(300, 100) / 2, atol=1e-4)
    assert found.channels == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "it is empty"), (b"RIFF", "cannot be read"), (b"not a sound at all, but text", "does not start as RIFF"),
     (wav([]), "holds no sample"), (wav(tone(9, 500))[:-100], "cut short"),
     (wav(tone(9, 50)).replace(b"\x01\x00\x01\x00", b"\x55\x00\x01\x00"), "samples are MP3, not PCM"),
     (headed(tone(9, 50), bits=64), "samples have 64 bits"), (headed(tone(9, 50), bits=0), "samples have 0 bits"),
     (headed(tone(9, 50), channels=0), "it has no channel"), (headed(tone(9, 50), kind=3), "floating point, not PCM"),
     (headed(tone(9, 50), kind=0xFFFE, more=guid(3)), "floating point, not PCM"),
     (headed(tone(9, 50), kind=0xFFFE), "of format 0xfffe"), (headed(tone(9, 50), rate=1), "has 1 samples a second"),
     (headed(tone(9, 50), rate=2**32 - 5), "want 100 to 1,000,000"), (headed(tone(9, 50))[:30], "cut short"),
     (headed([], size=0), "holds no sample"),
     (headed([], size=0, whole=48) + b"LIST\x04\0\0\0abcd", "holds no sample")],
)  # fmt: skip
def test_what_is_no_recording_is_one_line(content, message):
    with pytest.raises(DataError, match=message) as error:
        audio.read(content, "a.wav")
    assert "a.wav" in str(error.value) and "\n" not in str(error.value)


def test_an_extensible_header_and_other_chunks():
    values = tone(300, 500)
    plain = headed(values)
    for content in (
        headed(values, kind=0xFFFE, more=guid(1)), plain[:12] + b"LIST\x03\0\0\0abc\0" + plain[12:],
        plain + b"LIST\x04\0\0\0abcd",
    ):  # fmt: skip
        np.testing.assert_array_equal(audio.read(content).samples, audio.read(wav(values)).samples)


@pytest.mark.parametrize(
    ("size", "whole"), [(2**32 - 1, 2**32 - 1), (0, 36), (0, 0), (0x7FFFF000, 0x7FFFF024)], ids=hex
)
def test_a_stream_is_read_to_its_end(size, whole):
    values = tone(300, 500)
    for end in (b"", b"\x01"):  # within a sample
        found = audio.read(headed(values, size=size, whole=whole) + end)
        np.testing.assert_array_equal(found.samples, audio.read(wav(values)).samples)


def test_no_header_of_any_kind_is_a_traceback():
    good, rng, read = headed(tone(300, 40), kind=0xFFFE, more=guid(1)), np.random.default_rng(0), 0
    for _ in range(2000):
        bad = bytearray(good[: rng.integers(len(good) + 1)] if rng.random() < 0.3 else good)
        for at in rng.integers(min(len(bad), 68) or 1, size=3):
            bad[at : at + 1] = bytes([rng.integers(256)])
        try:
            found = audio.read(bytes(bad))
        except DataError as error:
            assert "\n" not in str(error)
        else:
            read += np.isfinite(found.samples).all()
    assert 0 < read < 1000


def test_silence():
    assert audio.silent(np.zeros(9, np.float32)) and audio.silent(np.full(9, -1, np.float32))
    assert audio.silent(audio.read(headed([0, 1 / 2**15, -1 / 2**15])).samples) and not audio.silent(0.001 * tone(300))


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.wav", tmp_path):
        with pytest.raises(DataError, match="cannot be read as wav"):
            audio.read(path)


def test_resampling_keeps_a_tone_and_drops_what_the_new_rate_cannot_hold():
    for have in (16000, 11025, 4000):
        found = audio.resample(tone(500, have, have), have, RATE)
        assert len(found) == RATE and found.dtype == np.float32
        np.testing.assert_allclose(found[400:-400], tone(500)[400:-400], atol=0.01)
    assert abs(audio.resample(tone(6000, 16000, 16000), 16000, RATE)[400:-400]).max() < 0.01
    same = tone(500)
    assert audio.resample(same, RATE, RATE) is same


def test_a_faster_sound_is_shorter_and_higher():
    found = audio.warp(tone(500), 1.25)
    assert len(found) == audio.warped(RATE, 1.25) == 6400
    np.testing.assert_allclose(found, tone(625)[:6400], atol=0.05)
    np.testing.assert_array_equal(audio.warp(tone(500), 1.0), tone(500).astype(np.float32))


@pytest.mark.parametrize(("n", "count"), [(0, 0), (199, 0), (200, 1), (279, 1), (280, 2), (8000, 98)])
def test_frame_count(n, count):
    assert audio.frame_count(n, 200, 80) == len(audio.frames(np.zeros(n), 200, 80)) == count
    assert audio.log_mel(np.zeros(n), RATE).shape == (count, 40)


def test_frames_are_the_samples():
    found = audio.frames(np.arange(1000), 200, 80)
    np.testing.assert_array_equal(found[3], np.arange(240, 440))


def test_power_is_parseval_s():
    windows = np.random.default_rng(0).normal(size=(5, 200))
    found = audio.power(windows, 512)
    np.testing.assert_allclose(2 * found.sum(1) - found[:, 0] - found[:, -1], (windows**2).sum(1), rtol=1e-10)


def test_emphasis():
    np.testing.assert_allclose(audio.emphasise(np.array([1.0, 1.0, 3.0]), 0.97), [0.03, 0.03, 2.03])


def test_mel_scale_and_its_inverse():
    assert audio.mel(1000) == pytest.approx(1000, rel=1e-3)  # what the scale was made for
    np.testing.assert_allclose(audio.hz(audio.mel([0, 440, 4000])), [0, 440, 4000], atol=1e-9)


def test_filters_are_triangles_that_add_up_to_one():
    """Between the first and the last peak each bin is shared by two neighbours; no band is empty."""
    filters = audio.mel_filters(40, 512, RATE)
    peaks = audio.hz(np.linspace(audio.mel(20), audio.mel(4000), 42))[[1, -2]]
    hz = np.arange(257) * RATE / 512
    np.testing.assert_allclose(filters[(hz >= peaks[0]) & (hz <= peaks[1])].sum(1), 1, atol=1e-5)
    assert (filters > 0).any(0).all() and ((filters > 0).sum(1) <= 2).all() and filters.max() <= 1


@pytest.mark.parametrize("hz", [200, 440, 1000, 2500, 3600])
def test_a_pure_tone_is_loudest_in_its_band(hz):
    found = audio.log_mel(tone(hz), RATE)
    assert (found.argmax(1) == round(float(audio.band(hz, 40, RATE)))).all()
    far = abs(np.arange(40) - audio.band(hz, 40, RATE)) > 8
    assert (found[:, far] < found.max(1, keepdims=True) - 8).all()  # nepers: the Hann window keeps it there


def test_twice_as_loud_is_log_4_more():
    sound = np.random.default_rng(0).normal(0, 0.1, 4000)
    np.testing.assert_allclose(audio.log_mel(2 * sound, RATE) - audio.log_mel(sound, RATE), np.log(4), atol=0.02)
    assert np.isfinite(audio.log_mel(np.zeros(4000), RATE)).all()


def test_normalised_bands_know_no_loudness():
    sound = np.random.default_rng(0).normal(0, 0.1, 4000)
    one, two = (audio.normalise(audio.log_mel(a * sound, RATE)) for a in (1, 3))
    np.testing.assert_allclose(one, two, atol=0.01)
    np.testing.assert_allclose([one.mean(), one.std()], [0, 1], atol=0.01)


def test_stacked_frames_are_the_frames():
    x = np.arange(14).reshape(7, 2)
    np.testing.assert_array_equal(audio.stack(x, 3), x[:6].reshape(2, 6))
    assert audio.stack(x, 8).shape == (0, 16)
