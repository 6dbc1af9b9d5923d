"""The registry of cells: each name here is a factory of a `Cell`. A new cell is one file and one line below."""

from rnn_jax.cells import initializers
from rnn_jax.cells.base import Cell, name
from rnn_jax.cells.gru import gru
from rnn_jax.cells.irnn import irnn
from rnn_jax.cells.lstm import lstm
from rnn_jax.cells.vanilla import vanilla

__all__ = ["Cell", "gru", "initializers", "irnn", "lstm", "name", "vanilla"]
