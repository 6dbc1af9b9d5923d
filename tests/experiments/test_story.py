"""The study of stories through its front door, tiny."""

import csv
import json

import numpy as np
import pytest
from front_door import call, refused
from PIL import Image

from experiments import story

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "caption_steps": 1, "caption_sizes": "(40,8,8)", "pictures": 8, "width": 6, "embed": 4, "steps": 1,
    "data.size": 60, "data.batch": 16, "data.shapes": 1, "decode.beams": 2, "decode.batch": 8, "decode.longest": 8,
    "samples": 1, "best": 2, "log_every": 1, "also": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        flags = [f"--config.{k}={v}" for k, v in TINY.items()]
        story.train.cli.run(story.main, study="story", check=story.check, argv=[f"--workdir={workdir}", *flags])
    assert stop.value.code == 0
    return workdir


def test_every_result_is_there(trained):
    found = json.loads((trained / "results.json").read_text())
    for key in ("content_shifted", "content_plain", "content_chance", "caption_exact", "reconstruction"):
        assert 0 <= found[key] <= 1, key
    assert found["style_shifted"] >= 0 <= found["style_plain"] and found["encoder_ppl"] > 1 < found["decoder_ppl"]
    assert len(list(csv.DictReader((trained / "stories.csv").open()))) == 8
    assert np.load(trained / "means.npy").shape == (2, 12)


def test_stories_of_one_s_own_pictures(trained, tmp_path, capsys):
    Image.fromarray(np.full((9, 9, 3), 50, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    code, out, err = call(story, trained, capsys, **TINY | {"mode": "tell", "images": tmp_path})
    assert code == 0 and out.startswith(f"{tmp_path / 'a.png'}\t") and out.count("\t") == 2 and out.count("\n") == 1
    assert "b.png cannot be read" in err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"lost": 1.0}, "config.lost=1.0: want a share below 1"),
        ({"also": -1.0}, "config.also=-1.0: want at least 0"),
        ({"captions": "nowhere"}, "config.captions=nowhere: no finished run of experiments.captioning is there"),
        ({"data.text": "none.txt"}, "none.txt"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(story, tmp_path / "new", capsys, message, **TINY | changed)


def test_what_is_measured():
    assert story.kept(["a red circle", "a ring"], ["the red thing", "a ring sang"], {"red", "circle", "ring"}) == 2 / 3
    assert story.styled(["once a ring", "ring"], {"once"}) == 1 / 4
