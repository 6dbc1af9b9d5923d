"""The speech study through its front door, tiny: what a run leaves, how it goes on, what it says of wav files."""

import json
import shutil
import struct

import numpy as np
import pytest
from front_door import call, refused

from configs.speech import default, fsdd
from experiments import speech
from rnn_jax import train
from rnn_jax.data import recordings
from rnn_jax.train.log import TIMES

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "cell": "vanilla", "width": 4, "features.bands": 8, "data.takes": (1, 1, 1), "data.words": (1, 2), "data.batch": 4,
    "data.strings": 8, "data.held_out": 8, "data.shapes": 1, "data.longest": 1.0, "decode.beams": 2, "decode.batch": 4,
    "steps": 4, "log_every": 1, "eval_every": 2, "save_every": 2, "optimizer.warmup": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir after four updates."""
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        flags = [f"--config.{k}={v}" for k, v in TINY.items()]
        train.cli.run(speech.main, study="speech", check=speech.check, argv=[f"--workdir={workdir}", *flags])
    assert stop.value.code == 0
    return workdir


def results(workdir):
    return {k: v for k, v in json.loads((workdir / "results.json").read_text()).items() if k != "seconds"}


def rows(workdir):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in train.read_rows(workdir)]


def test_every_result_and_picture_is_there(trained):
    found = results(trained)
    assert set(found) == {
        "label_error_rate", "label_error_rate_greedy", "exact", "valid_label_error_rate", "valid_exact", "valid_loss",
        "valid_label_error_rate_greedy", "padding_waste", "parameters",
    }  # fmt: skip
    assert found["valid_loss"] > 0 and found["label_error_rate"] >= 0 and 0 <= found["exact"] <= 1
    assert 0 <= found["padding_waste"] < 1 and found["parameters"] > 100
    assert [row["step"] for row in rows(trained) if "valid_loss" in row] == [2, 4]
    assert [f.name for f in (trained / "figures").iterdir()] == ["ctc.png"]


def test_a_run_that_goes_on_ends_with_the_bits_of_one_that_was_not_stopped(trained, tmp_path, capsys):
    shutil.copytree(trained, tmp_path / "w")
    shutil.rmtree(tmp_path / "w/checkpoints/4")
    (tmp_path / "w/results.json").unlink()
    code, _, err = call(speech, tmp_path / "w", capsys, **TINY)
    assert (code, err) == (0, "")
    assert rows(tmp_path / "w") == rows(trained) and results(tmp_path / "w") == results(trained)
    one, two = (train.load_params(path)[0] for path in (trained, tmp_path / "w"))
    assert all((one[k] == two[k]).all() for k in one)


def wav(seconds, rate=8000, channels=1, loud=2000):
    n = int(seconds * rate)
    data = (np.random.default_rng(0).normal(0, loud, (n, channels))).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, channels, rate,
                       2 * channels * rate, 2 * channels, 16, b"data", len(data))  # fmt: skip
    return head + data


def test_a_line_for_each_wav_file_and_for_each_fault(trained, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    files = {
        "a.wav": wav(0.6), "b.wav": wav(0.6, 16000), "c.WAV": wav(0.6, channels=2), "empty.wav": b"",
        "none.wav": wav(0), "short.wav": wav(0.02), "text.wav": b"hello",
        "cut.wav": wav(0.5)[:-50], "notes.txt": b"no sound", "silent.wav": wav(0.6, loud=0),
        "wide.wav": wav(0.5).replace(b"\x10\0data", b"\x40\0data"), "slow.wav": wav(5, rate=1),
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / "in" / name).write_bytes(content)
    given = f"{tmp_path / 'in'}, {tmp_path / 'lost.wav'} , {tmp_path / 'in/a.wav'}"
    code, out, err = call(speech, trained, capsys, **TINY | {"mode": "transcribe", "audio": given, "decode.beams": 3})
    assert code == 0
    names = [line.split("\t")[0].rsplit("/", 1)[-1] for line in out.splitlines()]
    assert names == ["a.wav", "b.wav", "c.WAV", "silent.wav"] and out.splitlines()[3].endswith("silent.wav\t")
    assert all(word in recordings.DIGITS for line in out.splitlines() for word in line.split("\t")[1].split())
    said = {line.split(":")[0].split(" ")[0].rsplit("/", 1)[-1]: line for line in err.splitlines()}
    assert len(said) == err.count("\n") == 11
    for name, message in {
        "b.wav": "16000 Hz, resampled to 8000", "c.WAV": "2 channels, averaged", "empty.wav": "it is empty",
        "none.wav": "holds no sample", "short.wav": "too short: 0.020 s", "text.wav": "cannot be read as wav",
        "cut.wav": "cut short", "lost.wav": "No such file",
        "silent.wav": "no sound", "wide.wav": "samples have 64 bits", "slow.wav": "has 1 samples a second",
    }.items():  # fmt: skip
        assert message in said[name]


def test_nothing_that_can_be_read_is_an_error(trained, tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(b"")
    given = TINY | {"mode": "transcribe", "audio": f"{tmp_path / 'a.wav'},{tmp_path / 'b.wav'}"}
    code, out, err = call(speech, trained, capsys, **given)
    assert (code, out, err.count("\n")) == (2, "", 3) and "none of 2 wav files can be read" in err.splitlines()[-1]


def test_silence_alone_and_a_name_with_a_comma(trained, tmp_path, capsys):
    (tmp_path / "a, b.wav").write_bytes(wav(0.6, loud=0))
    code, out, err = call(speech, trained, capsys, **TINY | {"mode": "transcribe", "audio": tmp_path / "a, b.wav"})
    assert (code, out, err.count("\n")) == (0, f"{tmp_path / 'a, b.wav'}\t\n", 1) and "no sound" in err


@pytest.mark.parametrize("audio", ["", "/"])
def test_no_wav_file_is_one_line(trained, tmp_path, capsys, audio):
    audio = audio and tmp_path  # an empty folder
    code, _, err = call(speech, trained, capsys, **TINY | {"mode": "transcribe", "audio": audio})
    assert code == 2 and "name wav files, or folders of them" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"features.stack": 9}, "config.features.stack=9: a word of 0.1 s must last 2 steps"),
        ({"features.hop": 0.0}, "want window >= hop >= 1 / rate"),
        ({"data.source": "web"}, "config.data.source: no 'web'; there are tones, fsdd, speech_commands"),
        ({"data.source": "fsdd", "data.root": "/nowhere"}, "/nowhere/fsdd/train.zip does not exist"),
        ({"data.shapes": 0}, "config.data.shapes=0: want at least 1"),
        ({"data.words": (3, 1)}, "config.data.words=(3, 1): want two numbers, 1 <= least <= most"),
        ({"data.augment.speed": 1.0}, "want gap >= 0 and 0 <= speed < 1"),
        ({"data.strings": 3}, "config.data.strings=3: want at least config.data.batch=4"),
        ({"data.takes": (2, 1)}, "config.data.takes=(2, 1): want three numbers"),
        ({"data.dither": 10.0}, "want dither >= augment.noise"),
        ({"data.augment.masks": -1}, "config.data.augment.masks=-1: want at least 0"),
        ({"steps": 0}, "config.steps=0: want at least 1"),
        ({"features.rate": 150, "features.stack": 1}, "3 of 8 bands hold nothing at rate=150: raise it"),
        ({"mode": "transcribe", "audio": "a.wav"}, "holds no run to transcribe: train it first"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(speech, tmp_path / "new", capsys, message, **TINY | changed)


def test_the_configs_are_what_they_say(data_root):
    speech.check(default.get_config())
    config = fsdd.get_config()
    config.data.root = str(data_root)
    speech.check(config)
    assert default.get_config().data.source == "tones" and config.data.source == "fsdd"
