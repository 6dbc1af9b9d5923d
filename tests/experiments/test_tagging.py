"""The tagging study through its front door, tiny."""

import io
import json
import os
import re
import signal

import numpy as np
import pytest
from front_door import call, refused
from ml_collections import ConfigDict

from experiments import tagging
from rnn_jax import train
from rnn_jax.data import tagged
from rnn_jax.data.sentences import Rows
from rnn_jax.train.log import TIMES

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "width": 6, "features.word": 6, "features.suffix2": 3, "steps": 2, "data.size": 20, "data.batch": 2, "data.row": 48,
    "log_every": 1, "cell": "vanilla",
}  # fmt: skip
FILES = TINY | {"data.source": "columns", "data.pos": True, "model": "mlp", "steps": 1, "features.given": 2}
COLUMNS = "The DT B-NP\ncat NN I-NP\nsat VB B-VP\n. . O\n\nIt DT B-NP\nran VB B-VP\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir after two epochs."""
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        flags = [f"--config.{k}={v}" for k, v in TINY.items()]
        train.cli.run(tagging.main, study="tagging", check=tagging.check, argv=[f"--workdir={workdir}", *flags])
    assert stop.value.code == 0
    return workdir


def results(workdir):
    return json.loads((workdir / "results.json").read_text())


def say(monkeypatch, given: bytes):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))


def test_every_result_and_picture_is_there(trained):
    found = results(trained)
    assert set(found) == {
        "accuracy", "f1", "precision", "recall", "valid_accuracy", "valid_f1", "valid_precision", "valid_recall",
        "valid_loss", "best_valid_loss", "padding_waste", "words_per_second", "parameters", "seconds",
    }  # fmt: skip
    assert 0.1 < found["accuracy"] < 1 and 0 <= found["f1"] <= 100 and found["words_per_second"] > 0
    assert 0 < found["padding_waste"] < 0.5 and found["parameters"] > 500
    assert (trained / "figures/loss.png").read_bytes().startswith(b"\x89PNG")


def test_parts_of_speech_are_scored_word_by_word():
    part = [[tagged.Word("a", "", "X"), tagged.Word("b", "", "new")], [tagged.Word("c", "", "Y")]]
    said = np.log([[0.6, 0.4], [0.5, 0.5], [0.2, 0.8]])
    found = tagging.measure(ConfigDict({"task": "pos"}), part, ("X", "Y"), said)
    assert found == {"loss": pytest.approx(-np.log([0.6, 0.8]).mean()), "accuracy": pytest.approx(2 / 3)}


def test_lines_in_lines_out_and_what_is_wrong_with_them_at_the_end(trained, capsys, monkeypatch):
    say(monkeypatch, b"the sheep are\n\n\xff\xfe\nyesterday and/or zzz " + b"put " * 60 + b"\n")
    code, out, err = call(tagging, trained, capsys, **TINY | {"mode": "tag"})
    lines = out.removesuffix("\n").split("\n")
    assert code == 0 and len(lines) == 4 and lines[1] == lines[2] == ""
    assert re.fullmatch(r"the/\S+ sheep/\S+ are/\S+", lines[0])
    assert lines[3].startswith("yesterday/") and "and/or/" in lines[3] and lines[3].count("put/") == 60
    tags = json.loads(json.dumps(train.load_params(trained)[1]["tags"]))
    assert {pair.rpartition("/")[2] for line in lines for pair in line.split()} <= set(tags)
    longest = train.load_params(trained)[1]["longest"]
    assert 5 < longest < 48 and err.splitlines() == [
        "line 2 is empty: left empty", "line 3 is not UTF-8: left empty",
        "unknown words, 3 in all: sheep (line 1), and/or (line 4), zzz (line 4)",
        f"lines of more words than the {longest} that training read at most, 1 in all: line 4 (63)",
    ]  # fmt: skip


def test_no_line_is_no_line(trained, capsys, monkeypatch):
    for given, out, err in ((b"", "", ""), (b"\n", "\n", "line 1 is empty: left empty\n")):
        say(monkeypatch, given)
        assert call(tagging, trained, capsys, **TINY | {"mode": "tag"}) == (0, out, err)


def test_given_parts_of_speech(tmp_path, capsys, monkeypatch):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text(COLUMNS)
    want, workdir = FILES | {"data.path": tmp_path}, tmp_path / "w"
    code, _, err = call(tagging, workdir, capsys, **want)
    assert (code, err) == (0, "")
    say(monkeypatch, b"The/DT cat/NN\nThe cat/NN\n1/2/CD\n")
    code, out, err = call(tagging, workdir, capsys, **want | {"mode": "tag"})
    told = err.splitlines()
    assert code == 0 and told[0] == "line 2 has a word without /part-of-speech: left empty"
    assert told[1:] == [  # each word once, so none is known (config.least=2)
        "unknown words, 3 in all: The (line 1), cat (line 1), 1/2 (line 3)",
        "unknown parts of speech, 2 in all: NN (line 1), CD (line 3)",
    ]
    assert re.fullmatch(r"The/\S+ cat/\S+\n\n1/2/\S+\n", out)
    (workdir / "results.json").unlink()
    (tmp_path / "train.txt").write_text(COLUMNS.replace("ran", "sat"))
    code, _, err = call(tagging, workdir, capsys, **want)
    assert code == 2 and err.count("\n") == 1 and "was trained on other sentences: put those back" in err


def test_a_run_that_is_interrupted_goes_on_to_the_bit(trained, tmp_path, capsys, monkeypatch):
    workdir, take = tmp_path / "w", Rows.__call__

    def stop(self, i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return take(self, i)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "__call__", stop)
        assert call(tagging, workdir, capsys, **TINY)[0] == 75
    assert not (workdir / "results.json").exists()
    assert call(tagging, workdir, capsys, **TINY)[0] == 0
    plain = lambda folder: [{k: v for k, v in row.items() if k not in TIMES} for row in train.read_rows(folder)]
    assert plain(workdir) == plain(trained)
    one, two = (train.load_params(folder)[0] for folder in (workdir, trained))
    assert all((one[k] == two[k]).all() for k in two) and one.keys() == two.keys()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"model": "cnn"}, "config.model=cnn: want one of rnn, mlp"),
        ({"task": "ner"}, "config.task=ner: want one of chunks, pos"),
        ({"mode": "read"}, "config.mode=read: want one of train, tag"),
        ({"mode": "tag"}, "holds no run to tag: train it first"),
        ({"dropout": 1.0}, "config.dropout=1.0: want a share from 0 to below 1"),
        ({"width": 0}, "config.width=0: want at least 1"),
        ({"data.row": 1}, "every training sentence is longer than config.data.row=1: raise it; the shortest has "),
        ({"data.row": 0}, "config.data.row=0: want at least 1"),
        ({"features.word": 0}, "config.features: want widths of at least 0, and at least 1 of the word"),
        ({"features.prefix9": 1}, "--config.features.prefix9 is not a key"),
        ({"task": "pos", "data.pos": True}, "gives the tags that config.task=pos is to find"),
        ({"data.source": "conll2000", "data.root": "/nowhere"}, "/nowhere/conll2000/train.txt.gz does not exist"),
        ({"data.source": "web"}, "config.data.source: no 'web'; there are generated, conll2000, columns, tfds"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(tagging, tmp_path / "new", capsys, message, **TINY | changed)
