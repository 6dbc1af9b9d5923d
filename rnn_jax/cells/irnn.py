"""IRNN: a ReLU network that starts as the identity (Le, Jaitly & Hinton, 2015, arXiv:1504.00941)."""

import jax

from rnn_jax.cells.base import Cell
from rnn_jax.cells.initializers import identity, normal
from rnn_jax.cells.vanilla import vanilla


def irnn(scale=1.0) -> Cell:
    """h_t = max(0, W_x^T x_t + W_h^T h_{t-1} + b), W_h = scale * I, W_x ~ N(0, 0.001), b = 0 at the start.

    With W_h = I and no input the state is copied for ever, and its gradient with it; `scale` < 1 forgets (the
    paper's iRNN with 0.01 for speech). Params, carry and names are those of `vanilla`.
    """
    return vanilla(jax.nn.relu, wx_init=normal(0.001), wh_init=identity(scale))
