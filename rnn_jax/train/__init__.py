"""One training loop for the whole tree: it takes functions (a loss, batches, an evaluation), never a model class.

`fit` is the loop, `cli.run` the front door of every experiment. Orbax, TensorBoard and rich are imported where they
are first used.
"""

from rnn_jax.train import cli, optim
from rnn_jax.train.checkpoints import load_params
from rnn_jax.train.errors import Interrupted, NotFinite, UserError
from rnn_jax.train.keys import require
from rnn_jax.train.log import read_rows
from rnn_jax.train.loop import Result, check, fit, over_seeds
from rnn_jax.train.schedules import forcing, in_steps
from rnn_jax.train.stream import generate

__all__ = [
    "Interrupted", "NotFinite", "Result", "UserError", "check", "cli", "fit", "forcing", "generate",
    "in_steps", "load_params", "optim",
    "over_seeds", "read_rows", "require",
]  # fmt: skip
