"""The translation study through its front door, tiny: a word is copied from nowhere but the source."""

import io
import json
import shutil

import numpy as np
import pytest
from front_door import call, refused

from experiments import translation
from rnn_jax.data import DataError, pairs

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


def say(monkeypatch, given):
    """On standard input."""
    given = given if isinstance(given, bytes) else given.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))


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
    say(monkeypatch, b"w1 w2\n\n\xff\xfe\nw3 zzz\n" + b"w4 " * 30 + b"\n")
    options = TINY | {"data.path": folder, "mode": "translate", "decode.beams": 3}  # decoding is not the model's
    code, out, err = call(translation, trained, capsys, **options)
    assert code == 0 and out.count("\n") == 5
    lines = out.split("\n")
    assert lines[1] == lines[2] == "" and all(word.isupper() or word == "<unk>" for word in out.split())
    assert err.splitlines() == [
        "line 2 is empty: left empty", "line 3 is not UTF-8: left empty",
        "lines with words that training did not know, 1 in all: line 4",
        "lines longer than the 23 words of training, 1 in all: line 5",
    ]  # fmt: skip


def test_the_first_of_many_unknown_and_long_lines_are_named(trained, folder, capsys, monkeypatch):
    """A row of 24 holds 23 words and END: a line of 23 is not longer."""
    lines = ["w1 " * 23, "w1 " * 24, *["zzz"] * 6]
    say(monkeypatch, "\n".join(lines))
    code, _, err = call(translation, trained, capsys, **TINY | {"data.path": folder, "mode": "translate"})
    assert code == 0 and err.splitlines() == [
        "lines with words that training did not know, 6 in all: line 3, line 4, line 5, ...",
        "lines longer than the 23 words of training, 1 in all: line 2",
    ]  # fmt: skip


def test_a_limit_of_training_is_the_length_that_lines_are_measured_by(folder, tmp_path, capsys, monkeypatch):
    options = TINY | {"data.path": folder, "data.longest": 3, "samples": 0}
    assert call(translation, tmp_path / "w", capsys, **options)[0] == 0
    say(monkeypatch, "w1 w2 w3\nw1 w2 w3 w4\n")
    code, _, err = call(translation, tmp_path / "w", capsys, **options | {"mode": "translate"})
    assert (code, err) == (0, "lines longer than the 3 words of training, 1 in all: line 2\n")


def test_a_translation_does_not_depend_on_the_lines_beside_it(trained, folder, capsys, monkeypatch):
    """Of one word and END at most 2 * 2 + 5 tokens are written. One shape, so that all lines are in one bucket, and a
    power by which the longest text wins."""
    options = TINY | {"data.path": folder, "mode": "translate", "decode.length_power": 20.0}
    found = []
    for given in ("w1\n", "w1\n" + "w4 w5 " * 8 + "\n"):
        say(monkeypatch, given)
        code, out, _ = call(translation, trained, capsys, **options)
        assert code == 0
        found.append(out.split("\n"))
    assert found[0][0] == found[1][0] and len(found[0][0].split()) == 9 < len(found[1][1].split())


def test_n_best_lists(trained, folder, capsys, monkeypatch):
    """Of each line the best are those of a wider search, best first; the first is what is written without a list."""
    options = TINY | {"data.path": folder, "mode": "translate", "decode.beams": 4}
    given = b"w1 w2\n\nw3 w4 w5\n"
    say(monkeypatch, given)
    _, alone, _ = call(translation, trained, capsys, **options)
    say(monkeypatch, given)
    code, out, err = call(translation, trained, capsys, **options | {"decode.best": 3})
    assert (code, err) == (0, "line 2 is empty: left empty\n")
    rows = [line.split(" ||| ") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["0"] * 3 + ["2"] * 3
    assert [rows[0][1], "", rows[3][1]] == alone.splitlines()
    for each in (rows[:3], rows[3:]):
        assert len({row[1] for row in each}) == 3
        scores = [float(row[3]) for row in each]
        assert scores == sorted(scores, reverse=True) and all(float(row[2]) < 0 for row in each)


def test_no_line_is_no_line(trained, folder, capsys, monkeypatch):
    say(monkeypatch, "")
    code, out, err = call(translation, trained, capsys, **TINY | {"data.path": folder, "mode": "translate"})
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"decode.best": 0}, "config.decode.best=0: want 1 to config.decode.beams=2"),
        ({"decode.best": 6}, "config.decode.best=6: want 1 to config.decode.beams=2"),
        ({"decode.shapes": 0}, "config.decode.shapes=0: want at least 1"),
        ({"decode.length_power": -1.0}, "config.decode.length_power=-1.0: want at least 0"),
        ({"decode.coverage_weight": -0.1}, "config.decode.coverage_weight=-0.1: want at least 0"),
        ({"width": 0}, "config.width=0: want at least 1"),
        ({"layers": 0}, "config.layers=0: want at least 1"),
        ({"embed": 0}, "config.embed=0: want at least 1"),
        ({"steps": 0}, "config.steps=0: want at least 1"),
        ({"step_of_lengths": 0}, "config.step_of_lengths=0: want at least 1"),
        ({"deep": -1}, "config.deep=-1: want at least 0"),
        ({"samples": -1}, "config.samples=-1: want at least 0"),
        ({"dropout": 1.5}, "config.dropout=1.5: want a share from 0 to below 1"),
        ({"dropout": -1.0}, "config.dropout=-1.0: want a share from 0 to below 1"),
        ({"dropout_out": 1.0}, "config.dropout_out=1.0: want a share from 0 to below 1"),
        ({"smoothing": "nan"}, "config.smoothing=nan: want a share from 0 to below 1"),
        ({"inform": "memory"}, "inform is 'memory'; want one of state, input, attention"),
        ({"attention": "cosine"}, "attention is 'cosine'; want one of additive, dot"),
        ({"when": "never"}, "when is 'never'; want one of before, after"),
        ({"feed": True}, 'it needs inform="attention", when="after"'),
        ({"cell": "heads_lstm"}, "a cell whose carry leaves are not [b d] needs bidirectional=False"),
        ({"forcing.kind": "often"}, "config.forcing.kind=often: want one of none, constant"),
        ({"data.row": 0}, "config.data.row=0: want at least 1"),
        ({"data.batch": 0}, "config.data.batch=0: want at least 1"),
        ({"data.least": 0}, "config.data.least=0: want at least 1"),
        ({"data.least": 1000}, "config.data.least=1000: no source word of the training part occurs so often"),
        ({"data.units": "subwords", "data.size": 0}, "config.data.size=0: want at least 1"),
        ({"data.longest": -1}, "config.data.longest=-1: want at least 0"),
        ({"data.languages": "('de',)"}, "config.data.languages=('de',): want two, from and to"),
        ({"data.row": 1}, "every training sentence is longer than config.data.row=1: raise it"),
        ({"data.path": "/nowhere"}, "/nowhere/train.de"),
    ],
)
def test_a_wrong_call_is_one_line(folder, tmp_path, capsys, changed, message):
    refused(translation, tmp_path / "new", capsys, message, **TINY | {"data.path": folder} | changed)


@pytest.mark.parametrize(("part", "name"), [("valid", "validation"), ("test", "test")])
def test_a_part_of_which_nothing_fits_a_row_is_one_line(folder, tmp_path, capsys, part, name):
    for file in folder.iterdir():
        long = "w1 " * 24 if file.stem == part else ""  # and END
        (tmp_path / file.name).write_text("".join(long + line for line in file.read_text().splitlines(keepends=True)))
    message = f"every {name} sentence is longer than config.data.row=24: raise it"
    refused(translation, tmp_path / "new", capsys, message, **TINY | {"data.path": tmp_path})


def test_other_text_in_the_same_workdir_is_refused(folder, tmp_path, capsys):
    text, workdir = tmp_path / "text", tmp_path / "w"
    text.mkdir()
    for file in folder.iterdir():
        (text / file.name).write_bytes(file.read_bytes())
    options = TINY | {"data.path": text, "samples": 0}
    assert call(translation, workdir, capsys, **options)[0] == 0
    (workdir / "results.json").unlink()
    assert call(translation, workdir, capsys, **options)[0] == 0  # the same text goes on
    (workdir / "results.json").unlink()
    (text / "train.de").write_text((text / "train.de").read_text().replace("w1", "w2"))
    code, _, err = call(translation, workdir, capsys, **options)
    assert (code, err.count("\n")) == (2, 1) and f"{workdir} was trained on other pairs: put those back, or" in err


def test_runs_in_one_picture(trained, folder, tmp_path, capsys):
    other, twin = tmp_path / "other", tmp_path / trained.name
    other.mkdir()
    results = json.loads((trained / "results.json").read_text())
    more = {"lengths": [*results["lengths"], 8], "bleu_by_length": [*results["bleu_by_length"], None]}
    (other / "results.json").write_text(json.dumps(results | more))
    (other / "config.json").write_bytes((trained / "config.json").read_bytes())
    shutil.copytree(other, twin)
    before = (trained / "figures/bleu_by_length.png").read_bytes()
    options = TINY | {"data.path": folder, "mode": "compare", "decode.beside": other}
    code, out, err = call(translation, trained, capsys, **options)
    assert code == 0 and out.startswith(f"{trained.name}: BLEU ") and "\nother: BLEU " in out, err
    assert (trained / "figures/bleu_by_length.png").read_bytes() != before
    code, out, _ = call(translation, trained, capsys, **options | {"decode.beside": f"{twin},{other},{twin}/"})
    names = [str(trained), str(twin), "other"]  # two have the same last part
    assert code == 0 and [line.split(": BLEU ")[0] for line in out.splitlines()[:-1]] == names
    (other / "config.json").write_text('{"study": "tagging"}')
    for beside, message in (
        (tmp_path / "no", "name workdirs of finished runs"),
        (other, "a run of experiments.tagging: want"),
    ):
        code, _, err = call(translation, trained, capsys, **options | {"decode.beside": beside})
        assert code == 2 and err.count("\n") == 1 and f"{beside}" in err and message in err


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
        ({"data.path": folder, "attention": "dot"}, "attention.dot: the query is "),
    )):  # fmt: skip
        refused(translation, tmp_path / f"w{number}", capsys, message, **TINY | options)
    (lost / "valid.en").write_bytes((folder / "valid.en").read_bytes())  # put right: the same workdir takes the call
    code, _, err = call(translation, tmp_path / "w0", capsys, **TINY | {"data.path": lost, "samples": 0})
    assert (code, err) == (0, "")


def test_no_training_pair_within_the_limit(tmp_path):
    for part in LINES:
        for language in ("de", "en"):
            (tmp_path / f"{part}.{language}").write_text("a b\na b\n")
    config = pairs.defaults()
    config.update({"source": "text", "path": str(tmp_path), "units": "words", "longest": 1})
    with pytest.raises(DataError, match=r"config.data.longest=1: no training pair is that short"):
        pairs.load(config)
