"""Methods against the reference on steps that nobody wrote (tests/random_steps.py)."""

import sys
import weakref

import jax
import numpy as np
import pytest
import random_steps
from scan_problems import agree, gradients

from rnn_jax.methods import native
from rnn_jax.methods.native import build

pytestmark = [
    pytest.mark.usefixtures("x64", "quick_compilation"),
    pytest.mark.skipif(bool(build.problem()), reason="needs a C++ compiler"),
]


def compare(seed, monkeypatch, method="native", wide=False):
    """False where the step is refused, or its values are no numbers. wide: see `random_steps.problem`; all of it in
    double precision."""
    monkeypatch.setattr(native, "ROWS", 0 if seed % 2 else 10**9)  # products in the loop, and outside
    monkeypatch.setattr(sys.modules["rnn_jax.scan"], "_cache", weakref.WeakKeyDictionary())
    monkeypatch.setattr(random_steps, "NARROW", ())
    problem = random_steps.problem(seed, wide)
    want = gradients(*problem, method="reference")
    numbers = [a for a in jax.tree.leaves(want) if a.dtype != jax.dtypes.float0]
    if not all(np.isfinite(a).all() for a in numbers):
        return False
    try:
        found = gradients(*problem, method=method)
    except native.Refused:
        return False
    agree(found, want, 1e-5)  # gradients of what is nearly 1 are differences of what is nearly equal
    return True


def test_some(monkeypatch):
    seeds = [8, 136, *range(200, 210)]  # the first two were wrong once
    assert sum(compare(seed, monkeypatch) for seed in seeds) > 0.9 * len(seeds)


@pytest.mark.parametrize("method", ["native", "deferred"])
def test_some_of_many_kinds(method, monkeypatch):
    assert sum(compare(seed, monkeypatch, method, wide=True) for seed in range(8)) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 200, 20))
@pytest.mark.parametrize("method", ["native", "deferred", "checkpointed", "hoisted"])
def test_many_of_many_kinds(method, start, monkeypatch):
    """200 steps by each; 20 take some 20 s."""
    found = sum(compare(seed, monkeypatch, method, wide=True) for seed in range(start, start + 20))
    assert found > (5 if method == "native" else 15)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 400, 20))
@pytest.mark.parametrize("method", ["native", "deferred", "chunked", "checkpointed", "hoisted", "newton"])
def test_many(method, start, monkeypatch):
    """400 steps by each; 20 take some 7 s."""
    assert sum(compare(seed, monkeypatch, method) for seed in range(start, start + 20)) > 15
