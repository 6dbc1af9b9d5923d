"""rnn_jax: a cell is one pure function, and everything else is a transformation of that function."""

__version__ = "0.1.0"
