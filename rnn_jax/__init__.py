"""rnn_jax: a cell is one pure function, and everything else is a transformation of that function."""

from rnn_jax import bptt, cells, gradients, methods, tasks, truncated
from rnn_jax.checking import check, explain
from rnn_jax.methods import METHODS
from rnn_jax.scan import scan

__all__ = ["METHODS", "bptt", "cells", "check", "explain", "gradients", "methods", "scan", "tasks", "truncated"]
__version__ = "0.1.0"
