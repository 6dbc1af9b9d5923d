"""The main job through its command line: what a run leaves, what it refuses, that it goes on after a kill."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import char_lm
from rnn_jax import train
from rnn_jax.train.log import TIMES

TEXT = "".join(
    random.Random(0).choice(["def f(x):\n", "    return x\n", "print(f(1))\n", "# a line\n"]) for _ in range(900)
)
SMALL = (
    "--config.data.source=text", "--config.data.path=text.txt", "--config.data.split=nanogpt", "--config.data.batch=4",
    "--config.data.window=8", "--config.width=8", "--config.steps=12", "--config.log_every=4", "--config.eval_every=6",
    "--config.save_every=5", "--config.sample.length=20", "--config.optimizer.warmup=2",
)  # fmt: skip


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    return tmp_path


def run(capsys, *argv):
    """(exit code, stdout, stderr) of the front door, in this process."""
    with pytest.raises(SystemExit) as stop:
        train.cli.run(char_lm.main, study="char_lm", check=char_lm.check, argv=list(argv))
    out = capsys.readouterr()
    return stop.value.code, out.out, out.err


def rows(workdir):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in train.read_rows(workdir)]


def test_what_a_run_leaves(at, capsys):
    code, out, err = run(capsys, *SMALL, "--workdir=w")
    assert (code, err) == (0, "") and "parameters" in out
    results = json.loads(Path("w/results.json").read_text())
    assert set(results) == {
        "train_loss", "valid_loss", "best_valid_loss", "valid_bits_per_char", "chars_per_second", "parameters", "seconds",
        "sample",
    }  # fmt: skip
    assert results["valid_bits_per_char"] == pytest.approx(results["valid_loss"] / math.log(2))
    assert results["sample"].startswith("def ") and len(results["sample"]) == 4 + 20
    for name in ("config.json", "metrics.jsonl", "checkpoints/12", "figures/loss.png"):
        assert (Path("w") / name).exists(), name
    assert list(Path("w").glob("events.out.tfevents.*"))
    code, out, _ = run(capsys, *SMALL, "--workdir=w")
    assert code == 0 and "finished already" in out

    write = lambda *more: run(capsys, "--config.mode=sample", "--workdir=w", *more)
    code, out, err = write(
        "--config.sample.prompt=print é", "--config.sample.length=7", "--config.sample.temperature=0"
    )
    assert (code, err) == (0, "") and out.startswith("print é") and len(out.rstrip("\n")) <= 14
    assert write("--config.sample.temperature=0") == write("--config.sample.temperature=0", "--config.sample.seed=5")
    assert write()[1] != write("--config.sample.seed=5")[1]


@pytest.mark.parametrize(
    "more", [("--config.model=window_mlp",), ("--config.model=average",), ("--config.cell=gru", "--config.embed=3"),
             ("--config.cell=irnn", "--config.layers=2", "--config.init_scale=0.08"), ("--config.cell=vanilla",)],
    ids=str,
)  # fmt: skip
def test_every_model_learns(at, capsys, more):
    assert run(capsys, *SMALL, "--workdir=w", *more)[0] == 0
    losses = [row["train_loss"] for row in rows("w") if "train_loss" in row]
    assert losses[-1] < losses[0]


def test_pmap_gives_the_same_numbers(at, capsys):
    for parallel in ("auto", "pmap"):
        assert run(capsys, *SMALL, f"--workdir={parallel}", f"--config.parallel={parallel}")[0] == 0
    for a, b in zip(rows("auto"), rows("pmap"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_init_from_starts_with_the_weights(at, capsys):
    assert run(capsys, *SMALL, "--workdir=a")[0] == 0
    assert (
        run(
            capsys,
            *SMALL,
            "--workdir=b",
            "--config.init_from=a",
            "--config.optimizer.rate=0.0",
            "--config.optimizer.final_rate=0.0",
        )[0]
        == 0
    )  # noqa: E501 - one call
    assert rows("b")[-1]["valid_loss"] == pytest.approx(rows("a")[-1]["valid_loss"], rel=1e-6)


def test_unseen_characters_are_reported(at, capsys):
    Path("text.txt").write_text(TEXT + "é" * 5)
    code, out, err = run(capsys, *SMALL, "--workdir=w")
    assert (code, err) == (0, "") and "5 characters of 1 kinds not in the training text" in out


BAD = {
    "empty": (b"", (), "text.txt"),
    "short": (b"abc", (), "window"),
    "binary": (b"\x00\x01\x02" * 9999, (), "text.txt"),
    "batch": (None, ("--config.data.batch=40000",), "config.data.batch"),
    "key": (None, ("--config.widht=3",), "--config.width"),
    "type": (None, ("--config.width=abc",), "want int"),
    "model": (None, ("--config.model=cnn",), "want one of rnn, window_mlp, average"),
    "cell": (None, ("--config.cell=lstn",), "want one of"),
    "missing": (None, ("--config.data.path=nowhere.txt",), "nowhere.txt"),
    "split": (None, ("--config.data.split=files",), "config.data.split"),
    "workdir": (None, ("--workdir=text.txt/below",), "choose another --workdir"),
    "steps": (None, ("--config.steps=-1",), "config.steps"),
    "untrained": (None, ("--config.mode=sample",), "train it first"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_writes_nothing(at, capsys, name):
    content, more, words = BAD[name]
    if content is not None:
        Path("text.txt").write_bytes(content)
    before = Path("text.txt").read_bytes()
    code, _, err = run(capsys, *SMALL, "--workdir=w", *more)
    assert code == 2 and err.count("\n") == 1 and err.startswith("error: ") and words in err, err
    assert [p.name for p in at.iterdir()] == ["text.txt"] and Path("text.txt").read_bytes() == before


def test_checkpoints_of_another_model_and_vocabulary(at, capsys):
    assert run(capsys, *SMALL, "--workdir=a")[0] == 0
    code, _, err = run(capsys, *SMALL, "--workdir=b", "--config.init_from=a", "--config.width=9")
    assert code == 2 and err.count("\n") == 1 and "another model" in err, err
    Path("text.txt").write_text(TEXT.replace("x", "y") + "z" * 99 + TEXT)
    code, _, err = run(capsys, *SMALL, "--workdir=c", "--config.init_from=a")
    assert code == 2 and err.count("\n") == 1 and "vocabulary" in err, err
    Path("a/results.json").unlink()  # unfinished, and its text has changed
    code, _, err = run(capsys, *SMALL, "--workdir=a")
    assert code == 2 and err.count("\n") == 1 and "vocabulary" in err, err


def test_a_damaged_checkpoint(at, capsys):
    assert run(capsys, *SMALL, "--workdir=w")[0] == 0
    largest = max((p for p in Path("w/checkpoints/12").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    largest.write_bytes(b"garbage")
    code, _, err = run(capsys, "--config.mode=sample", "--workdir=w")
    assert code == 2 and err.count("\n") == 1 and "damaged" in err and "delete" in err, err


def test_sigkill_at_a_random_step(at):
    """A real process, killed without warning and started again, ends with the numbers of an unbroken one."""
    steps = 300
    argv = [sys.executable, "-m", "experiments.char_lm", *SMALL, f"--config.steps={steps}", "--config.save_every=20"]
    argv += ["--config.eval_every=90", "--config.log_every=7"]
    assert subprocess.run([*argv, "--workdir=whole"], capture_output=True).returncode == 0
    process = subprocess.Popen([*argv, "--workdir=broken"], stdout=subprocess.DEVNULL)
    die = random.randrange(25, 200)
    while not (Path("broken").exists() and rows("broken") and rows("broken")[-1]["step"] >= die):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not Path("broken/results.json").exists()
    done = subprocess.run([*argv, "--workdir=broken"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert rows("broken") == rows("whole")
    one, two = (json.loads(Path(w, "results.json").read_text()) for w in ("whole", "broken"))
    timed = ("seconds", "chars_per_second")
    assert {k: v for k, v in one.items() if k not in timed} == {k: v for k, v in two.items() if k not in timed}
