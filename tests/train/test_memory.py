"""Memory that is kept: what was freed costs no page faults when it is asked for again."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys, threading
from rnn_jax.train import memory

if "keep" in sys.argv:
    assert memory.keep()

def work():
    for i in range(8):
        if i == 3:  # by now the pool is as large as it gets
            work.before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        b"x" * 2**26  # 16384 pages

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
    assert faults("keep") < 1000 < 5 * 2**14 / 8 < faults()  # / 8: pages may be larger
