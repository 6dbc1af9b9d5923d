"""`python -m experiments.speed` at a tiny size: every number that its docstring names is there."""

import importlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from front_door import call, refused

from experiments import speed
from rnn_jax import benchmarks, scan
from rnn_jax.benchmarks import layers, variants
from rnn_jax.benchmarks.timing import layer_flops

pytestmark = pytest.mark.usefixtures("quick_compilation")
TINY = {"repeats": 1, "seeds": 2, "task_steps": 10, "task_batch": 2, "task_width": 4, "seconds_per_shape": 0.1}


def test_what_is_reported(tmp_path, capsys):
    argv = ("--config.only=vanilla", "--config.shapes=2x3x4x5", "--config.seed_shapes=2x3x4x5")
    argv += ("--config.attention_shapes=2x3x4x5",)
    argv += ("--config.contenders=ours,reference,flax_nnx,flax_linen_optimized,associative",)
    code, out, err = call(speed, tmp_path, capsys, *argv, "--config.tasks=adding,parity", **TINY)
    assert code == 0, err
    found = json.loads((tmp_path / "results.json").read_text())
    for key in (
        "ours_ms/vanilla/2x3x4x5/fwdbwd/float32", "reference_over_ours/vanilla/2x3x4x5/fwd/float32",
        "flax_ms/vanilla/2x3x4x5/fwd/float32", "flax_over_ours/vanilla/2x3x4x5/fwdbwd/float32",
        "ours_bytes/vanilla/2x3x4x5/fwdbwd/float32", "peak_gflops", "share_of_peak/vanilla/2x3x4x5",
        "seeds_over_one/vanilla/2x3x4x5", "seeds_over_in_turn/vanilla/2x3x4x5", "data_over_step/vanilla/adding",
        "task_seeds_over_in_turn/vanilla/parity", "attention_ms/2x3x4x5", "attention_bytes/2x3x4x5",
        "attention_reference_over_ours/2x3x4x5", "attention_reference_bytes/2x3x4x5",
    ):  # fmt: skip
        assert found[key] > 0, key
    assert set(found["absent"]) == {"flax_linen_optimized vanilla", "associative vanilla"}
    assert (
        "2 networks at once" in out
        and "absent: associative vanilla: associative: the step is not known to be linear" in out
    )
    assert (tmp_path / "figures/speed.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", [n for n in benchmarks.CONTENDERS if not n.startswith("flax")])
@pytest.mark.parametrize("cell", ["lstm", "gru", "vanilla"])
def test_other_libraries_do_the_same_work(name, cell):
    """All outputs, and a gradient for every parameter and input; in half precision too."""
    for dtype in ("float32", "bfloat16"):
        try:
            calls = benchmarks.build(name, benchmarks.Problem(cell, (2, 3, 4, 5), dtype))
        except benchmarks.Absent as why:
            pytest.skip(str(why))
        calls.fwd()
        calls.fwdbwd()


@pytest.mark.parametrize("name", [n for n in benchmarks.CONTENDERS if n.startswith("flax")])
def test_flax_does_the_same_work(name):
    b, t, n, d = shape = (2, 3, 4, 5)
    calls = benchmarks.build(name, benchmarks.Problem("lstm", shape, "bfloat16"))
    ys, (params, xs) = calls.fwd(), calls.fwdbwd()
    assert ys.shape == (t, b, d) and ys.dtype == xs.dtype == jnp.bfloat16 and xs.shape == (t, b, n)
    assert sum(a.size for a in jax.tree.leaves(params)) == 4 * d * (n + d + 1)


def test_sequences_of_unequal_lengths(monkeypatch):
    """At least as long as asked for, of which the rest is masked; other libraries do not take part."""
    problem = benchmarks.Problem("gru", (50, 8, 4, 5), shortest=0.5)
    masks = []
    monkeypatch.setattr(layers, "scan", lambda *args, lengths, **kw: masks.append(lengths) or scan(*args, **kw))
    ys = benchmarks.build("reference", problem).fwd()
    assert ys.shape == (8, 50, 5) and {min(mask) for mask in masks} == {4} and {max(mask) for mask in masks} == {8}
    with pytest.raises(benchmarks.Absent, match="our own methods only"):
        benchmarks.build("torch", problem)


def test_flops_are_counted():
    """2 b t (n + d) g d for the forward pass of g gates; of mLSTM the share of x, and what reads the memory."""
    for cell, gates in (("lstm", 4), ("gru", 3), ("vanilla", 1)):
        cell = variants.named(cell)
        assert layer_flops(cell, (2, 3, 5, 7), False) == 2 * 2 * 3 * (5 + 7) * gates * 7
        assert layer_flops(cell, (2, 3, 5, 7), True) == 3 * layer_flops(cell, (2, 3, 5, 7), False)
    assert layer_flops(variants.mlstm(), (2, 3, 5, 7), False) == 2 * 2 * 3 * (5 * (4 * 7 + 2) + 7 * 7)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.tasks=ading", "no task 'ading'"),
        ("--config.shapes=2x3", "want b x t x n x d"),
        ("--config.seed_shapes=0x3x4x5", "config.seed_shapes: '0x3x4x5'; want b x t x n x d, each at least 1"),
        ("--config.attention_shapes=2x3x4", "config.attention_shapes: '2x3x4'; want b x t x s x d"),
        ("--config.contenders=", "config.contenders is empty; want at least one"),
        ("--config.cells=lstn", "config.cells: 'lstn'; want some of"),
        ("--config.only=irnn", "config.only: 'irnn'; want some of lstm, gru, vanilla"),
        ("--config.contenders=ours,pytorch", "config.contenders: 'pytorch'; want some of ours, auto, reference"),
        ("--config.passes=bwd", "want some of fwd, fwdbwd"),
        ("--config.dtypes=float16", "want some of float32, bfloat16"),
        ("--config.seeds=0", "at least 1"),
        ("--config.shortest=1.5", "config.shortest=1.5: want a share of the steps, from 0 to 1"),
    ],
)
def test_a_wrong_call_is_one_line(tmp_path, capsys, flag, message):
    refused(speed, tmp_path / "new", capsys, message, flag)


@pytest.mark.parametrize(
    "name", sorted(f.stem for f in Path(speed.__file__).parents[1].glob("configs/speed/[a-z]*.py"))
)
def test_every_config_passes_the_check(name):
    speed.check(importlib.import_module(f"configs.speed.{name}").get_config())
