"""The translation study through its front door, tiny: a word is copied from nowhere but the source."""

import io
import json

import numpy as np
import pytest
from front_door import call, refused

from experiments import translation
from rnn_jax.data import pairs

pytestmark = pytest.mark.usefixtures("quick_module")
LINES = {"train": 60, "valid": 12, "test": 48}
TINY = {
    "width": 8, "embed": 8, "steps": 1, "data.source": "text", "data.units": "words", "data.least": 1, "data.row": 24,
    "data.batch": 4, "decode.beams": 2, "decode.batch": 6, "decode.shapes": 1, "samples": 2,
    "step_of_lengths": 2, "log_every": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sentences of four words, and their translation word by word."""
    path, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    for part, n in LINES.items():
        found = [[f"w{i}" for i in rng.integers(0, 9, rng.integers(1, 6))] for _ in range(n)]
        (path / f"{part}.de").write_text("".join(" ".join(line) + "\n" for line in found))
        (path / f"{part}.en").write_text("".join(" ".join(line).upper() + "\n" for line in found))
    return path


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A workdir after one epoch."""
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        flags = [f"--config.{k}={v}" for k, v in (TINY | {"data.path": folder}).items()]
        translation.train.cli.run(
            translation.main, study="translation", check=translation.check, argv=[f"--workdir={workdir}", *flags]
        )
    assert stop.value.code == 0
    return workdir


def test_every_result_and_picture_is_there(trained):
    results = json.loads((trained / "results.json").read_text())
    assert 1 < results["ppl"] < 20 and 0 <= results["bleu"] <= 100 and results["chrf"] >= 0
    assert "tok:none" in results["sacrebleu_signature"] and results["words_per_second"] > 0
    assert len(results["bleu_by_length"]) == len(results["lengths"]) == 3
    assert 0 < results["padding_waste"] < 1 and results["parameters"] > 1000
    assert sorted(f.name for f in (trained / "figures").iterdir()) == [
        "attention_0.png", "attention_1.png", "bleu_by_length.png",
    ]  # fmt: skip


def test_lines_in_lines_out_and_what_is_wrong_with_them_at_the_end(trained, folder, capsys, monkeypatch):
    given = b"w1 w2\n\n\xff\xfe\nw3 zzz\n" + b"w4 " * 30 + b"\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    options = TINY | {"data.path": folder, "mode": "translate", "decode.beams": 3}  # decoding is not the model's
    code, out, err = call(translation, trained, capsys, **options)
    assert code == 0 and out.count("\n") == 5
    lines = out.split("\n")
    assert lines[1] == lines[2] == "" and all(word.isupper() or word == "<unk>" for word in out.split())
    assert err.splitlines() == [
        "line 3 is not UTF-8: left empty", "1 of 5 lines hold words that training did not know",
        "1 of 5 lines are longer than the 24 tokens of training",
    ]  # fmt: skip


def test_no_line_is_no_line(trained, folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, out, err = call(translation, trained, capsys, **TINY | {"data.path": folder, "mode": "translate"})
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"decode.shapes": 0}, "config.decode.shapes=0: want at least 1"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(translation, tmp_path / "new", capsys, message, **TINY | changed)


def test_runs_in_one_picture(trained, folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    results = json.loads((trained / "results.json").read_text())
    more = {"lengths": [*results["lengths"], 8], "bleu_by_length": [*results["bleu_by_length"], None]}
    (other / "results.json").write_text(json.dumps(results | more))
    before = (trained / "figures/bleu_by_length.png").read_bytes()
    options = TINY | {"data.path": folder, "mode": "compare", "decode.beside": other}
    code, out, err = call(translation, trained, capsys, **options)
    assert code == 0 and out.startswith(f"{trained.name}: BLEU ") and "\nother: BLEU " in out, err
    assert (trained / "figures/bleu_by_length.png").read_bytes() != before
    code, _, err = call(translation, trained, capsys, **options | {"decode.beside": tmp_path / "no"})
    assert code == 2 and err.count("\n") == 1 and "name workdirs of finished runs" in err


def test_an_unknown_mode_is_one_line(trained, folder, capsys):
    code, _, err = call(translation, trained, capsys, **TINY | {"data.path": folder, "mode": "read"})
    assert code == 2 and err == "error: config.mode=read: want one of train, translate, compare\n"


def test_training_pairs_within_a_limit(folder):
    config = pairs.defaults()
    config.update({"source": "text", "path": str(folder), "units": "words", "least": 1, "longest": 3})
    found = pairs.load(config)
    assert max(len(a.split()) for a, _ in found.train) == 3 < max(len(a.split()) for a, _ in found.test)
    assert f"train: {60 - len(found.train)} pairs of more than 3 words are left out" in found.report
    assert len(found.source) == 4 + 9  # the vocabularies are those of all pairs


def test_empty_sides_are_left_out_and_told(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_text(file.read_text() + ("w1\n\n" if file.suffix == ".de" else "\nW1\n"))
    config = pairs.defaults()
    config.update({"source": "text", "path": str(tmp_path), "units": "words"})
    found = pairs.load(config)
    assert len(found.train) == 60 and "train: 2 pairs with an empty side are left out" in found.report


def test_data_that_cannot_be_read_is_one_line(folder, tmp_path, capsys):
    lost = tmp_path / "lost"
    lost.mkdir()
    for file in folder.iterdir():
        (lost / file.name).write_bytes(file.read_bytes())
    (lost / "valid.en").write_text("W1\n")
    for number, (options, message) in enumerate((
        ({"data.path": lost}, "they must be aligned"),
        ({"data.source": "multi30k", "data.root": lost}, "does not exist: fetch data/task1 of the repository"),
        ({"data.source": "web"}, "config.data.source: no 'web'; there are reversal, multi30k, text, tfds"),
        ({"data.path": lost / "no"}, "train.de"),
        ({"data.path": folder, "data.longest": -1}, "config.data.longest=-1: no training pair is that short"),
    )):  # fmt: skip
        code, _, err = call(translation, tmp_path / f"w{number}", capsys, **TINY | options)
        assert code != 0 and message in err and err.count("\n") == 1, err
