"""The study of stories through its front door, tiny."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from front_door import call, refused
from PIL import Image

from configs.story import default
from experiments import captioning, story
from rnn_jax.data import pictures
from rnn_jax.data.captions import Picture

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "caption_steps": 1, "caption_sizes": "(40,8,8)", "pictures": 8, "width": 6, "embed": 4, "steps": 1,
    "data.size": 60, "data.batch": 16, "data.shapes": 1, "decode.beams": 2, "decode.batch": 8, "decode.longest": 8,
    "samples": 1, "best": 2, "log_every": 1, "also": 0.5,
}  # fmt: skip
GOOD = "a\tb.png"  # a tab in a name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    with pytest.raises(SystemExit) as stop:
        flags = [f"--config.{k}={v}" for k, v in TINY.items()]
        story.train.cli.run(story.main, study="story", check=story.check, argv=[f"--workdir={workdir}", *flags])
    assert stop.value.code == 0
    return workdir


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A finished run of captions of one's own pictures, each the same; of the test part one can be read."""
    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    rows = [("image", "caption", "split")]
    for i, (name, part) in enumerate([*[(f"{i}.png", "train") for i in range(4)], ("4.png", "valid"), (GOOD, "test")]):
        Image.fromarray(rng.integers(255, size=(20, 30 + i, 3), dtype=np.uint8)).save(folder / name)
        rows.append((name, "A dog runs!", part))
    (folder / "bad.png").write_bytes(b"no picture")
    rows.insert(1, ("bad.png", "A dog runs!", "test"))
    with (folder / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    config = {
        "data.source": "folder", "data.path": folder, "data.pixels": 16, "data.batch": 4, "data.shapes": 1,
        "encoder.widths": "(4,)", "width": 8, "embed": 4, "steps": 25, "optimizer.rate": 0.03, "baseline_steps": 0,
        "decode.beams": 2, "decode.batch": 2, "decode.longest": 6, "samples": 1,
    }  # fmt: skip
    flags = [f"--config.{k}={v}" for k, v in config.items()]
    with pytest.raises(SystemExit) as stop:
        argv = [f"--workdir={folder / 'run'}", *flags]
        captioning.train.cli.run(captioning.main, study="captioning", check=captioning.check, argv=argv)
    assert stop.value.code == 0
    return folder


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
    (tmp_path / "c.heic").write_bytes(b"")
    code, out, err = call(story, trained, capsys, **TINY | {"mode": "tell", "images": tmp_path})
    assert code == 0 and out.startswith(f"{tmp_path / 'a.png'}\t") and out.count("\t") == 2 and out.count("\n") == 1
    assert "b.png cannot be read" in err and "1 picture of 2 left out" in err
    assert "1 file left out, of no kind that is read: " in err and "c.heic" in err


def test_a_picture_is_read_as_in_training_and_its_name_is_one_column(trained, tmp_path, capsys, monkeypatch):
    path, seen = tmp_path / GOOD, []
    noise = np.random.default_rng(0).integers(255, size=(500, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    before = captioning.Trained.__call__

    def call_and_keep(self, images, best=1):
        seen.extend((image, self.net.eye.size) for image in images)
        return before(self, images, best)

    monkeypatch.setattr(captioning.Trained, "__call__", call_and_keep)
    code, out, _ = call(story, trained, capsys, **TINY | {"mode": "tell", "images": path})
    assert code == 0 and out.startswith(rf"{tmp_path}/a\tb.png" + "\t") and out.count("\t") == 2
    [(image, size)] = seen
    assert np.array_equal(image, pictures.read(path, size))


def test_captions_of_one_s_own_pictures(own, tmp_path, capsys):
    """What cannot be read is left out; captions are compared by their words; one picture has no other beside it."""
    code, out, err = call(story, tmp_path / "new", capsys, **TINY | {"captions": own / "run"})
    assert code == 0, err
    assert "test: 1 picture left out" in out and "bad.png cannot be read" in err
    assert "folder: 4 / 1 / 2 pictures to train, validate and test" in out  # what the captions' own run told
    found = json.loads((tmp_path / "new/results.json").read_text())
    [row] = csv.DictReader((tmp_path / "new/stories.csv").open())
    assert row["image"] == r"a\tb.png" and row["caption"] == "a dog runs"
    assert found["caption_exact"] == 1 and "content_shifted" in found and "content_chance" not in found


def test_no_training_without_a_picture_that_can_be_read(own, tmp_path, capsys):
    kept = (own / GOOD).read_bytes()
    (own / GOOD).write_bytes(b"no picture")
    code, _, err = call(story, tmp_path / "new", capsys, **TINY | {"captions": own / "run"})
    (own / GOOD).write_bytes(kept)
    assert code == 2 and err.endswith(f"config.captions={own / 'run'}: no picture of the test part can be read\n")
    assert not (tmp_path / "new/encoder").exists()


def test_captions_whose_pictures_are_gone(own, tmp_path, capsys):
    (own / "captions.csv").rename(own / "kept.csv")
    code, _, err = call(story, tmp_path / "new", capsys, **TINY | {"captions": own / "run"})
    (own / "kept.csv").rename(own / "captions.csv")
    assert (
        code == 2 and f"config.captions={own / 'run'}: config.data.path: {own / 'captions.csv'} does not exist" in err
    )


def test_captions_of_another_study(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps({"study": "video_captioning", "config": {"data": {}}}))
    (tmp_path / "results.json").write_text("{}")
    message = "holds a run of experiments.video_captioning: want one of experiments.captioning"
    refused(story, tmp_path / "new", capsys, f"config.captions: {tmp_path} {message}", **TINY | {"captions": tmp_path})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data.longest": 3}, "config.data.longest=3: no caption of the train part has so few words"),
        ({"data.longest": 8}, "config.data.longest=8: no passage of the train part has so few words"),
        ({"data.least": 10**6}, "config.data.least=1000000: no word occurs so often"),
    ],
)
def test_texts_that_hold_nothing_are_told_before_training(tmp_path, capsys, changed, message):
    code, _, err = call(story, tmp_path / "new", capsys, **TINY | changed)
    assert code == 2 and message in err and err.count("\n") == 1 and not (tmp_path / "new/captions").exists()


def test_captions_and_passages_of_other_lengths_are_told(tmp_path, capsys):
    config = default.get_config()
    config.data.longest, config.data.text = 6, str(tmp_path / "book.txt")
    (tmp_path / "book.txt").write_text(
        "The moon rose. Nobody came.\n\n" * 150 + "So. It. " + "Then it rained for days. " * 2
    )
    found = SimpleNamespace(train=[Picture("", None, ["a red ball", "a ball as red as the evening sun"])])
    said, told = story.passages(config, found, "train")  # pyright: ignore (a part of what is loaded)
    assert said == ["a red ball"] and set(told) == {"the moon rose nobody came"}
    out = capsys.readouterr().out
    assert "book.txt: 2 passages left out, of fewer than 4 words or more than 6" in out
    assert "train: 1 caption of more than 6 words left out" in out


def test_a_story_of_a_run_that_is_not_finished(trained, tmp_path, capsys):
    (tmp_path / "config.json").write_bytes((trained / "config.json").read_bytes())
    code, _, err = call(story, tmp_path, capsys, **TINY | {"mode": "tell", "images": "a.png"})
    assert code == 2 and f"{tmp_path} holds a run that is not finished: train it to its end first" in err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "heads_lstm"}, "config.cell=heads_lstm: want one of "),
        ({"dropout_out": 1.0}, "config.dropout_out=1.0: want a share from 0 to below 1"),
        ({"decode.length_power": "nan"}, "config.decode.length_power=nan: want a finite number"),
        ({"data.least": 0}, "config.data.least=0: want at least 1"),
        ({"data.size": 9}, "config.data.size=9: want at least 10"),
        ({"caption_sizes": "(40,8)"}, "config.caption_sizes=(40, 8): want three counts, each at least 1"),
        ({"caption_sizes": "(40,8,0)"}, "config.caption_sizes=(40, 8, 0): want three counts, each at least 1"),
        ({"best": 4}, "config.best=4: want at most 3, the beams of the captions"),
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"lost": 1.0}, "config.lost=1.0: want a share from 0 to below 1"),
        ({"also": -1.0}, "config.also=-1.0: want at least 0"),
        ({"captions": "nowhere"}, "config.captions=nowhere: no finished run of experiments.captioning is there"),
        ({"data.text": "none.txt"}, "config.data.text: none.txt does not exist"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(story, tmp_path / "new", capsys, message, **TINY | changed)


def test_what_a_story_cannot_begin_with(trained, tmp_path, capsys):
    first = trained / "encoder"
    refused(story, tmp_path / "new", capsys, f"config.init_from={first}: want none", **TINY | {"init_from": first})
    for images in ("", tmp_path):  # a folder without pictures
        code, _, err = call(story, trained, capsys, **TINY | {"mode": "tell", "images": images})
        assert code == 2 and f"config.images={str(images)!r}: name pictures, or folders of them" in err


def test_what_is_measured():
    assert story.kept(["a red circle", "a ring"], ["the red thing", "a ring sang"], {"red", "circle", "ring"}) == 2 / 3
    assert story.styled(["once a ring", "ring"], {"once"}) == 1 / 4
