"""Sources, named splits and their errors."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnn_jax import data
from rnn_jax.data import stdlib, tiny_shakespeare

ROOT = Path(os.environ.get("RNN_JAX_DATA", Path(__file__).parents[2] / "../shared/data"))
INPUT = ROOT / "tinyshakespeare/input.txt"
needs_input = pytest.mark.skipif(not INPUT.is_file(), reason="no tinyshakespeare/input.txt in RNN_JAX_DATA")


def config(**values):
    c = data.defaults()
    c.update(values)
    return c


@pytest.fixture
def text_config(tmp_path):
    """config.data of a text file with the given content."""

    def make(content, **values):
        path = tmp_path / "file.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return config(**({"source": "text", "path": str(path), "split": "nanogpt"} | values))

    return make


# Python's standard library


def test_stdlib_splits_by_file():
    text = data.load(config())
    documents = dict(stdlib.read(stdlib.home()))
    assert len(documents) > 300 and sum(map(len, documents.values())) > 5e6
    for part, out in ((text.train, False), (text.valid, True)):
        files = [t for n, t in documents.items() if stdlib.held_out(n) is out]
        firsts = np.flatnonzero(part.starts)
        assert firsts.tolist() == np.cumsum([0, *map(len, files[:-1])]).tolist()
        assert text.vocabulary.decode(part.tokens[firsts[3] : firsts[4]]) == files[3]
        assert part.tokens.size == sum(map(len, files))
    assert 0.03 < text.valid.tokens.size / text.train.tokens.size < 0.08
    assert text.test is None and text.report.startswith("stdlib of Python 3.")


def test_stdlib_selection_is_deterministic_and_complete():
    names = stdlib.files(stdlib.home())
    assert names == stdlib.files(stdlib.home()) and len(names) == len(set(names))
    tops = {n.split("/")[0].removesuffix(".py") for n in names}
    assert set(stdlib.NAMES.split()) == tops
    assert not any({"test", "tests", "site-packages", "encodings", "lib2to3"} & set(n.split("/")) for n in names)
    held = {"ast.py", "enum.py", "http/client.py", "logging/handlers.py", "types.py"}  # in every version, ever
    assert held <= {n for n in names if stdlib.held_out(n)} and not stdlib.held_out("os.py")


def test_stdlib_of_a_poorer_distribution(tmp_path):
    (tmp_path / "json/tests").mkdir(parents=True)
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "abc.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\r\n")
    (tmp_path / "json/__init__.py").write_text("y = 1\n")
    (tmp_path / "json/tests/__init__.py").write_text("a test\n")
    (tmp_path / "ast.py").write_bytes(b"\xff\xfe not UTF-8")
    (tmp_path / "bdb.py").write_text("")
    (tmp_path / "site-packages/copy.py").write_text("not the library")
    found = dict(stdlib.read(tmp_path))
    assert found == {"abc.py": "# -*- coding: latin-1 -*-\nx = 'é'\n", "json/__init__.py": "y = 1\n"}
    with pytest.raises(data.DataError, match="no source of the standard library"):
        stdlib.read(tmp_path / "absent")


# Text files


def test_text_file_and_fractions(text_config):
    text = data.load(text_config("abcdefghij" * 100, split="fractions", fractions=(0.8, 0.15, 0.05)))
    assert [p.tokens.size for p in (text.train, text.valid, text.test)] == [800, 150, 50]
    assert text.vocabulary.decode(text.train.tokens) == "abcdefghij" * 80 and not text.train.starts.any()
    assert data.load(text_config("ab" * 500, split="fractions", fractions=(0.9, 0.1, 0.0))).test is None


def test_gzip_and_byte_order_mark(text_config):
    for content in (gzip.compress("é".encode() * 100), b"\xef\xbb\xbf" + "é".encode() * 100):
        assert data.load(text_config(content)).vocabulary.symbols == data.UNSEEN + "é"


def test_unseen_characters_are_reported(text_config):
    text = data.load(text_config("a" * 90 + "bbbbbbcccc"))
    assert len(text.vocabulary) == 2 and text.valid.tokens.tolist() == [0] * 10
    assert "valid: 10 characters of 2 kinds not in the training text, read as '\ufffd'" in text.report.splitlines()
    assert not data.load(text_config("ab" * 50)).report.count("kinds")


@pytest.mark.parametrize(
    "content, values, message",
    [
        ("", {}, "is empty"),
        (b"ELF\0\1", {}, r"is binary \(NUL at character 3\)"),
        (b"caf\xe9 noir", {}, r"is not UTF-8 \(line 1\)"),
        (gzip.compress(b"a" * 1000, mtime=0)[:-9], {}, "cannot be read"),
        ("abc", {"path": ""}, "set config.data.path=FILE"),
        ("abc", {"path": "/absent/file"}, "/absent/file does not exist"),
        ("abc", {"path": "/"}, "/ is a directory"),
        ("abc", {"source": "wikipedia", "path": ""}, "no 'wikipedia'; there are stdlib, text, tiny_shakespeare"),
        ("abc", {"source": "stdlib"}, "path is read by source text only"),
        ("abc", {"split": "half"}, "no 'half'; there are char_rnn, nanogpt, fractions, files"),
        ("abc", {"split": "files"}, "text is one text: set config.data.split to char_rnn, nanogpt or fractions"),
        ("abc", {"split": "char_rnn"}, "3 characters are 0 windows of 50 for each of 50 streams"),
        ("abc" * 50, {"split": "char_rnn", "batch": 0}, "0 windows"),
        ("abc", {"split": "fractions", "fractions": (0.5, 0.2, 0.2)}, "sum to 1"),
        ("abc", {"split": "fractions", "fractions": (0.9, 0.1)}, "three shares"),
        ("abc", {"split": "fractions", "fractions": (1.0, 0.0, 0.0)}, "three shares"),
    ],
)
def test_errors_are_one_line(text_config, content, values, message):
    with pytest.raises(data.DataError, match=message) as error:
        data.load(text_config(content, **values))
    assert "\n" not in str(error.value)


# Tiny Shakespeare, through TFDS


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of TFDS with the data set, made from the official file."""
    folder = tmp_path_factory.mktemp("tfds")
    return str(folder), tiny_shakespeare.read(str(ROOT), str(folder))


@needs_input
def test_tfds_gives_the_official_file(prepared):
    import tensorflow_datasets as tfds

    folder, text = prepared
    assert text == INPUT.read_text() and len(text) == 1_115_394
    assert tiny_shakespeare.read("", folder) == text  # prepared: the file is not needed any more
    public = tfds.data_source(
        "tiny_shakespeare", data_dir=folder, download=False
    )  # TFDS's own builder reads it as well
    assert [len(public[s][0]["text"]) for s in ("train", "validation", "test")] == [1_003_854, 55_770, 55_770]


@needs_input
def test_published_splits(prepared):
    def load(split):
        return data.load(config(source="tiny_shakespeare", tfds_dir=prepared[0], split=split))

    text = load("char_rnn")
    assert [data.count(p, 50, 50) for p in (text.train, text.valid)] == [423, 23]
    assert len(text.vocabulary) == 65 + 1
    text = load("nanogpt")
    assert [p.tokens.size for p in (text.train, text.valid)] == [1_003_854, 111_540]
    text = load("fractions")  # the default ones are TFDS's
    assert [p.tokens.size for p in (text.train, text.valid, text.test)] == [1_003_854, 55_770, 55_770]


@needs_input
def test_file_in_the_manual_folder_of_tfds(tmp_path):
    manual = tmp_path / "downloads/manual"
    manual.mkdir(parents=True)
    (manual / "input.txt").write_bytes(INPUT.read_bytes())
    assert len(tiny_shakespeare.read("", str(tmp_path))) == 1_115_394


def test_absent_file_names_itself(tmp_path):
    with pytest.raises(data.DataError, match=r"absent/tinyshakespeare/input\.txt: save https://.*download") as error:
        tiny_shakespeare.read("/absent", str(tmp_path))
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_another_file_is_refused(tmp_path):
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare/input.txt").write_text("Not Shakespeare")
    with pytest.raises(data.DataError, match=r"could not be made from .*NonMatchingChecksumError") as error:
        tiny_shakespeare.read(str(tmp_path), str(tmp_path / "tfds"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "info", [None, "{", '{"name": "tiny_shakespeare", "version": "1.0.0", "fileFormat": "tfrecord"}']
)
def test_broken_folder_of_tfds(tmp_path, info):
    folder = tmp_path / "tiny_shakespeare/1.0.0"
    folder.mkdir(parents=True)
    if info:
        (folder / "dataset_info.json").write_text(info)
    with pytest.raises(data.DataError, match=r"cannot be read as array_record .*: remove it there") as error:
        tiny_shakespeare.read("", str(tmp_path))
    assert "\n" not in str(error.value)


def test_imports_are_light_and_without_tensorflow(tmp_path):
    code = f"""
import sys
from rnn_jax import data
heavy = {{"grain", "tensorflow_datasets", "ml_collections"}} & set(sys.modules)
assert not heavy, heavy
c = data.defaults()
c.update(source="tiny_shakespeare", split="nanogpt", root={str(ROOT)!r}, tfds_dir={str(tmp_path)!r})
try:
    next(iter(data.windows(data.load(c).train, 50, 50)))
except data.DataError as error:
    assert not {INPUT.is_file()}, error
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"JAX_PLATFORMS": "cpu"})
