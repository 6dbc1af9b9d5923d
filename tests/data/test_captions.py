"""Sources of captioned pictures: splits, what is left out and told, one's own folder, COCO's rows by a stand-in."""

import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rnn_jax.data import DataError, captions, pictures
from rnn_jax.data.words import SPECIAL


def config(**changes):
    found = captions.defaults()
    found.update(changes)
    return found


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("A dog's ball, wet!", "a dog 's ball wet"),
        ("A dog 's ball .", "a dog 's ball"),
        ("they\u2019re 2 T-shirts", "they 're 2 t shirts"),
        ("a sign saying 'stop' at 5 o'clock", "a sign saying stop at 5 o clock"),
        ("Ein Mädchen läuft; über_die Straße", "ein mädchen läuft über die straße"),
        ("cafe\u0301", "caf\u00e9"),
        (' " . , ', ""),
    ],
)
def test_tokens(text, want):
    assert captions.tokens(text) == want == captions.tokens(want)


def test_shapes_are_the_default():
    found = captions.load(config(sizes=(40, 10, 5)))
    assert [len(part) for part in (found.train, found.valid, found.test)] == [40, 10, 5]
    assert found.train[3].name == "train_3" and found.train[3].source.shape == (64, 64, 3)
    assert found.train[0].captions[0].startswith("a small ") and found.vocabulary.symbols[: len(SPECIAL)] == SPECIAL
    assert "shapes: 40 / 10 / 5 pictures to train, validate and test, 40 training captions of " in found.report


# ----------------------------------------------------------------------------------------------------------- Flickr8k


@pytest.fixture(scope="module")
def flickr(data_root):
    if not (data_root / "flickr8k").is_dir():
        pytest.skip(f"no flickr8k/ in {data_root}")
    return captions.load(config(source="flickr8k", root=str(data_root), least=4, longest=24))


def test_flickr8k_s_standard_split(flickr):
    parts = (flickr.train, flickr.valid, flickr.test)
    assert [len(part) for part in parts] == [6000, 1000, 1000]
    names = [picture.name for part in parts for picture in part]
    assert len(set(names)) == len(names)
    assert {len(p.captions) for part in parts[1:] for p in part} == {5}  # every caption counts
    longest = max(len(captions.tokens(c).split()) for p in flickr.train for c in p.captions)
    assert longest == 24 and sum(len(p.captions) for p in flickr.train) == 29905
    assert "train: 95 captions left out, of over 24 words" in flickr.report
    assert "\n91 pictures left out, in no part: 1155138244_859fd6e079.jpg," in flickr.report
    assert "not exist" not in flickr.report and "empty" not in flickr.report and "no caption" not in flickr.report
    assert "test: 2.7% of the words are not in the vocabulary" in flickr.report


def test_flickr8k_s_words_and_commas(flickr):
    """Quoted commas do not cut captions; words are those that occur four times in training."""
    texts = [c for part in (flickr.train, flickr.valid, flickr.test) for p in part for c in p.captions]
    assert sum("," in text for text in texts) > 2000 and not any(text.startswith('"') for text in texts)
    counts = {}
    for picture in flickr.train:
        for word in " ".join(map(captions.tokens, picture.captions)).split():
            counts[word] = counts.get(word, 0) + 1
    assert set(flickr.vocabulary.symbols[4:]) == {word for word, n in counts.items() if n >= 4}


def test_flickr8k_s_photographs(flickr):
    for picture in (flickr.train[0], flickr.train[-1], flickr.valid[500], flickr.test[7]):
        found = pictures.read(picture.source, 128)
        assert found.shape == (128, 128, 3) and found.std() > 20


@pytest.fixture
def small(tmp_path):
    """The files of Flickr8k with ten pictures: one lacks captions, one a file, one's caption is empty, one is in no
    part."""
    where = tmp_path / "flickr8k"
    where.mkdir()
    lists = {"train": "abcdef", "dev": "g", "test": "h"}
    for part, names in lists.items():
        (where / f"Flickr_8k.{part}Images.txt").write_text("".join(f"{n}.jpg\n" for n in names))
    for name in [*(f"train_{i}" for i in range(6)), "dev", "test"]:
        with zipfile.ZipFile(where / f"images128_{name}.zip", "w") as z:
            for n in {"train_0": "abce", "train_1": "f", "dev": "g", "test": "h"}.get(name, ""):
                z.writestr(f"{n}.jpg", b"")
    rows = ['a.jpg,"A man, a dog"', "a.jpg,One ."] + [f"{n}.jpg,A {n}" for n in "bdfghz"] + ["e.jpg, . ", "b.jpg"]
    (where / "captions.txt").write_text("image,caption\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_what_is_amiss_is_counted(small):
    """c has no caption, d no file, e an empty caption, z no part; one line has one field."""
    found = captions.load(config(source="flickr8k", root=str(small)))
    assert [p.name for p in found.train] == ["a.jpg", "b.jpg", "f.jpg"]
    assert found.train[0].captions == ["A man, a dog", "One ."] and found.test[0].captions == ["A h"]
    told = found.report.split("\n")[-5:]
    assert told[0].endswith("captions.txt: 1 line left out, not image,caption; the first: line 11")
    assert told[1:] == [
        "1 caption left out, empty",
        "1 picture left out, not there: d.jpg",
        "2 pictures left out, without a caption: c.jpg, e.jpg",
        "1 picture left out, in no part: z.jpg",
    ]


def test_absent_or_damaged_files_are_told(small, monkeypatch):
    monkeypatch.delenv("RNN_JAX_DATA", raising=False)
    with pytest.raises(DataError, match=r"RNN_JAX_DATA/flickr8k/captions.txt does not exist: fetch captions.txt, the"):
        captions.load(config(source="flickr8k"))
    broken = small / "broken"
    shutil.copytree(small / "flickr8k", broken / "flickr8k")
    (broken / "flickr8k/images128_dev.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"images128_dev.zip cannot be read as a zip \(.*\): fetch it again"):
        captions.load(config(source="flickr8k", root=str(broken)))
    (small / "flickr8k/Flickr_8k.testImages.txt").write_text("x.jpg\n")
    with pytest.raises(DataError, match=r"flickr8k: the test part holds no picture with a caption; .*x.jpg") as error:
        captions.load(config(source="flickr8k", root=str(small)))
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------------------------------------------------- one's own


def mine(folder, rows, header="image,caption", names="", file="captions.csv"):
    for name in names.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    (folder / file).write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return config(source="folder", path=str(folder))


TWENTY = [f"p{i}.png" for i in range(20)]


def test_a_folder_is_split_by_picture(tmp_path):
    rows = [f"{name},caption {k} of {name}" for name in TWENTY for k in range(2)]
    want = mine(tmp_path, rows, names=" ".join(TWENTY))
    found = captions.load(want)
    parts = (found.train, found.valid, found.test)
    assert [len(part) for part in parts] == [16, 2, 2]
    assert sorted(p.name for part in parts for p in part) == sorted(TWENTY)
    assert all(len(p.captions) == 2 and pictures.read(p.source, 4).shape == (4, 4, 3) for part in parts for p in part)
    assert captions.load(want) == found
    (tmp_path / "captions.csv").rename(tmp_path / "captions.txt")
    assert captions.load(want) == found
    # The order of the lines, and lines without a picture, do not change the split.
    mine(tmp_path, ["lost.png,gone", *reversed(rows)])
    (tmp_path / "captions.txt").unlink()
    again = captions.load(want)
    assert [p.name for p in again.test] == [
        p.name for p in found.test
    ] and "\n1 picture left out, not there" in again.report


def test_a_folder_with_a_split_of_its_own_and_bad_rows(tmp_path):
    names = "a.png sub/b,b.png c.jpg d.png e.png f.png more/g.gif"
    rows = [
        'a.png,"A red, wet dog",train', '"sub/b,b.png",Two,valid', "./c.jpg,Three,test", "d.png,,train",
        "e.png,Five", ",nameless,train", "lost.png,Six,train", 'a.png,"One\nmore",train', "f.png,Seven,", "",
    ]  # fmt: skip
    found = captions.load(mine(tmp_path, rows, "\ufeffImage, Caption ,split", names))
    assert [(p.name, p.captions) for p in found.train] == [("a.png", ["A red, wet dog"])]
    assert [p.name for p in found.valid] == ["sub/b,b.png"] and [p.name for p in found.test] == ["c.jpg"]
    told = found.report.split("\n")[-5:]
    assert told[0].endswith("captions.csv: 4 lines left out, not image,caption,split; the first: line 6")
    assert told[1:] == [
        "1 caption left out, empty",
        "1 picture left out, not there: lost.png",
        "3 pictures left out, without a caption: d.png, e.png",
        "1 picture left out, in no part: f.png",
    ]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a.png,A"], "picture,caption", "captions.csv begins with 'picture,caption'; want the header image,caption"),
        (["a.png;A"], "image;caption", "captions.csv begins with 'image;caption'; want the header image,caption"),
        (["a.png,A,dev"], "image,caption,split", "a.png has the split 'dev'; want one of train, valid, test"),
        (
            ["a.png,A,train", "a.png,B,test"], "image,caption,split",
            "a.png has the splits 'train' and 'test'; want one of them",
        ),
        (["a.png,A", "lost.png,B"], "image,caption", "folder: the train part holds no .*; 1 picture left out, not th"),
        (["a.png," + "x" * 200_000], "image,caption", "captions.csv, line 2: field larger than field limit"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read(tmp_path, rows, header, message):
    with pytest.raises(DataError, match=message) as error:
        captions.load(mine(tmp_path, rows, header, "a.png"))
    assert "\n" not in str(error.value)


def test_wrong_settings_are_told(tmp_path):
    for changes, message in (
        ({"source": "coco"}, "config.data.source: no 'coco'; there are shapes, flickr8k, folder, tfds"),
        (
            {"source": "folder", "path": str(tmp_path)},
            "config.data.path: .*captions.csv does not exist; want image,cap",
        ),
        ({"sizes": (3, 3)}, r"config.data.sizes=\(3, 3\): want three, to train, validate and test"),
        ({"sizes": (9, 3, 0)}, "shapes: the test part holds no picture with a caption"),
        ({"sizes": (9, 3, 3), "longest": 2}, "config.data.longest=2: no training caption has so few words"),
        ({"source": "tfds", "name": "no_such_set"}, r"tfds: no_such_set cannot be read \(.*image, image/filename and"),
    ):
        with pytest.raises(DataError, match=message) as error:
            captions.load(config(**changes))
        assert "\n" not in str(error.value)


def test_longer_captions_are_left_out_of_training_alone(tmp_path):
    rows = ["a.png,one two three,train", "a.png,one,train", "b.png,four five six,train"]
    rows += ["c.png,one two three,valid", "d.png,one two three,test"]
    want = mine(tmp_path, rows, "image,caption,split", "a.png b.png c.png d.png")
    want.longest = 2
    found = captions.load(want)
    assert [p.captions for p in found.train] == [["one"]] and found.valid[0].captions == ["one two three"]
    assert found.vocabulary.symbols[4:] == ("one",) and "\ntrain: 2 captions left out, of over 2 words" in found.report
    assert "test: 66.7% of the words are not in the vocabulary" in found.report


# ----------------------------------------------------------------------------------------------------------------- COCO


@pytest.mark.parametrize("listed", [False, True])
def test_coco_of_tfds(monkeypatch, listed):
    """Rows as coco_captions has them: a sequence of texts is a dict of arrays, or a list of dicts."""
    import tensorflow_datasets

    class Split(list):
        dataset_info = SimpleNamespace(features={})

    def row(name, *texts):
        image = np.full((30, 40, 3), 90, np.uint8)
        given = [{"id": i, "text": t} for i, t in enumerate(texts)] if listed else {"text": np.array(texts, object)}
        return {"image": image, "image/filename": name, "captions": given}

    parts = {
        "train": Split([row(b"a.jpg", b"A dog.", b"Two dogs"), row(b"b.jpg", b" ")]),
        "val": Split([row(b"c.jpg", b"C")]), "test": Split([row(b"d.jpg", b"A d")]),
    }  # fmt: skip
    monkeypatch.setattr(
        tensorflow_datasets, "data_source", lambda name, split, download: [parts[each] for each in split]
    )
    found = captions.load(config(source="tfds", pixels=16))
    assert [p.name for p in found.train] == ["a.jpg"] and found.train[0].captions == ["A dog.", "Two dogs"]
    assert found.valid[0].name == "c.jpg" and found.test[0].captions == ["A d"]
    assert isinstance(found.train[0].source, bytes)
    assert np.abs(pictures.read(found.train[0].source, 16).astype(int) - 90).max() <= 2
    assert found.report.endswith("1 caption left out, empty\n1 picture left out, without a caption: b.jpg")


def test_of_several_looks_at_a_picture_one_is_drawn_each_time():
    found = captions.load(config(sizes=(12, 2, 2)))
    views = {"seen": np.arange(12) * 10}
    also = [{"seen": views["seen"] + look} for look in (1, 2)]
    batches = captions.Batches(found.train, views, found.vocabulary, 4, 1, also=also)
    plain = captions.Batches(found.train, views, found.vocabulary, 4, 1)
    seen = np.concatenate([batches(i)["seen"] for i in range(60)])
    assert np.array_equal(seen // 10 * 10, np.concatenate([plain(i)["seen"] for i in range(60)]))
    counts = np.bincount(seen % 10, minlength=3)
    assert len(counts) == 3 and counts.min() > 0.2 * len(seen)
    assert np.array_equal(batches(7)["seen"], batches(7)["seen"])
    blind = captions.Batches(found.train, views, found.vocabulary, 4, 1, also=also, seen="none")
    assert not blind(0)["seen"].any()


def test_words_keep_the_marks_of_their_script():
    assert captions.tokens("हिन्दी भाषा, two_parts! It\u2019s") == "हिन्दी भाषा two parts it 's"


def test_a_folder_with_a_comma_and_a_name_too_long_to_be_a_file(tmp_path):
    folder = tmp_path / "one,two"
    folder.mkdir()
    rows = ["a.png,One,train", "b.png,Two,valid", "c.png,Three,test", f"{'x' * 300},Four,train"]
    found = captions.load(mine(folder, rows, "image,caption,split", "a.png b.png c.png d.png"))
    assert [p.name for p in found.train] == ["a.png"]
    assert "1 picture left out, not there: xxx" in found.report
    assert "1 picture left out, without a caption: d.png" in found.report
