"""The captioning study through its front door, tiny: every result and picture, a folder of pictures, bad pictures."""

import csv
import json
import os

import numpy as np
import pytest
from front_door import call, refused
from PIL import Image

from configs.captioning import default
from experiments import captioning
from rnn_jax.data import pictures

pytestmark = pytest.mark.usefixtures("quick_module")
TINY = {
    "width": 8, "embed": 4, "steps": 2, "baseline_steps": 1, "encoder.widths": "(4,6)", "data.sizes": "(40,10,10)",
    "data.batch": 8, "data.shapes": 1, "decode.beams": 2, "decode.batch": 6, "decode.longest": 12, "samples": 2,
    "log_every": 1, "balance": 0.1, "gate": True,
}  # fmt: skip


def run(workdir, **changes):
    flags = [f"--config.{k}={v}" for k, v in (TINY | changes).items()]
    with pytest.raises(SystemExit) as stop:
        captioning.train.cli.run(
            captioning.main, study="captioning", check=captioning.check, argv=[f"--workdir={workdir}", *flags]
        )
    assert stop.value.code == 0
    return json.loads((workdir / "results.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    run(workdir)
    return workdir


def test_every_result_and_picture_is_there(trained):
    found = json.loads((trained / "results.json").read_text())
    for key in ("bleu1", "bleu4", "bleu4_greedy", "no_image_bleu4", "shuffled_image_bleu4", "rouge_l"):
        assert 0 <= found[key] <= 100, key
    assert found["cider_d"] >= 0 <= found["no_image_cider_d"] and 0 <= found["exact"] <= 1
    assert 0 <= found["views_seconds"] < found["seconds"] + 60
    assert 1 < found["ppl"] < 100 and 0 <= found["padding_waste"] < 0.5 and found["words_per_second"] > 0
    assert sorted(f.name for f in (trained / "figures").iterdir()) == [
        "attention_0.png", "attention_1.png", "captions.png", "loss.png",
    ]  # fmt: skip
    rows = list(csv.DictReader((trained / "test_captions.csv").open()))
    assert len(rows) == 10 and all(float(row["logprob"]) < 0 for row in rows)


def test_a_folder_of_pictures(trained, tmp_path, capsys):
    folder, rng = tmp_path / "mine", np.random.default_rng(0)
    folder.mkdir()
    Image.fromarray(rng.integers(255, size=(90, 40, 3), dtype=np.uint8)).save(folder / "a,b.jpg")
    Image.fromarray(rng.integers(255, size=(1, 1), dtype=np.uint8)).save(folder / "dot.png")
    (folder / "cut.jpg").write_bytes((folder / "a,b.jpg").read_bytes()[:300])
    options = TINY | {"mode": "caption", "images": f"{folder},{tmp_path / 'lost.png'}", "decode.best": 2}
    code, out, err = call(captioning, trained, capsys, **options)
    assert code == 0, err
    names = [line.split("\t")[0] for line in out.splitlines()]
    assert names == [str(folder / "a,b.jpg"), str(folder / "dot.png")]
    assert "cut.jpg" in err and "lost.png" in err and "2 captions: " in err
    assert "2 pictures of 4 left out" in err
    rows = list(csv.DictReader((trained / "captions.csv").open()))
    assert [row["image"] for row in rows] == names
    page = (trained / "captions.html").read_text()
    assert page.count("<img") == 2 and "cut.jpg" in page


def test_names_that_are_no_text_and_only_bad_pictures(trained, tmp_path, capsys):
    """Bytes that are not UTF-8, a newline and a comma in a name; what training wrote stays as it is."""
    before, folder = (trained / "test_captions.csv").read_bytes(), tmp_path / "a, b"
    folder.mkdir()
    image = Image.fromarray(np.zeros((9, 9, 3), np.uint8))
    image.save(folder / "one.png")
    (folder / "one.png").rename(folder / os.fsdecode(b"bad\xff.png"))
    image.save(folder / "two\nlines.png")
    (folder / "holiday.heic").write_bytes(b"")
    options = TINY | {"mode": "caption", "images": folder}
    code, out, err = call(captioning, trained, capsys, **options)
    names = [f"{folder}/bad\\xff.png", f"{folder}/two\\nlines.png"]
    assert code == 0 and [line.split("\t")[0] for line in out.splitlines()] == names, err
    assert "1 file left out, of no kind that is read: " in err and "holiday.heic" in err
    assert [row["image"] for row in csv.DictReader((trained / "captions.csv").open())] == names
    assert all(name in (trained / "captions.html").read_text() for name in names)
    (tmp_path / "cut.jpg").write_bytes(b"no picture")
    code, _, err = call(captioning, trained, capsys, **options | {"images": tmp_path / "cut.jpg"})
    assert code == 2 and "no picture can be read" in err
    assert len(list(csv.DictReader((trained / "captions.csv").open()))) == 2
    assert (trained / "test_captions.csv").read_bytes() == before


def test_drawn_captions_are_other_ones_and_rescored_alike(trained, tmp_path, capsys):
    """At a low temperature the greedy caption; at 1 several, the most likely first."""
    image = np.random.default_rng(0).integers(255, size=(30, 30, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    options = TINY | {"mode": "caption", "images": tmp_path, "decode.beams": 1}
    lines = []
    for changed in ({}, {"decode.temperature": 1e-4}, {"decode.temperature": 1.0, "decode.best": 5}):
        code, out, err = call(captioning, trained, capsys, **options | changed)
        assert code == 0, err
        lines.append(out)
    assert lines[0] == lines[1]
    found = captioning.train.workdir.read_config(trained)
    page = (trained / "captions.html").read_text()
    drawn = [float(part.split("</small>")[0]) for part in page.split(" <small>")[1:]]
    assert len(drawn) == 5 and drawn == sorted(drawn, reverse=True) and len(set(drawn)) > 1 and found["width"] == 8


def test_features_of_other_weights_are_refused(tmp_path, capsys):
    """The seed's random CNN stands for a file of weights: a frozen run remembers which numbers they were."""
    frozen = TINY | {"encoder.frozen": True, "data.cache": str(tmp_path), "baseline_steps": 0}
    run(tmp_path / "run", **frozen)
    (tmp_path / "run/results.json").unlink()
    for number, mode in enumerate(("judge", "train")):
        saved = json.loads((tmp_path / "run/config.json").read_text())
        saved["config"]["seed"] = 1
        (tmp_path / "run/config.json").write_text(json.dumps(saved))
        code, _, err = call(captioning, tmp_path / "run", capsys, **frozen | {"seed": 1, "mode": mode})
        assert code == 2 and ("of other weights", "was trained on another encoder")[number] in err


def test_files_may_lie_elsewhere_once_a_model_is_trained(trained, tmp_path, capsys):
    options = TINY | {"mode": "judge", "data.root": str(tmp_path), "data.cache": str(tmp_path)}
    assert call(captioning, trained, capsys, **options)[0] == 0
    code, _, err = call(captioning, trained, capsys, **options | {"data.longest": 9})
    assert code == 2 and "data.longest is 0 there, 9 here" in err


@pytest.mark.parametrize("cell", captioning.cells.known())
def test_every_cell_writes(cell):
    """Or says in one line what it needs; a state that is complex begins real, and asks no attention."""
    config = default.get_config()
    config.cell, config.width, config.encoder.widths, config.embed = cell, 8, (4, 6), 4
    config.data.pixels = 16
    if cell == "heads_lstm":
        with pytest.raises(ValueError, match='needs see="first"'):
            captioning.check(config)
        config.see = "first"
    captioning.check(config)
    net = captioning.Network(config, captioning.sight(config), captioning.words.SPECIAL)
    params, tokens = net.begin(), np.full((2, 3), 1)
    batch = {"inputs": tokens, "target": tokens, "lengths": np.array([3, 2])}
    nats, count, _ = net.score(params, batch | {"seen": np.zeros((2, 16, 16, 3), np.uint8)})
    assert count == 5 and np.isfinite(nats)


def test_judged_again_as_in_training_and_searched_otherwise(trained, capsys):
    found = json.loads((trained / "results.json").read_text())
    options = TINY | {"mode": "judge", "decode.part": "test"}
    code, out, err = call(captioning, trained, capsys, **options)
    again = json.loads(out)
    assert code == 0 and again.pop("part") == "test", err
    assert "pictures to train, validate and test" in err
    assert again == {key: found[key] for key in again} and "cider_d" in again
    code, out, _ = call(captioning, trained, capsys, **options | {"decode.beams": 1})
    assert json.loads(out)["bleu4"] == found["bleu4_greedy"]
    code, out, _ = call(captioning, trained, capsys, **options | {"decode.part": "valid"})
    assert code == 0 and json.loads(out)["part"] == "valid"
    code, _, err = call(captioning, trained, capsys, **options | {"decode.part": "tests"})
    assert code == 2 and "config.decode.part=tests: want one of train, valid, test" in err


def test_another_cell_and_form_and_the_controls(tmp_path):
    """A picture that tells nothing: captions are the same for all pictures."""
    plain = {"inform": "state", "balance": 0, "gate": False, "baseline_steps": 0}
    plain["decode.beams"] = 1  # of two hypotheses that are nearly equal, rounding chooses, in each lane anew
    found = run(tmp_path / "none", cell="gru", see="first", seen="none", **plain)
    assert found["bleu4"] == found["shuffled_image_bleu4"] and "no_image_bleu4" not in found
    rows = list(csv.DictReader((tmp_path / "none/test_captions.csv").open()))
    assert len({row["caption"] for row in rows}) == 1


@pytest.mark.parametrize("frozen", [True, False])
def test_training_sees_each_picture_that_can_be_read_in_every_look(tmp_path, capsys, frozen):
    config = default.get_config()
    config.encoder.frozen, config.encoder.widths, config.data.cache = frozen, (4, 6), str(tmp_path)
    config.data.sizes = (3, 2, 2)
    found = captioning.captions.load(config.data).train
    found[1] = found[1]._replace(source=b"no picture")
    eye, looks = captioning.sight(config), [pictures.Look(), pictures.Look(2, True), pictures.Look(0)]
    part = captioning.part(config, eye, found, "train", looks)
    assert "train: 1 picture left out: " in capsys.readouterr().out
    assert [p.name for p in part.pictures] == ["train_0", "train_2"]
    images = np.stack([found[0].source, found[2].source])
    for look, views in zip(looks, [part.views, *part.also], strict=True):
        want = eye.encode(look(images)) if frozen else look(images)
        assert np.allclose(views, want, rtol=1e-2, atol=1e-3)
    assert not np.allclose(part.views, part.also[0], rtol=1e-2, atol=1e-3)


def test_a_run_resumes_and_other_captions_are_refused(trained, capsys, monkeypatch):
    code, out, _ = call(captioning, trained, capsys, **TINY)
    assert code == 0 and out.startswith("finished already")
    (trained / "results.json").rename(trained / "kept.json")
    before = captioning.captions.load

    def other(config):
        found = before(config)
        return found._replace(train=[p._replace(captions=["a dot"]) for p in found.train])

    monkeypatch.setattr(captioning.captions, "load", other)
    code, _, err = call(captioning, trained, capsys, **TINY)
    (trained / "kept.json").rename(trained / "results.json")
    assert code == 2 and "was trained on other captions" in err


def test_an_order_in_which_each_picture_is_another():
    for n in (2, 3, 50):
        order = captioning.captions.deranged(n)
        assert sorted(order) == list(range(n)) and (order != np.arange(n)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": "elman"}, "config.cell=elman: want one of "),
        ({"seen": "half"}, "config.seen=half: want one of right, none, shuffled"),
        ({"encoder.name": "vgg"}, "config.encoder.name=vgg: want one of squeezenet, "),
        ({"decode.beams": 0}, "config.decode.beams=0: want at least 1"),
        ({"crops": 5}, "config.crops=5: want 0 to 4, the corners of a picture"),
        ({"decode.best": 3}, "config.decode.best=3: want at most decode.beams=2"),
        ({"attention": "dot"}, "attention.dot: the query is "),
        ({"inform": "state", "gate": False}, "config.balance=0.1 is a penalty of attention"),
        ({"inform": "state", "balance": 0.0}, "gate=True gates c by h_{i-1}: it needs inform="),
        ({"inform": "sight", "balance": 0.0, "gate": False}, "decoder: inform is 'sight'; want one of state, "),
        ({"see": "last"}, "captioner: see is 'last'; want h0 or first"),
        ({"attention": "soft"}, "decoder: attention is 'soft'; want one of additive, "),
        ({"dropout_out": 1.0}, "config.dropout_out=1.0: want a share from 0 to below 1"),
        ({"baseline_steps": -1}, "config.baseline_steps=-1: want at least 0"),
        ({"balance": -1.0}, "config.balance=-1.0: want at least 0"),
        ({"decode.temperature": float("nan")}, "config.decode.temperature=nan: want at least 0"),
        ({"decode.length_power": float("nan")}, "config.decode.length_power=nan: want a number"),
        ({"decode.top_p": 0.0}, "config.decode.top_p=0.0: want a probability above 0"),
        ({"encoder.widths": "(0,)"}, "config.encoder.widths=(0,): want at least one, each at least 1"),
        ({"mode": "say"}, "config.mode=say: want one of train, caption, judge"),
        ({"seed": -1}, "config.seed=-1: want at least 0"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, changed, message):
    refused(captioning, tmp_path / "new", capsys, message, **TINY | changed)


def test_pictures_smaller_than_a_cnn_s_grid(tmp_path, capsys, data_root):
    """Its size is known by its weights alone, which are data."""
    small = TINY | {"encoder.name": "squeezenet", "data.pixels": 20, "data.root": str(data_root)}
    refused(captioning, tmp_path / "new", capsys, "config.data.pixels=20: too few for squeezenet", **small)


def test_pictures_that_are_not_named(trained, capsys):
    code, _, err = call(captioning, trained, capsys, **TINY | {"mode": "caption"})
    assert code == 2 and "config.images='': name pictures, or folders of them" in err
    code, _, err = call(captioning, trained, capsys, **TINY | {"mode": "caption", "images": trained / "checkpoints"})
    assert code == 2 and "no picture (.jpg, " in err


def test_absent_data_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RNN_JAX_DATA", raising=False)
    for i, changed in enumerate(({"data.source": "flickr8k"}, {"encoder.name": "squeezenet", "encoder.frozen": True})):
        refused(captioning, tmp_path / f"new{i}", capsys, "does not exist: fetch ", **TINY | changed)
