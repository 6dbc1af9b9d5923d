"""The registry of cells: each name here is a factory of a `Cell`. A new cell is one file and one line below."""

import inspect

from rnn_jax.cells import initializers as initializers
from rnn_jax.cells.base import Cell as Cell
from rnn_jax.cells.base import name as name
from rnn_jax.cells.diagonal import diagonal as diagonal
from rnn_jax.cells.gru import gru as gru
from rnn_jax.cells.heads_lstm import heads_lstm as heads_lstm
from rnn_jax.cells.irnn import irnn as irnn
from rnn_jax.cells.lru import lru as lru
from rnn_jax.cells.lstm import lstm as lstm
from rnn_jax.cells.min_gru import min_gru as min_gru
from rnn_jax.cells.min_lstm import min_lstm as min_lstm
from rnn_jax.cells.original_lstm import original_lstm as original_lstm
from rnn_jax.cells.orthogonal import orthogonal as orthogonal
from rnn_jax.cells.peephole_lstm import peephole_lstm as peephole_lstm
from rnn_jax.cells.vanilla import vanilla as vanilla


def known() -> tuple[str, ...]:
    """The names of the cells: the factories above."""
    return tuple(k for k, f in globals().items() if inspect.isfunction(f) and f.__annotations__.get("return") is Cell)
