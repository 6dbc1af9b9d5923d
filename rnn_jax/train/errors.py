"""The ways a run ends early. `cli.run` prints the message as one line and leaves with `exit_code`.

The front door looks at the attribute, not at the class, so that code which must not import `train` (the data pipelines)
can raise an exception of its own that carries `exit_code = 2`.
"""


class UserError(Exception):
    """A wrong call or bad input. The message says what is wrong and what would be right."""

    exit_code = 2


class NotFinite(Exception):
    """The loss, or the parameters behind it, became NaN or infinite; the last good checkpoint is kept."""

    exit_code = 3


class Interrupted(Exception):
    """SIGINT or SIGTERM, after the state was saved: the same command goes on from there."""

    exit_code = 75
