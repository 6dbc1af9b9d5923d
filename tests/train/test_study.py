"""A tiny study through the real command line. This file is its own experiment: the tests run it as a script."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnn_jax import cells, train
from rnn_jax.train import cli
from rnn_jax.train.log import TIMES

CONFIG = '''"""A tanh network that echoes its input. Takes 2 s."""
from ml_collections import ConfigDict, config_dict

def get_config():
    return ConfigDict(dict(
        mode="train", seed=0, steps=24, log_every=4, eval_every=7, save_every=8, keep=2, parallel="auto", init_from="",
        width=5,  # units
        blow_up=False, sizes=(1, 2), limit=config_dict.placeholder(int),
        optimizer=dict(name="adam", rate=0.01, b1=0.9, b2=0.999, eps=1e-8, schedule="constant", clip="norm",
                       threshold=1.0),
        sample=dict(n=3),
    ))
'''


class Dying:
    """A Grain iterator whose process gets a signal as it hands out the batch of a step: DIE=<signal>@<step>."""

    def __init__(self, batches):
        self.batches, self.get_state = batches, batches.get_state
        name, _, at = os.environ.get("DIE", "@0").partition("@")
        self.signal, self.at, self.step = name, int(at), 0

    def set_state(self, state):
        self.batches.set_state(state)
        self.step = state["next_index"]

    def __iter__(self):
        return self

    def __next__(self):
        self.step += 1
        if self.step == self.at:
            os.kill(os.getpid(), getattr(signal, self.signal))
        return next(self.batches)


def main(config, workdir):
    cell, d = cells.vanilla(), config.width
    params = {"cell": cell.init(jax.random.key(1), 2, d), "out": jnp.zeros((d, 2))}
    if config.mode == "sample":
        params, meta = train.load_params(workdir, params)
        return {"n": config.sample.n, "step": meta["step"], "vocabulary": meta["vocabulary"]}
    xs = np.random.default_rng(0).normal(size=(40, 6, 2)).astype(np.float32)
    source = grain.MapDataset.source(xs).seed(0).shuffle().repeat().batch(8).map(lambda x: {"x": x})

    def loss(params, carry, batch, key):
        x = jnp.swapaxes(batch["x"], 0, 1)
        carry, h = jax.lax.scan(lambda h, x: cell.step(params["cell"], h, x), carry, x)
        h = h * jax.random.bernoulli(key, 0.9, h.shape)
        value = jnp.mean((h @ params["out"] - jnp.roll(x, 1, 0)) ** 2)
        if config.blow_up:  # as soon as a certain sequence is drawn
            value = value / jnp.where(jnp.any(jnp.all(batch["x"] == xs[33], (1, 2))), 0.0, 1.0)
        return value, (carry, {"activity": jnp.mean(jnp.abs(h))})

    @jax.jit
    def evaluate(params):
        value, _ = loss(params, jnp.zeros((40, d)), {"x": jnp.asarray(xs)}, jax.random.key(9))
        return {"valid_loss": value}

    result = train.fit(
        config, workdir, params=params, loss=loss, batches=Dying(iter(source.to_iter_dataset())),
        carry=cell.carry(8, d), evaluate=evaluate, meta={"vocabulary": "ab"},
    )  # fmt: skip
    np.savez(workdir / "params.npz", out=result.params["out"], **result.params["cell"], carry=result.carry)
    return result.metrics


def check(config):
    if config.width < 1:
        raise ValueError(f"config.width={config.width}: want at least 1")


pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("default.py").write_text(CONFIG)
    return tmp_path


def call(*argv, die="", **env):
    """The real command line: (exit code, stdout, stderr)."""
    command = [sys.executable, __file__, "--config=default.py", *argv]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"DIE": die or "@0"} | env, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


def inside(capsys, *argv):
    """The same front door in this process, which is there already."""
    with pytest.raises(SystemExit) as stop:
        cli.run(
            main,
            study="tiny",
            check=check,
            argv=["--config=default.py", *argv],
        )
    out = capsys.readouterr()
    return stop.value.code, out.out, out.err


def rows(workdir):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in train.read_rows(workdir)]


def test_killed_and_interrupted_runs_end_with_the_bits_of_an_unbroken_one(at, capsys):
    assert inside(capsys, "--workdir=whole")[0] == 0
    assert call("--workdir=broken", die="SIGKILL@16")[0] == -signal.SIGKILL  # 8 is saved, later rows are too many
    assert rows("broken")[-1]["step"] == 14
    code, _, err = call("--workdir=broken", die="SIGTERM@18")
    assert code == 75 and err.count("\n") == 1 and "saved step 18 of 24" in err, err
    assert not Path("broken/results.json").exists()
    code, _, err = inside(capsys, "--workdir=broken")
    assert (code, err) == (0, "")
    assert rows("broken") == rows("whole")
    assert [row["step"] for row in rows("whole")] == [4, 7, 8, 12, 14, 16, 20, 21, 24]
    one, two = np.load("whole/params.npz"), np.load("broken/params.npz")
    assert set(one) == {"out", "wx", "wh", "b", "carry"}
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    results = json.loads(Path("broken/results.json").read_text())
    assert results["valid_loss"] == rows("whole")[-1]["valid_loss"] >= results["best_valid_loss"]
    assert sorted(p.name for p in Path("broken/checkpoints").iterdir()) == ["18", "24"]  # keep=2
    assert list(Path("broken").glob("events.out.tfevents.*"))


def test_workdir_contract(at, capsys):
    code, out, _ = inside(capsys, "--config.steps=7", "--config.optimizer.rate=1", "--config.sample.n=4")
    assert code == 0
    workdir = Path("runs/tiny/default_optimizer.rate=1.0_steps=7")
    saved = json.loads((workdir / "config.json").read_text())
    assert saved["config"]["optimizer"]["rate"] == 1.0 and saved["config"]["sizes"] == [1, 2]
    assert set(saved) == {"study", "config", "versions", "device", "git_commit", "command"}
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}

    code, out, _ = inside(capsys, "--config.steps=7", "--config.optimizer.rate=1")
    assert code == 0 and "finished" in out and "best_valid_loss" in out
    code, out, _ = inside(capsys, "--config.mode=sample", f"--workdir={workdir}", "--config.sample.n=9")
    assert code == 0 and json.loads(out) == {"n": 9, "step": 7, "vocabulary": "ab"}
    for mode in ("train", "sample"):
        code, _, err = inside(capsys, f"--config.mode={mode}", f"--workdir={workdir}", "--config.width=6")
        assert code == 2 and "width is 5 there, 6 here" in err and err.count("\n") == 1
    assert before == {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}

    (workdir / "config.json").write_text(json.dumps(saved | {"study": "other"}))
    code, _, err = inside(capsys, "--config.mode=sample", f"--workdir={workdir}")
    assert code == 2 and "holds a run of experiments.other: want one of experiments.tiny" in err
    (workdir / "config.json").write_text('{"config": ')
    code, _, err = inside(capsys, f"--workdir={workdir}", "--config.steps=7")
    assert code == 2 and "config.json is damaged" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--config.steps=abc"], "--config.steps=abc: want int; the default is 24"),
        (["--config.stpes=3"], "nearest: --config.steps"),
        (["--config.rate=3"], "nearest: --config.optimizer.rate"),
        (["--config.optimizer=adam"], "is a section; it has --config.optimizer.b1"),
        (["--config.optimizer.rate=x"], "want float; the default is 0.01"),
        (["--config.optimizer.name=adan"], "nearest: adam"),
        (["--config.optimizer.schedule=cosine"], "no warmup, final_rate, which schedule=cosine reads"),
        (["--config.limit=x"], "want int; the default is None"),
        (["--config.sizes=x"], "want a tuple of int"),
        (["--config.width=0"], "config.width=0: want at least 1"),
        (["--config.parallel=gpu"], "want one of auto, pmap"),
        (["--config.init_from=nowhere"], "no run there"),
        (["--confg=x"], "unknown flag --confg; nearest: --config"),
        (["word"], "unexpected argument 'word'"),
        (["--workdir="], "--workdir is empty"),
        (["--workdir=default.py"], "cannot write to workdir default.py (it is a file)"),
        (["--workdir=default.py/below"], "cannot write to workdir"),
        (["--config.mode=sample"], "train it first"),
        (["--config=defualt.py"], "no config file defualt.py; nearest: default.py"),
        (["--config=broken.py"], "broken.py does not load: SyntaxError"),
    ],
)
def test_wrong_calls_are_one_line_and_write_nothing(at, capsys, argv, words):
    Path("broken.py").write_text("def get_config(:")
    code, out, err = inside(capsys, *argv)
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith("error: ") and words in err, err
    assert sorted(p.name for p in at.iterdir()) == ["broken.py", "default.py"]


def test_help_and_an_error_through_the_command_line(at):
    code, out, err = call("--help")
    assert (
        (code, err) == (0, "")
        and "A tanh network that echoes" in out
        and "This file is its own experiment" in out
        and ["--config.optimizer.rate=0.01", "the", "learning", "rate"] in map(str.split, out.splitlines())
        and ["--config.width=5", "units"] in map(str.split, out.splitlines())
    )
    code, out, err = call("--config.stpes=3")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_loss_that_is_not_finite(at, capsys):
    code, _, err = inside(capsys, "--workdir=w", "--config.blow_up=true", "--config.save_every=1", "--config.seed=0")
    assert code == 3 and err.count("\n") == 1, err
    assert "the loss is inf" in err and "last finite loss" in err and "gradient norm" in err
    kept = sorted(int(p.name) for p in Path("w/checkpoints").iterdir())  # every step was saved
    assert f"the checkpoint of step {kept[-1]} is kept" in err and f"step {kept[-1] + 1}: the loss" in err
    params, meta = train.load_params("w")
    assert meta["step"] == kept[-1] and all(np.isfinite(x).all() for x in params.values())
    assert not Path("w/results.json").exists()


def test_a_damaged_checkpoint_is_one_line_and_nothing_is_lost(at, capsys):
    assert inside(capsys, "--workdir=w")[0] == 0
    Path("w/results.json").unlink()
    largest = max(Path("w/checkpoints/24/state").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    largest.write_bytes(largest.read_bytes()[:-9])
    want = rows("w")
    code, _, err = inside(capsys, "--workdir=w")
    assert code == 2 and err.count("\n") == 1 and "checkpoints/24 is damaged" in err and "from step 16" in err, err
    assert Path("w/checkpoints/24").is_dir() and rows("w") == want
    subprocess.run(["rm", "-r", "w/checkpoints/24"], check=True)  # the remedy that the line names
    assert inside(capsys, "--workdir=w")[0] == 0
    assert rows("w") == want


if __name__ == "__main__":
    cli.run(main, study="tiny", check=check)
