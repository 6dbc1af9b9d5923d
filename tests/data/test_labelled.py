"""Sources of labelled sentences."""

from types import SimpleNamespace

import pytest

from rnn_jax.data import DataError, generated, labelled


def config(**changes):
    want = labelled.defaults()
    want.update(changes)
    return want


@pytest.fixture
def folder(tmp_path):
    """SST-2 and TREC of a few lines; TREC's training file is Latin-1."""
    here = tmp_path / "sentence_classification"
    here.mkdir()
    for part in ("train", "dev", "test"):
        (here / f"stsa.binary.{part}").write_text(f"1 a fine {part} é\n0 a dull one\n")
    (here / "TREC.train.all").write_bytes("".join(f"{i % 6} What is é{i} ?\n" for i in range(20)).encode("latin-1"))
    (here / "TREC.test.all").write_text("4 Where ?\n")
    return tmp_path


def test_sst2_and_trec(folder):
    sst = labelled.load(config(source="sst2", root=str(folder)))
    assert sst.valid == [("positive", ["a", "fine", "dev", "é"]), ("negative", ["a", "dull", "one"])]
    want = config(source="trec", root=str(folder), hold_out=0.25)
    trec = labelled.load(want)
    assert [len(part) for part in trec[:3]] == [15, 5, 1] and trec.test == [("location", ["Where", "?"])]
    assert sorted(words[2] for _, words in trec.train + trec.valid) == sorted(f"é{i}" for i in range(20))
    assert labelled.load(want) == trec  # the same are held out
    folds = [labelled.load(config(**dict(want) | {"fold": i})) for i in range(4)]
    assert folds[0] == trec and sorted(s for f in folds for s in f.valid) == sorted(trec.train + trec.valid)
    assert all(sorted(f.train + f.valid) == sorted(trec.train + trec.valid) for f in folds)
    with pytest.raises(DataError, match=r"config.data.fold=4: want 0 to 3"):
        labelled.load(config(**dict(want) | {"fold": 4}))
    assert labelled.load(config(source="sst2", root=str(folder), longest=2)).test[0].words == ["a", "fine"]


def test_reviews_of_tfds(monkeypatch):
    import tensorflow_datasets as tfds

    class Split(list):
        dataset_info = SimpleNamespace(features={"label": tfds.features.ClassLabel(names=["neg", "pos"])})

    rows = Split([{"text": b"Great!<br />It's", "label": 1}, {"text": b"", "label": 0}] * 4)
    monkeypatch.setattr(tfds, "data_source", lambda name, split, download: [rows, rows])
    found = labelled.load(config(source="tfds", hold_out=0.5))
    assert found.test == [("pos", ["Great", "!", "It", "'", "s"]), ("neg", ["."])] * 4
    assert len(found.train) == len(found.valid) == 4


def test_what_is_absent_or_wrong_is_told(tmp_path, folder):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("good a b\nbad\n")
    for changes, message in (
        ({"source": "sst"}, "config.data.source: no 'sst'; there are generated, sst2, sst5, trec, text, tfds"),
        ({"source": "sst5", "root": str(folder)}, "stsa.fine.train does not exist: fetch data/ of the repository"),
        ({"source": "text", "path": str(tmp_path)}, "train.txt, line 2: a label without words; want a line: label"),
        ({"source": "text", "path": str(tmp_path / "no")}, "train.txt does not exist"),
        ({"source": "tfds", "name": "no_such_set"}, r"tfds: no_such_set cannot be read \(.*text and label"),
        ({"hold_out": 1.0}, "config.data.hold_out=1.0: want a share between 0 and 1"),
    ):
        with pytest.raises(DataError, match=message) as error:
            labelled.load(config(**changes))
        assert "\n" not in str(error.value)


def test_labels_that_training_lacks_are_told(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("good a b\nbad c\n")
    (tmp_path / "test.txt").write_text("good a b\nodd c\n")
    want = config(source="text", path=str(tmp_path))
    assert labelled.load(want).report.splitlines()[1:] == [
        "text: test: 1 of 2 sentences have labels that training lacks, so count as wrong: odd"
    ]
    (tmp_path / "valid.txt").write_text("Good a b\n")
    with pytest.raises(DataError, match=r"text: valid: training has none of its labels \(Good\): give both the same"):
        labelled.load(want)


def test_the_grammar_s_labels():
    """By the docstring's rule, read again here."""
    good = {"grand", "witty", "moving", "fresh", "clever", "brilliant", "charming", "superb"}
    found = generated.labelled(400)
    for label, words in found:
        start = max((i + 1 for i, w in enumerate(words) if w == "but"), default=0)
        end = next((i for i, w in enumerate(words) if i > start and w in ("and", "but")), len(words))
        clause = words[start:end]
        turned = any(w in ("not", "never", "hardly") for w in clause)
        assert (label == "positive") == ((clause[-1] in good) != turned), words
    assert 0.4 < sum(label == "positive" for label, _ in found) / 400 < 0.6
    assert found == generated.labelled(400) != generated.labelled(400, seed=1)
