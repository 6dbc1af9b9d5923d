"""The gradient flow study through its front door: every part at a small size, its figures, transferred weights."""

import json

import jax
import numpy as np
import pytest
from front_door import call, refused

from configs.gradient_flow.default import get_config
from experiments import gradient_flow, memory_runs
from rnn_jax import train

pytestmark = pytest.mark.usefixtures("quick_compilation")

SMALL = {"width": 8, "seeds": 2, "batch": 4, "steps": 12, "log_every": 6, "probe_every": 6, "task.lag": 3}
FEW = {"scales": (0.5, 1.0), "cells": ("tanh", "gru"), "train_cells": ("tanh",)}


def run(workdir, capsys, *argv):
    return call(gradient_flow, workdir, capsys, *argv, **SMALL | FEW)


def test_at_initialisation(tmp_path, capsys):
    code, _, err = run(tmp_path, capsys, "--config.parts=('linear', 'initial')", "--config.width=50")
    assert code == 0, err
    found = json.loads((tmp_path / "results.json").read_text())
    assert 0 < found["log10_slope_error_max"] <= 0.002
    np.testing.assert_allclose(found["log10_norm_rho0.5_lag200"], -60, atol=1)
    for part in ("linear", "initial"):
        assert (tmp_path / f"figures/{part}.png").stat().st_size > 10_000


def test_immediate_partials_of_every_cell(tmp_path, capsys):
    code, out, err = run(tmp_path, capsys, "--config.parts=('partials',)")
    assert code == 0 and out.count("sum of immediate partials") == 9, err
    assert 0 < json.loads((tmp_path / "results.json").read_text())["immediate_partials_error_max"] <= 1e-10
    assert not jax.config.jax_enable_x64


def test_training_clipping_and_the_probes(tmp_path, capsys):
    code, out, err = run(
        tmp_path, capsys, "--config.parts=('training', 'clipping')", "--config.clipping.threshold=0.05"
    )
    assert code == 0, err
    assert out.count("probes took") == 1
    rows = train.read_rows(tmp_path / "training/tanh")
    assert np.shape(rows[0]["reach"]) == (2, 6)  # seeds, t = 2 * 2 + 3 - 1
    assert {"radius wh", "sigma_max wh", "saturated h", "probe_seconds"} <= set(rows[0])
    assert np.shape(rows[0]["grad_norm"]) == (2,)
    kinds = {k: train.read_rows(tmp_path / "clipping" / k) for k in ("none", "value", "norm")}
    first = {k: rows[0]["train_loss"] for k, rows in kinds.items()}
    assert len({str(v) for v in first.values()}) == 3  # three trainings, from the same start
    found = json.loads((tmp_path / "results.json").read_text())
    assert {"accuracy_training/tanh", "probe_share/tanh", "accuracy_clipping/unclipped", "seeds"} <= set(found)


def test_inits_and_transferred_weights(tmp_path, capsys):
    code, _, err = run(tmp_path / "a", capsys, "--config.parts=('inits',)")
    assert code == 0, err
    assert {p.name for p in (tmp_path / "a/inits").iterdir()} == set(gradient_flow.INITS)
    source = tmp_path / "a/inits/orthogonal"
    still = "--config.steps=1", "--config.log_every=1", "--config.clipping.rate=0.0", f"--config.init_from={source}"
    code, _, err = run(tmp_path / "b", capsys, "--config.parts=('clipping',)", *still, "--config.task.lag=5")
    assert code == 0, err  # the same weights on a longer task, after an update of length 0
    want, got = (train.load_params(f)[0] for f in (source, tmp_path / "b/clipping/norm"))
    assert want.keys() == got.keys() and all(np.array_equal(want[k], got[k]) for k in want)


def test_every_optimizer_of_the_config_is_complete():
    config = get_config()
    assert set(config.optimizers) == {"sgd", "momentum", "adagrad", "rmsprop", "adam"}
    for name in config.optimizers:
        train.optim.build(memory_runs.with_optimizer(config, dict(config.optimizers[name]) | {"name": name}))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.parts=('all',)", "want some of linear, partials, initial"),
        ("--config.cells=('rnn',)", "want some of tanh, orthogonal tanh"),
        ("--config.lag=100", "between lags 100 and 200"),
        ("--config.scales=(0.0,)", "spectral radii above 0"),
        ("--config.task.symbols=1", "config.task.symbols=1: want at least 2"),
        ("--config.init_from=nowhere", "no run there"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, flag, message):
    refused(gradient_flow, tmp_path / "new", capsys, message, flag, **SMALL | FEW)
