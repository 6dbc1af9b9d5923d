"""The gradient check through its front door: what it reports, and that it notices a BPTT which is slightly wrong."""

import json

import pytest
from front_door import call

from configs.gradient_check.default import get_config
from experiments import gradient_check
from rnn_jax import bptt

pytestmark = pytest.mark.usefixtures(
    "x64", "quick_compilation"
)  # main turns float64 on; the fixture turns it off again


def run(workdir, capsys, cell, *argv):
    return call(gradient_check, workdir, capsys, *argv, t=6, b=3, n=2, d=3, cells=f"('{cell}',)")


def test_results_are_within_the_limits(tmp_path, capsys):
    code, out, err = run(tmp_path, capsys, "tanh", "--config.numeric_masks=('lengths', 'reverse both')")
    assert code == 0 and not err, err
    results = json.loads((tmp_path / "results.json").read_text())
    limits = {"max_rel_error_bptt": 1e-10, "max_rel_error_deferred": 1e-10, "max_rel_error_numeric": 1e-6}
    assert set(results) == {*limits, "cases", "seconds"} and results["cases"] == 6
    assert all(0 <= results[k] <= limit for k, limit in limits.items())
    assert results["max_rel_error_numeric"] > 0  # differences are never exact: they were taken
    lines = [line for line in out.splitlines() if line.startswith("tanh")]
    assert len(lines) == 6 and sum(line.split()[-1] == "-" for line in lines) == 4, out


@pytest.mark.parametrize("factor", [1 + 1e-6, float("nan")])
def test_a_wrong_bptt_is_noticed(tmp_path, capsys, monkeypatch, factor):
    right = bptt.lstm

    def wrong(*args, **kwargs):
        dparams, dcarry0, dxs = right(*args, **kwargs)
        return dparams | {"wh": dparams["wh"] * factor}, dcarry0, dxs

    two = {masks: v for masks, v in gradient_check.all_masks(get_config()).items() if masks in ("full", "reverse")}
    monkeypatch.setattr(gradient_check, "all_masks", lambda config: two)  # two kinds are enough, and sooner compiled
    monkeypatch.setattr(bptt, "lstm", wrong)
    code, out, err = run(tmp_path, capsys, "lstm", "--config.numeric_masks=('full',)")
    assert code == 1 and err.count("\n") == 1
    assert "lstm with masks" in err and "dparams.wh by bptt" in err and "2 comparisons" in err, err
    assert out.count("DISAGREES") == 2
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.cells=('lstm', 'gru_before')", "want some of tanh, sigmoid, relu, irnn, lstm, gru, gru_after"),
        ("--config.numeric_masks=('none',)", "want some of full, lengths, resets, both, reverse, reverse both"),
        ("--config.t=0", "config.t=0: want at least 1"),
        ("--config.eps=0.0", "config.eps=0.0: want a step above 0"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, flag, message):
    code, _, err = run(tmp_path / "new", capsys, "lstm", flag)
    assert code == 2 and message in err and err.count("\n") == 1, err
    assert not (tmp_path / "new").exists()
