"""Sources of tagged sentences."""

import gzip
from types import SimpleNamespace

import pytest

from rnn_jax.data import DataError, generated, tagged

CHUNKS = "He PRP B-NP\nran VBD B-VP\n\n\nfar RB B-ADVP\n"


def config(**changes):
    want = tagged.defaults()
    want.update(changes)
    return want


def of(found):
    return [[tuple(word) for word in sentence] for sentence in found]


@pytest.fixture
def conll(tmp_path, monkeypatch):
    """A folder with a conll2000/ of five sentences, the last two held out."""
    monkeypatch.setattr(tagged, "HELD_OUT", 2)
    folder = tmp_path / "conll2000"
    folder.mkdir()
    for part, n in (("train", 5), ("test", 1)):
        text = "\n".join(f"w{i} NN B-NP\n.{i} . O\n" for i in range(n))
        (folder / f"{part}.txt.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_conll2000_and_its_split(conll, monkeypatch):
    found = tagged.load(config(source="conll2000", root=str(conll)), "chunks")
    assert [len(part) for part in found[:3]] == [3, 2, 1] and "3 / 2 / 1 sentences" in found.report
    assert of(found.valid)[0] == [("w3", "", "B-NP"), (".3", "", "O")]
    assert of(tagged.load(config(source="conll2000", root=str(conll), pos=True), "chunks").test) == [
        [("w0", "NN", "B-NP"), (".0", ".", "O")]
    ]
    monkeypatch.setenv("RNN_JAX_DATA", str(conll))
    assert of(tagged.load(config(source="conll2000"), "pos").test) == [[("w0", "", "NN"), (".0", "", ".")]]


def test_files_of_one_s_own(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text(CHUNKS)
    want = config(source="columns", path=str(tmp_path))
    assert [len(s) for s in tagged.load(want, "chunks").valid] == [2, 1]
    (tmp_path / "test.txt").write_text("far RB\n")
    assert of(tagged.load(want, "pos").test) == [[("far", "", "RB")]]
    (tmp_path / "test.txt").write_text("far RB\nnew XX\n")
    told = "columns: test: 1 of 2 words have tags that training lacks, so count as wrong: XX"
    assert tagged.load(want, "pos").report.splitlines()[1:] == [told]
    (tmp_path / "test.txt").write_text("new XX\n")
    with pytest.raises(
        DataError, match=r"columns: test: training has none of its tags \(XX\): give both the same tags"
    ):
        tagged.load(want, "pos")
    (tmp_path / "test.txt").write_text("\n \n")
    with pytest.raises(DataError, match="columns: the test part holds no sentence"):
        tagged.load(want, "pos")
    (tmp_path / "test.txt").write_text("a b\nc d e\n")
    with pytest.raises(DataError, match=r"test.txt, line 2: 3 columns; want in every line a word and its tag, or"):
        tagged.load(want, "pos")


def test_universal_dependencies_of_tfds(monkeypatch):
    import tensorflow_datasets as tfds

    upos = tfds.features.Sequence(tfds.features.ClassLabel(names=["NOUN", "NUM"]))

    class Split(list):
        dataset_info = SimpleNamespace(features={"upos": upos})

    def source(name, split, download):
        assert (name, split, download) == ("universal_dependencies/en_ewt", ["train", "dev", "test"], False)
        return [Split([{"tokens": [b"caf\xc3\xa9", b"10 000"], "upos": [0, 1]}])] * 3

    monkeypatch.setattr(tfds, "data_source", source)
    want = config(source="tfds")
    assert of(tagged.load(want, "pos").train) == [[("café", "", "NOUN"), ("10_000", "", "NUM")]]
    for changes, task, message in (({}, "chunks", "tfds has no chunks: set config.task=pos"),
                                   ({"pos": True}, "chunks", "tfds has no chunks")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            tagged.load(config(source="tfds", **changes), task)


def test_what_is_absent_is_told(tmp_path):
    for changes, task, message in (
        ({"source": "ud"}, "pos", "config.data.source: no 'ud'; there are generated, conll2000, columns, tfds"),
        ({"source": "conll2000", "root": str(tmp_path)}, "pos", "train.txt.gz does not exist: fetch the files of"),
        ({"source": "columns", "path": str(tmp_path)}, "pos", "train.txt does not exist"),
        ({"source": "tfds", "name": "no_such_set"}, "pos", r"tfds: no_such_set cannot be read \(.*download=True"),
        ({"pos": True}, "pos", "gives the tags that config.task=pos is to find"),
    ):
        with pytest.raises(DataError, match=message) as error:
            tagged.load(config(**changes), task)
        assert "\n" not in str(error.value)


def test_the_grammar_needs_both_sides():
    """Equal windows of two words either side, other chunks; and the whole sentence decides them."""
    found, seen, whole = generated.tagged(500), {}, {}
    assert found == generated.tagged(500) != generated.tagged(500, seed=1)
    for sentence in found:
        words = [w for w, _, _ in sentence]
        for i, (word, _, chunk) in enumerate(sentence):
            seen.setdefault((*words[max(0, i - 2) : i + 3], i < 2), set()).add(chunk)
            whole.setdefault((tuple(words), i), set()).add(chunk)
            assert chunk == "O" or chunk.split("-")[1][:2] in ("NP", "VP", "PP", "AD"), word
    assert max(map(len, whole.values())) == 1 < max(map(len, seen.values()))
    sheep = set()
    for sentence in found:
        aux = next(word for word, _, chunk in sentence if chunk.startswith("B-VP"))
        sheep |= {(sentence[1][2], aux)} if sentence[1][0] == "the" else set()
    assert {("B-NPsg", "is"), ("B-NPsg", "was"), ("B-NPpl", "are"), ("B-NPpl", "were")} <= sheep
    assert ("B-NPsg", "are") not in sheep and ("B-NPpl", "is") not in sheep
