"""The classification study through its front door, tiny."""

import io
import json
import re

import jax
import numpy as np
import pytest
from front_door import call, refused

from configs.classification import default
from experiments import classification
from rnn_jax import train
from rnn_jax.data import labelled, sentences

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "width": 5, "features.word": 4, "steps": 1, "data.size": 24, "data.batch": 2, "data.row": 48, "log_every": 1,
    "samples": 2, "cell": "vanilla",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir after one epoch, pooled by attention."""
    workdir = tmp_path_factory.mktemp("run")
    flags = [f"--workdir={workdir}", *(f"--config.{k}={v}" for k, v in TINY.items())]
    with pytest.raises(SystemExit) as stop:
        train.cli.run(classification.main, study="classification", check=classification.check, argv=flags)
    assert stop.value.code == 0
    return workdir


def test_every_result_and_picture_is_there(trained):
    found = json.loads((trained / "results.json").read_text())
    assert set(found) == {
        "accuracy", "valid_accuracy", "valid_loss", "best_valid_loss", "padding_waste", "sentences_per_second",
        "parameters", "seconds",
    }  # fmt: skip
    assert 0 <= found["accuracy"] <= 1 and found["valid_loss"] == pytest.approx(0.69, abs=0.3)
    assert 0 < found["padding_waste"] < 0.5 and found["parameters"] > 200 and found["sentences_per_second"] > 0
    assert sorted(f.name for f in (trained / "figures").iterdir()) == ["attention_0.png", "attention_1.png", "loss.png"]


def test_another_model_and_pooling(tmp_path, capsys):
    code, _, err = call(classification, tmp_path / "w", capsys, **TINY | {"pool": "last", "model": "mlp"})
    assert (code, err) == (0, "")
    assert [f.name for f in (tmp_path / "w/figures").iterdir()] == ["loss.png"]


def test_networks_of_several_seeds_vote(tmp_path, capsys):
    """p(label) is the mean of theirs; one network alone is what its parameters are by themselves."""
    assert call(classification, tmp_path / "w", capsys, **TINY | {"seeds": 2})[::2] == (0, "")
    found = json.loads((tmp_path / "w/results.json").read_text())
    assert isinstance(found["valid_loss"], float) and isinstance(found["sentences_per_second"], int)
    assert sorted(f.name for f in (tmp_path / "w/figures").iterdir())[-1] == "loss.png"
    config = default.get_config()
    config.update_from_flattened_dict(TINY | {"seeds": 2})
    meta = train.load_params(tmp_path / "w")[1]
    features = sentences.Features.from_json(meta["features"])
    params, rebuild = classification.make(config, features, 2)
    params = train.load_params(tmp_path / "w", params)[0]
    rows = classification.lay(config, features, meta["labels"], [labelled.Labelled("", ("dull", "but", "moving"))])
    said = lambda config, params: next(iter(rows.read(lambda b: classification.scorer(config, rebuild)(params, b))))
    both = said(config, params)
    config.seeds = 1
    alone = [said(config, jax.tree.map(lambda a, i=i: a[i], params)) for i in range(2)]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3  # they are two
    np.testing.assert_allclose(np.exp(both), np.mean(np.exp(alone), axis=0), rtol=1e-5)


def test_lines_in_lines_out_and_what_is_wrong_with_them_at_the_end(trained, capsys, monkeypatch):
    say = lambda given: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    say(b"the plot was dull\n\n\xff\xfe\nzzz " + b"very " * 80 + b"\n")
    code, out, err = call(classification, trained, capsys, **TINY | {"mode": "classify"})
    assert code == 0 and re.fullmatch(r"((positive|negative)\t0\.\d{3}\n|\n){4}", out)
    assert [bool(line) for line in out.split("\n")] == [True, False, False, True, False]
    longest = train.load_params(trained)[1]["longest"]
    assert 3 < longest < 48 and err.splitlines() == [
        "line 2 is empty: left empty", "line 3 is not UTF-8: left empty",
        "unknown words, 1 in all: zzz (line 4)",
        f"lines of more words than the {longest} that training read at most, 1 in all: line 4 (81)",
    ]  # fmt: skip
    say(b"")
    assert call(classification, trained, capsys, **TINY | {"mode": "classify"}) == (0, "", "")


def test_lines_are_cut_as_training_cut_them(tmp_path, capsys, monkeypatch):
    want, out = TINY | {"data.longest": 3}, []
    assert call(classification, tmp_path / "w", capsys, **want)[0] == 0
    for given in (b"the plot was dull and zzz\nthe plot was\n", b"the plot was\n" * 2):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        out.append(call(classification, tmp_path / "w", capsys, **want | {"mode": "classify"}))
    told = "lines of which only the first 3 words were read (config.data.longest), 1 in all: line 1\n"
    assert out == [(0, out[1][1], told), (0, out[0][1], "")] and len(set(out[0][1].splitlines())) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data.row": 1}, "every training sentence is longer than config.data.row=1: raise it; the shortest has "),
        ({"pool": "sum"}, "config.pool=sum: want one of last, mean, max, attention"),
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"mode": "tag"}, "config.mode=tag: want one of train, classify"),
        ({"mode": "classify"}, "holds no run to classify: train it first"),
        ({"data.most": 0}, "config.data.most=0: want at least 1"),
        ({"smoothing": -0.1}, "config.smoothing=-0.1: want a share from 0 to below 1"),
        ({"seeds": 0}, "config.seeds=0: want at least 1"),
        ({"samples": -1}, "config.samples=-1: want at least 0"),
        ({"features.word": 0}, "config.features: want widths of at least 0, and at least 1 of the word"),
        ({"data.source": "trec", "data.root": "/nowhere"}, "/nowhere/sentence_classification/TREC.train.all does not"),
        ({"data.source": "tfds", "data.name": "no_such_set"}, "tfds: no_such_set cannot be read"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(classification, tmp_path / "new", capsys, message, **TINY | changed)
