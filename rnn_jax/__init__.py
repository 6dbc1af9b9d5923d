"""rnn_jax: a cell is one pure function, and everything else is a transformation of that function."""

from rnn_jax import cells
from rnn_jax.scan import scan

__all__ = ["cells", "scan"]
__version__ = "0.1.0"
