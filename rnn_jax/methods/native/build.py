"""From source to a function that XLA calls: compiled once on a machine, and kept in <cache>/native, <cache> being the
environment's RNN_JAX_CACHE, or ~/.cache/rnn_jax."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

HERE = Path(__file__).parent
TARGET = "rnn_jax_native_loop"  # as XLA knows it
FLAGS = [
    "-std=c++17", "-march=native", "-fPIC", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math",
    "-fno-exceptions", "-fno-rtti", "-pthread", "-w", "-shared",
]  # fmt: skip
# A loop is as fast by -O2, and made in three quarters of the time. What it calls is found in the process: to link it
# took longer than to make many a loop.
LOOP = ["-O2", "-nostdlib", *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else [])]


@functools.cache
def compiler() -> str | None:
    """The C++ compiler: $CXX, or c++, g++ or clang++; None where there is none, or RNN_JAX_NATIVE=0 says not to."""
    if os.environ.get("RNN_JAX_NATIVE") == "0":
        return None
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


@functools.cache
def problem() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if compiler() is None:
        return "there is no C++ compiler"
    try:
        runtime()
    except (RuntimeError, OSError) as error:
        return f"{error}".splitlines()[0]
    return ""


@functools.cache
def machine() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


@functools.cache
def start(source: str) -> str:
    """The name by which `TARGET` finds a loop. It is compiled in the background, and what calls it first waits for it;
    where it does not compile that is the call's error."""
    library, name = runtime(), hashlib.sha256(source.encode()).hexdigest()
    workers().submit(make, library, name, source)
    return name


def make(library: ctypes.CDLL, name: str, source: str):
    try:
        program = ctypes.CDLL(str(compiled(source, *LOOP))).program
        program.restype = ctypes.c_void_p
        library.rnn_jax_provide(name.encode(), ctypes.c_void_p(program()), b"")
    except Exception as error:  # of any kind: a call waits
        library.rnn_jax_provide(name.encode(), None, str(error).encode())


@functools.cache
def workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="rnn_jax")


@functools.cache
def runtime() -> ctypes.CDLL:
    """What every loop calls, for all that is loaded after it."""
    library = ctypes.CDLL(
        str(compiled((HERE / "runtime.cc").read_text(), "-O3", f"-I{jax.ffi.include_dir()}")), ctypes.RTLD_GLOBAL
    )
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(library.rnn_jax_call), platform="cpu")
    return library


def compiled(source: str, *how: str) -> Path:
    if (cxx := compiler()) is None:
        raise RuntimeError("there is no C++ compiler: install g++ or clang++, or name one in $CXX")
    wide = ["-mprefer-vector-width=512"] if "avx512f" in machine() else []
    flags = [*FLAGS, *wide, f"-I{HERE}"]
    said = [source, (HERE / "loop.h").read_text(), cxx, *flags, *how, machine(), jax.__version__]
    name = "rnn_jax_" + hashlib.sha256("\0".join(said).encode()).hexdigest()[:24]
    folder = Path(os.environ.get("RNN_JAX_CACHE") or "~/.cache/rnn_jax").expanduser() / "native"
    file = folder / f"{name}.so"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            code, out = Path(made) / "code.cc", Path(made) / "out"
            code.write_text(source)
            done = subprocess.run([cxx, *flags, str(code), *how, "-o", str(out)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{cxx} does not compile the loop: {done.stderr.strip()[:2000]}")
            out.replace(file)  # at once: another process may want it too
    return file
