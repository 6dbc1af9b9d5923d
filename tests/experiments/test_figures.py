"""The figures of the README's table, run in full: `make test-slow` (about 20 minutes on 2 CPU cores)."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
CHAR_RNN = ("--config=configs/char_lm/char_rnn.py",)


def results(study, workdir, *argv, **env):
    """results.json of a real run of a study."""
    command = [sys.executable, "-m", f"experiments.{study}", f"--workdir={workdir}", *argv]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr
    return json.loads((workdir / "results.json").read_text())


def test_the_default_run(tmp_path):
    found = results("char_lm", tmp_path / "rnn")
    assert found["valid_bits_per_char"] < 2.2
    window = results("char_lm", tmp_path / "window", "--config.model=window_mlp")
    average = results("char_lm", tmp_path / "average", "--config.model=average")
    assert found["valid_loss"] < window["valid_loss"] < average["valid_loss"]


def test_char_rnn_on_its_own_split(tmp_path, data_root):
    found = results("char_lm", tmp_path / "w", *CHAR_RNN, RNN_JAX_DATA=str(data_root))
    assert found["valid_loss_epoch_7"] <= 1.50 and found["valid_loss_epoch_11"] <= 1.44


def test_char_rnn_on_the_last_tenth(tmp_path, data_root):
    argv = (*CHAR_RNN, "--config.data.split=nanogpt", "--config.steps=7")
    assert results("char_lm", tmp_path / "w", *argv, RNN_JAX_DATA=str(data_root))["valid_loss_epoch_7"] <= 1.64


def test_speed_against_plain_autodiff(tmp_path):
    shapes = ("64x256x256x512", "32x100x64x128", "20x200x6x50")
    found = results("speed", tmp_path / "w", f"--config.shapes={shapes}")
    for shape in shapes:
        for cell in ("lstm", "gru", "vanilla"):
            assert found[f"auto_over_reference/{cell}/{shape}"] <= 1.05
            assert found[f"deferred_over_reference/{cell}/{shape}"] <= 1.2
    large = results("speed", tmp_path / "large", "--config.shapes=('16x1024x768x768',)", "--config.cells=('lstm',)")
    assert large["deferred_over_reference/lstm/16x1024x768x768"] <= 1 / 1.4
