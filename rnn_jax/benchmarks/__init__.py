"""How fast is it: recurrent layers of this and other libraries side by side, and what the machine itself can do."""

from rnn_jax.benchmarks.layers import CONTENDERS as CONTENDERS
from rnn_jax.benchmarks.layers import OURS as OURS
from rnn_jax.benchmarks.layers import Absent as Absent
from rnn_jax.benchmarks.layers import Problem as Problem
from rnn_jax.benchmarks.layers import build as build
from rnn_jax.benchmarks.layers import compiled as compiled
from rnn_jax.benchmarks.timing import alternate as alternate
from rnn_jax.benchmarks.timing import gemm_peak as gemm_peak
