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
    assert len(list(csv.DictReader((trained / "captions.csv").open()))) == 8


def test_clips_of_one_s_own(trained, tmp_path, capsys):
    images = [Image.fromarray(np.full((9, 9, 3), 20 * i, np.uint8)) for i in range(6)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    (tmp_path / "b").mkdir()
    images[1].save(tmp_path / "b/0.png")
    (tmp_path / "c.gif").write_bytes(b"GIF")
    code, out, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": tmp_path})
    assert code == 0 and [line.split("\t")[0] for line in out.splitlines()] == [
        str(tmp_path / "a.gif"), str(tmp_path / "b"),
    ]  # fmt: skip
    assert "c.gif cannot be read as a clip" in err and err.count("\n") == 1
    code, _, err = call(video_captioning, trained, capsys, **TINY | {"mode": "caption", "clips": tmp_path / "c.gif"})
    assert code == 2 and "no clip can be read" in err


def test_features_and_another_cell(tmp_path, capsys):
    rng, path = np.random.default_rng(0), tmp_path / "f"
    path.mkdir()
    rows = [f"{i},{'a dog' if i % 2 else 'two cats'}" for i in range(20)]
    (path / "captions.csv").write_text("clip,caption\n" + "\n".join(rows))
    for i in range(20):
        np.savez(path / f"{i}.npz", features=rng.standard_normal((1 + i % 5, 3)))
    options = TINY | {"data.source": "features", "data.path": path, "cell": "gru"}
    code, _, err = call(video_captioning, tmp_path / "w", capsys, **options)
    found = json.loads((tmp_path / "w/results.json").read_text())
    assert code == 0 and "bleu4" in found and "direction_accuracy" not in found, err


def test_directions_are_compared_one_by_one():
    texts = [[("moves up and then left", 0)], [("moves down", 0)], [("moves", 0)]]
    wanted = [["moves up and then right"], ["moves down and then left"], ["moves up"]]
    assert video_captioning.directed(texts, wanted) == 2 / 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"data.source": "folder", "data.path": "nowhere"}, "nowhere/captions.csv does not exist; want clip,caption"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(video_captioning, tmp_path / "new", capsys, message, **TINY | changed)
