"""The language model study through its command line: what a run leaves, refuses, and how it goes on after a kill."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from configs.char_lm.default import get_config
from experiments import char_lm
from rnn_jax import cells, train
from rnn_jax.train.log import TIMES

WORDS = ["def f(x):\n", "    return x\n", "print(f(1))\n", "# a line\n"]
TEXT = "".join(random.Random(0).choices(WORDS, k=90))
TEXT = TEXT[:-9] + "é\u2603 unseen"  # in the validation part alone
SMALL = (
    "--config.data.source=text", "--config.data.path=text.txt", "--config.data.split=nanogpt", "--config.data.batch=4",
    "--config.data.window=8", "--config.width=8", "--config.steps=40", "--config.log_every=1", "--config.eval_every=9",
    "--config.save_every=5", "--config.sample.length=20", "--config.optimizer.warmup=2", "--config.data.resets=epochs",
    "--config.sample.prompt=def ",
)  # fmt: skip
SHORT = (*SMALL, "--config.steps=3", "--config.eval_every=0")
COMMAND = [sys.executable, "-m", "experiments.char_lm"]
pytestmark = pytest.mark.usefixtures("quick_module")


def call(capsys, *argv):
    """(exit code, stdout, stderr) of the front door, in this process."""
    with pytest.raises(SystemExit) as stop:
        train.cli.run(char_lm.main, study="char_lm", check=char_lm.check, argv=list(argv))
    out = capsys.readouterr()
    return stop.value.code, out.out, out.err


def refused(answer, *words):
    code, _, err = answer
    assert code == 2 and err.count("\n") == 1 and err.startswith("error: "), answer
    assert all(word in err for word in words), err


def rows(workdir):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in train.read_rows(workdir)]


def results(workdir):
    return json.loads(Path(workdir, "results.json").read_text())


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_module):
    """A folder with text.txt and a finished run `w`; tests copy it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT)
    before = os.getcwd()
    os.chdir(folder)
    try:
        with pytest.raises(SystemExit) as stop:
            train.cli.run(char_lm.main, study="char_lm", check=char_lm.check, argv=[*SMALL, "--workdir=w"])
    finally:
        os.chdir(before)
    assert stop.value.code == 0
    return folder


@pytest.fixture
def at(trained, tmp_path, monkeypatch):
    """The current directory: a copy of that folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_run_leaves(at, capsys):
    got = results("w")
    assert set(got) == {
        "train_loss", "valid_loss", "best_valid_loss", "valid_bits_per_char", "chars_per_second", "parameters",
        "seconds", "sample",
    }  # fmt: skip
    log = rows("w")
    assert [row["step"] for row in log] == [*range(1, 41)]
    assert [row["step"] for row in log if "valid_loss" in row] == [9, 18, 27, 36, 40]
    assert log[-1]["train_loss"] < log[0]["train_loss"] and got["train_loss"] == log[-1]["train_loss"]
    assert got["valid_loss"] == log[-1]["valid_loss"]
    assert got["best_valid_loss"] == min(row["valid_loss"] for row in log if "valid_loss" in row)
    assert got["valid_bits_per_char"] == pytest.approx(got["valid_loss"] / math.log(2), rel=1e-12)
    assert got["sample"].startswith("def ") and len(got["sample"]) == 4 + 20
    assert got["chars_per_second"] > 0 and got["seconds"] > 0
    assert json.loads(Path("w/config.json").read_text())["config"]["width"] == 8
    assert Path("w/figures/loss.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(Path("w").glob("events.out.tfevents.*"))) == 1
    assert sorted(p.name for p in Path("w/checkpoints").iterdir()) == ["35", "40"]  # keep=2
    before = tree(at)
    code, out, err = call(capsys, *SMALL, "--workdir=w")
    assert (code, err) == (0, "") and "finished already: w" in out and '"valid_loss"' in out
    assert tree(at) == before


def test_writing(at, capsys):
    def write(*argv):
        code, out, err = call(capsys, "--config.mode=sample", "--workdir=w", *argv)
        assert (code, err) == (0, "")
        return out.removesuffix("\n")

    before = tree(at)
    prompt = "print \u2603é"  # characters that the training text does not have
    hot = write(f"--config.sample.prompt={prompt}", "--config.sample.length=7", "--config.sample.temperature=5")
    assert hot.startswith(prompt) and len(hot) == len(prompt) + 7
    cold = [write("--config.sample.temperature=0", f"--config.sample.seed={k}") for k in (0, 1)]
    assert cold[0] == cold[1] and len(cold[0]) == 4 + 20
    warm = [write("--config.sample.temperature=1", f"--config.sample.seed={k}") for k in (0, 1, 0)]
    assert warm[0] == warm[2] != warm[1]
    assert tree(at) == before


@pytest.mark.parametrize(
    "argv",
    [("--config.model=window_mlp",), ("--config.model=average", "--config.context=3"),
     ("--config.cell=irnn", "--config.layers=2", "--config.init_scale=0.08"), ("--config.cell=gru", "--config.embed=3"),
     ("--config.cell=vanilla", "--config.data.resets=never"), ("--config.cell=orthogonal",),
     ("--config.cell=original_lstm", "--config.layers=2"), ("--config.cell=lru",), ("--config.cell=min_gru",),
     ("--config.cell=heads_lstm",)],
    ids=lambda argv: argv[0].split("=")[1],
)  # fmt: skip
def test_every_model_and_cell(at, capsys, argv):
    code, _, err = call(capsys, *SHORT, "--config.steps=20", "--workdir=new", *argv)
    assert (code, err) == (0, "")
    losses = [row["train_loss"] for row in rows("new")]
    assert len(losses) == 20 and max(losses) < 5 and set(results("new")) == set(results("w"))
    # an orthogonal network forgets nothing: its carried state, and the loss with it, first grow along the text
    assert sum(losses[-5:]) < sum(losses[:5]) or "orthogonal" in argv[0]


def test_every_cell_is_tested():
    known = {"lstm", "gru", "irnn", "vanilla", "orthogonal", "original_lstm", "lru", "min_gru"}
    known |= {"min_lstm", "diagonal"}  # to a model they are what min_gru is: a real carry, a linear step
    known |= {"heads_lstm", "peephole_lstm"}  # the latter is to a model what lstm is
    assert set(cells.known()) == known, "name the new cell in test_every_model_and_cell"


def test_pmap_gives_the_same_losses(at, capsys):
    assert call(capsys, *SMALL, "--workdir=pmap", "--config.parallel=pmap", "--config.save_every=0")[0] == 0
    for one, two in zip(rows("w"), rows("pmap"), strict=True):
        assert two == pytest.approx(one, rel=1e-4)


def test_init_from_starts_with_the_weights(at, capsys):
    still = ("--config.optimizer.rate=0.0", "--config.optimizer.final_rate=0.0")  # the weights stay what they are
    code, out, err = call(capsys, *SHORT, "--workdir=new", "--config.init_from=w", *still)
    assert (code, err) == (0, "") and "valid: 3 characters of 3 kinds not in the training text" in out, out
    assert results("new")["valid_loss"] == pytest.approx(results("w")["valid_loss"], rel=1e-6)
    assert rows("new")[-1]["step"] == 3  # the weights and nothing else: it counts from the start


ONE_LINE = {
    "empty": (b"", (), ("text.txt is empty", "give at least")),
    "shorter than a window": (b"abc def", (), ("one window of 8 for each of 4 streams needs 33", "give more text")),
    "binary": (b"ab\x00\x01" * 999, (), ("text.txt is binary", "give a text file")),
    "not UTF-8": (b"ab\xff\xfe" * 999, (), ("text.txt is not UTF-8", "convert it")),
    "a large batch": (None, ("--config.data.batch=40000",), ("for each of 40000 streams", "lower config.data.batch")),
    "a large window": (None, ("--config.data.window=400",), ("one window of 400", "lower config.data.batch or")),
    "unknown key": (None, ("--config.widht=3",), ("--config.widht is not a key", "nearest: --config.width")),
    "wrong type": (None, ("--config.width=abc",), ("--config.width=abc: want int; the default is 256",)),
    "model": (None, ("--config.model=cnn",), ("config.model=cnn: want one of rnn, window_mlp, average",)),
    "cell": (None, ("--config.cell=lstn",), ("config.cell=lstn: want one of", "lstm", "gru")),
    "no file": (None, ("--config.data.path=none.txt",), ("none.txt does not exist", "give a UTF-8 text file")),
    "a folder": (None, ("--config.data.path=w",), ("w is a directory", "give a UTF-8 text file")),
    "split files": (None, ("--config.data.split=files",), ("files needs a source of many files", "nanogpt")),
    "a source": (
        None,
        ("--config.data.source=txt", "--config.data.path="),
        ("no 'txt'", "stdlib, text, tiny_shakespeare"),
    ),
    "resets": (None, ("--config.data.resets=always",), ("no 'always'", "never, documents, epochs")),
    "below a file": (None, ("--workdir=text.txt/new",), ("cannot write to workdir", "choose another --workdir")),
    "a file": (None, ("--workdir=text.txt",), ("it is a file", "choose another --workdir")),
    "no run to start from": (None, ("--config.init_from=none",), ("config.init_from=none: no run there",)),
    "another config": (None, ("--workdir=w", "--config.width=9"), ("width is 8 there, 9 here", "Choose another")),
    "no steps": (None, ("--config.steps=0",), ("config.steps=0", "want at least 1")),
    "untrained": (None, ("--config.mode=sample",), ("holds no run to sample: train it first",)),
    "no prompt": (None, ("--config.sample.prompt=",), ("want a prompt of at least one character",)),
    "temperature": (None, ("--config.sample.temperature=-1",), ("temperature >= 0",)),
    # what is only found out once the checkpoint and the text are there
    "weights of another width": (None, ("--config.init_from=w", "--config.width=9"), ("w/", "another model")),
    "weights of another text": (b"xyz" * 999, ("--config.init_from=w",), ("the checkpoint in w has a vocabulary",)),
}


@pytest.mark.parametrize("name", ONE_LINE)
def test_bad_input_is_one_line_and_nothing_is_written(at, capsys, name):
    content, argv, words = ONE_LINE[name]
    if content is not None:
        Path("text.txt").write_bytes(content)
    before = tree(at)
    refused(call(capsys, *SMALL, "--workdir=new", *argv), *words)
    assert tree(at) == before


def damage(folder):
    largest = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    largest.write_bytes(b"garbage")


@pytest.mark.parametrize("mode", ["train", "sample"])
def test_a_damaged_checkpoint(at, capsys, mode):
    damage(Path("w/checkpoints/40"))
    Path("w/results.json").unlink()  # now it is an unfinished run
    before = tree(at)
    answer = call(capsys, *SMALL, "--workdir=w", f"--config.mode={mode}")
    refused(answer, "checkpoints/40 is damaged", "delete that folder to go on from step 35")
    assert tree(at) == before
    shutil.rmtree("w/checkpoints/40")  # as it was told
    assert call(capsys, *SMALL, "--workdir=w", f"--config.mode={mode}")[0] == 0


CHANGED = {"other characters": TEXT.replace("x", "q"), "the same characters": TEXT[:500] + TEXT}


@pytest.mark.parametrize("name", ["other characters", "the same characters"])
def test_an_unfinished_run_whose_text_has_changed(at, capsys, name):
    shutil.rmtree("w/checkpoints/40")
    Path("w/results.json").unlink()
    Path("text.txt").write_text(CHANGED[name])
    before = tree(at)
    refused(call(capsys, *SMALL, "--workdir=w"), "w")
    assert tree(at) == before


def test_a_wrong_call_of_the_module(at):
    command = [*COMMAND, *SMALL, "--workdir=new", "--config.data.path=none.txt"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    refused((done.returncode, done.stdout, done.stderr), "none.txt does not exist")
    assert done.stdout == "" and not Path("new").exists()


def test_sigkill_at_a_random_step(at):
    """A process that is killed without warning and started again ends with the numbers of the unbroken run `w`."""
    command, die = [*COMMAND, *SMALL, "--workdir=broken"], random.randint(1, 30)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not (Path("broken").exists() and rows("broken") and rows("broken")[-1]["step"] >= die):
        assert process.poll() is None, die
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not Path("broken/results.json").exists(), die
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), die
    assert rows("broken") == rows("w"), die
    one, two = results("w"), results("broken")
    assert {**one, **dict.fromkeys(("seconds", "chars_per_second"))} == {
        **two, **dict.fromkeys(("seconds", "chars_per_second"))
    }, die  # fmt: skip


def test_the_default_config_is_what_it_says():
    """The study's own job: offline, on this machine's standard library."""
    config = get_config()
    char_lm.check(config)
    assert config.data.source == "stdlib" and config.model == "rnn" and config.cell in cells.known()
