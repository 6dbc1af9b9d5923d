"""Memory that is kept: what was freed costs no page faults when it is asked for again."""

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource, sys, threading
from rnn_jax.train import memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: some kernels give huge pages unasked
if "keep" in sys.argv:
    assert memory.keep()

def work():
    for i in range(8):
        if i == 3:  # by now the pool is as large as it gets
            work.before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        b"x" * 2**26

thread = threading.Thread(target=work)  # as XLA's do
thread.start(), thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - work.before)
"""


def faults(*args):
    """Page faults of five times 64 MiB, had in a thread after three others."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *args], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone keeps memory")
def test_what_was_freed_is_had_again_without_the_kernel():
    pages = 5 * 2**26 / resource.getpagesize()
    assert faults("keep") < pages / 8 < pages / 2 < faults()
