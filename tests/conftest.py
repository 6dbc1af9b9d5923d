"""Shared by all tests: the CPU, double precision where a test asks for it, the data folder."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest


@pytest.fixture
def x64():
    """Float64 within one test."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def quick_compilation():
    """For tests that are many small compilations: XLA's optimisations would cost more than they save."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def data_root():
    """The folder of real data (RNN_JAX_DATA, or shared/data beside the repository)."""
    root = Path(os.environ.get("RNN_JAX_DATA") or Path(__file__).parents[1] / "../shared/data")
    if not root.is_dir():
        pytest.skip("no real data here: set RNN_JAX_DATA")
    return root.resolve()
