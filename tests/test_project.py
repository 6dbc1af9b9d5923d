"""What holds for the tree as a whole: who imports whom, how fast the import is, what the README shows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each part may import those named; jax, flax and friends aside. design: cells know nothing, train knows no model.
MAY_IMPORT = {
    "cells": {"cells"},
    "tracing": set(),
    "methods": {"methods", "tracing", "cells"},
    "scan": {"tracing", "methods"},
    "bptt": {"cells"},
    "truncated": {"scan"},
    "gradients": {"gradients", "scan", "tracing", "plots"},
    "tasks": {"tasks"},
    "checking": {"tracing", "methods", "scan", "bptt"},
    "nn": {"scan", "cells"},
    "benchmarks": {"benchmarks", "scan", "cells", "methods", "tracing"},
    "models": {"models", "nn", "cells", "scan", "attention"},
    "attention": {"cells"},
    "metrics": set(),
    "decoding": {"scan"},
    "ctc": set(),
    "data": {"data"},
    "train": {"train"},
    "plots": {"train"},
    "pages": set(),
    "animations": {"plots"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def test_imports_run_one_way():
    for path in sorted((ROOT / "rnn_jax").rglob("*.py")):
        part = path.relative_to(ROOT / "rnn_jax").parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in MAY_IMPORT, f"{path}: a new part of rnn_jax; say in this test what it may import"
        for name in imports(path):
            assert name.split(".")[0] not in ("experiments", "configs", "colab", "tests"), f"{path} imports {name}"
            if name.startswith("rnn_jax.") and name.count(".") == 1:
                other = name.split(".")[1]
                known = other in MAY_IMPORT
                assert not known or other in MAY_IMPORT[part] | {part}, f"{path} imports {name}"
            if name.split(".")[0] == "flax":
                assert part in ("nn", "models", "benchmarks"), f"{path} imports flax"


def test_one_training_loop():
    """Only rnn_jax/train takes optimiser steps."""
    for path in [
        *(ROOT / "rnn_jax").rglob("*.py"),
        *(ROOT / "experiments").rglob("*.py"),
        *(ROOT / "colab").glob("*.py"),
    ]:
        if "train" not in path.parts:
            assert "apply_updates" not in path.read_text(), path


def test_import_is_light():
    """No TFDS, Grain, Orbax or matplotlib; and at most 0.3 s over jax and flax, the best of three."""
    script = (
        "import time, jax, flax.nnx; a = time.perf_counter(); import rnn_jax, rnn_jax.nn; b = time.perf_counter() - a\n"
        "import sys; print(b, *(m for m in ('tensorflow_datasets', 'grain', 'orbax.checkpoint', 'matplotlib', 'rich') "
        "if m in sys.modules and m not in loaded))"
    )
    before = "import jax, flax.nnx, sys; loaded = set(sys.modules)\n"
    command = [sys.executable, "-c", before + script]
    outs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    assert not outs[0][1:] and min(float(seconds) for seconds, *_ in outs) < 0.3


def readme():
    return (ROOT / "README.md").read_text()


def test_the_readme_s_cell_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block, report = re.findall(r"```python\n(.*?)```", readme(), re.DOTALL)
    scope: dict = {}
    exec(block, scope)
    exec(report, scope)
    said = re.search(r"# (Gradients .* steps\.)", report)
    assert said and said[1] in capsys.readouterr().out and (tmp_path / "runs/report/report.html").exists()
    step = scope["step"]
    lines = block[block.index("def step") :].split("\n\n")[0].strip().splitlines()
    assert callable(step) and len(lines) <= 15


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_what_the_documents_name_exists(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"`make ([\w-]+)`", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for path in re.findall(r"`((?:rnn_jax|experiments|configs|tests|colab)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (experiments\.\w+)", text):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    if name == "CONTRIBUTING.md":
        assert len(text.splitlines()) <= 45


@pytest.mark.parametrize("path", sorted((ROOT / "rnn_jax/cells").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_cell_is_one_short_file(path):
    if path.stem not in ("base", "initializers"):
        assert len(path.read_text().splitlines()) <= 50
