"""The study of clips through its front door, tiny."""

import csv
import json

import numpy as np
import pytest
from front_door import call, refused
from PIL import Image

from experiments import video_captioning

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "width": 8, "embed": 4, "steps": 1, "encoder.widths": "(4,6)", "data.sizes": "(30,8,8)", "data.batch": 6,
    "data.shapes": 1, "data.frames": 4, "decode.beams": 2, "decode.batch": 4, "decode.longest": 10, "samples": 2,
    "log_every": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        video_captioning.train.cli.run(
            video_captioning.main, study="video_captioning", check=video_captioning.check,
            argv=[f"--workdir={workdir}", *(f"--config.{k}={v}" for k, v in TINY.items())],
        )  # fmt: skip
    assert stop.value.code == 0
    return workdir


def test_every_result_and_picture_is_there(trained):
    found = json.loads((trained / "results.json").read_text())
    for key in ("exact", "exact_shuffled", "direction_accuracy", "direction_accuracy_shuffled"):
        assert 0 <= found[key] <= 1, key
    assert found["direction_chance"] == 0.5 and found["cider_d"] >= 0 and 1 < found["ppl"] < 100
    assert sorted(f.name for f in (trained / "figures").iterdir()) == ["clips.png", "loss.png"]
    assert len(list(csv.DictReader((trained / "test_captions.csv").open()))) == 8


def test_clips_of_one_s_own(trained, tmp_path, capsys):
    images = [Image.fromarray(np.full((9, 9, 3), 20 * i, np.uint8)) for i in range(6)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    (tmp_path / "b").mkdir()
    images[1].save(tmp_path / "b/0.png")
    (tmp_path / "c.gif").write_bytes(b"GIF")
    (tmp_path / "film.mp4").write_bytes(b"")
    code, out, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": tmp_path})
    assert code == 0 and [line.split("\t")[0] for line in out.splitlines()] == [
        str(tmp_path / "a.gif"), str(tmp_path / "b"),
    ]  # fmt: skip
    assert "c.gif cannot be read as a clip" in err and "1 clip of 3 left out" in err
    assert "1 file left out, of no kind that is read: " in err and "film.mp4" in err and err.count("\n") == 3
    names = lambda file: [row["image"] for row in csv.DictReader((trained / file).open())]
    assert names("captions.csv") == [str(tmp_path / "a.gif"), str(tmp_path / "b")]
    assert names("test_captions.csv")[0] == "test_0"  # what training wrote is still there
    np.savez(tmp_path / "d.npz", features=np.ones((2, 5)))
    given = f"{tmp_path / 'a.gif'},{tmp_path / 'd.npz'}"
    code, out, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": given})
    told = "d.npz has features of 5 numbers; in training most have frames of 32x32 pixels"
    assert code == 0 and out.count("\n") == 1 and told in err and err.count("\n") == 1
    code, _, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": tmp_path / "d.npz"})
    assert code == 2 and told in err and err.count("\n") == 1
    code, _, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": tmp_path / "c.gif"})
    assert code == 2 and "no clip can be read" in err


def test_features_and_another_cell(tmp_path, capsys):
    rng, path, run = np.random.default_rng(0), tmp_path / "f", tmp_path / "w"
    path.mkdir()
    split = ["train"] * 10 + ["valid"] * 4 + ["test"] * 4
    rows = [f"{i},{'a dog' if i % 2 else 'two cats'},{name}" for i, name in enumerate(split)]
    (path / "captions.csv").write_text("clip,caption,split\n" + "\n".join(rows))
    for i in range(18):
        wide = i in (3, 14, 15, 16)  # one in training; most, but not there, of the test part
        np.savez(path / f"{i}.npz", features=rng.standard_normal((1 + i % 5, 3 + wide)))
    np.savez(path / "5.npz", features=np.full((2, 3), np.nan))
    options = TINY | {"data.source": "features", "data.path": path, "cell": "gru"}
    code, out, err = call(video_captioning, run, capsys, **options)
    found = json.loads((run / "results.json").read_text())
    assert code == 0 and "bleu4" in found and "direction_accuracy" not in found, err
    told = "has features of 4 numbers; in training most have features of 3 numbers"
    assert (
        f"train: 2 clips left out; the first: 3 {told}" in out
        and f"test: 3 clips left out; the first: 14 {told}" in out
    )
    assert [row["image"] for row in csv.DictReader((run / "test_captions.csv").open())] == ["17"]
    Image.new("RGB", (9, 9)).save(tmp_path / "a.gif")
    given = options | {"mode": "caption", "clips": f"{path},{tmp_path / 'a.gif'}"}
    code, out, err = call(video_captioning, run, capsys, **given)
    kept = [str(path / f"{i}.npz") for i in range(18) if i not in (3, 5, 14, 15, 16)]
    assert code == 0 and [line.split("\t")[0] for line in out.splitlines()] == kept
    assert "a.gif has frames of 32x32 pixels; in training most have features of 3 numbers" in err
    assert "5.npz: 6 of its 6 numbers are not finite" in err and err.count("\n") == 8
    assert "1 file left out" in err and "captions.csv" in err
    code, _, err = call(video_captioning, run, capsys, **given | {"clips": tmp_path / "a.gif"})
    assert code == 2 and "a.gif has frames of 32x32 pixels" in err and err.count("\n") == 1


def test_directions_are_compared_one_by_one():
    texts = [[("moves up and then left", 0)], [("moves down", 0)], [("moves", 0)]]
    wanted = [["moves up and then right"], ["moves down and then left"], ["moves up"]]
    assert video_captioning.directed(texts, wanted) == 2 / 5
    assert video_captioning.directed([[("up and then left", 0)]], [["moves up"]]) == 1  # `exact` tells this


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"data.frames": 23}, "config.data.frames=23: want 4 to 22"),
        ({"data.frames": 3}, "config.data.frames=3: want 4 to 22"),
        ({"data.sizes": "(9,9)"}, "config.data.sizes=(9, 9): want three"),
        ({"encoder.widths": "()"}, "config.encoder.widths=(): want a number of channels"),
        ({"encoder.widths": "(0,)"}, "config.encoder.widths=(0,): want a number of channels"),
        ({"data.pixels": 3}, "config.data.pixels=3: want at least 4, which config.encoder.widths halves 2 times"),
        ({"dropout": 1.0}, "config.dropout=1.0: want a share from 0 to below 1"),
        ({"dropout_out": -0.1}, "config.dropout_out=-0.1: want a share from 0 to below 1"),
        ({"dropout": "nan"}, "config.dropout=nan: want a share from 0 to below 1"),
        ({"cell": "original_lstm", "width": 7}, "original_lstm: width 7 is not a multiple of its blocks of 2 cells"),
        ({"cell": "heads_lstm", "width": 65}, "heads_lstm: width 65 is not a multiple of its heads of 64 units"),
        ({"data.source": "folder", "data.path": "nowhere"}, "nowhere/captions.csv does not exist; want clip,caption"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(video_captioning, tmp_path / "new", capsys, message, **TINY | changed)
