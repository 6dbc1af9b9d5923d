"""Shared by all tests: the CPU, what is compiled once, double precision where a test asks for it, the data folder."""

import gc
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# XLA's older emitters of CPU kernels compile many small programs in 0.6 of the time, and in 0.45 where LLVM gets one
# module in place of a dozen; others in as much. `make compat-newest` tests the core with what users get.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters --xla_cpu_parallel_codegen_split_count=1",
)
# No stack of Python calls with each equation of a program: 0.9 of the CPU's time in tests/test_scan.py.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

import jax
import pytest

COMPILED = "JAX_COMPILATION_CACHE_DIR"
gc.set_threshold(50_000, 50, 100)  # tracing makes many objects: looking through them for cycles took 6 % of the time


def pytest_addoption(parser):
    parser.addoption("--thin", type=int, default=1, metavar="N", help="of the cases of each test, run one in N")


def pytest_collection_modifyitems(config, items):
    """With --thin: the first case of each test, and every N-th after it."""
    seen, n = Counter(), config.getoption("thin")
    kept, left = [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        (left if seen[test] % n else kept).append(item)
        seen[test] += 1
    items[:] = kept
    if left:
        config.hook.pytest_deselected(items=left)


def pytest_configure(config):
    """A program is compiled once, whichever worker or process of the command line asks for it first."""
    if COMPILED not in os.environ:
        folder = tempfile.mkdtemp(prefix="rnn_jax_compiled_")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ |= {
            COMPILED: folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }  # fmt: skip
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture
def x64():
    """Float64 within one test."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def quickly():
    """For tests that are many small compilations: XLA's optimisations would cost more than they save."""
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")  # of the processes that a test starts
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", before)


quick_compilation = pytest.fixture(quickly, name="quick_compilation")
quick_module = pytest.fixture(quickly, name="quick_module", scope="module")


@pytest.fixture(scope="session")
def data_root():
    """The folder of real data (RNN_JAX_DATA, or shared/data beside the repository)."""
    root = Path(os.environ.get("RNN_JAX_DATA") or Path(__file__).parents[1] / "../shared/data")
    if not root.is_dir():
        pytest.skip("no real data here: set RNN_JAX_DATA")
    return root.resolve()
