"""Windows of contiguous streams, for truncated BPTT with the state carried from one batch to the next."""

import numpy as np

from rnn_jax.data.errors import DataError
from rnn_jax.data.text import Part

RESETS = ("never", "documents", "epochs")


def count(part: Part, batch: int, window: int) -> int:
    """Batches in one epoch. Raises DataError if there is none."""
    if batch < 1 or window < 1:
        raise DataError(f"config.data.batch={batch} and config.data.window={window} must be at least 1")
    n = part.tokens.size - 1
    if part.tokens.ndim == 2:
        if len(part.tokens) != batch:
            raise DataError(
                f"{part.name} was split for {len(part.tokens)} streams, not {batch}: load it with that batch"
            )
        n = batch * (part.tokens.shape[1] - 1)
    if n < batch * window:
        raise DataError(
            f"{part.name} has {part.tokens.size:,} characters, and one window of {window} for each of {batch} streams "
            f"needs {batch * window + 1:,}: lower config.data.batch or config.data.window, or give more text"
        )
    return n // (batch * window)


class Source:
    """Random access for Grain: element k is the k-th window of all streams, so it must not be shuffled."""

    def __init__(self, part: Part, batch: int, window: int, resets: str):
        self.n, self.window = count(part, batch, window), window
        length = self.n * window
        self.tokens, starts = part.tokens, part.starts
        if self.tokens.ndim == 1:  # stream i is the i-th stretch of the text; one character more is its last target
            self.tokens = np.stack([part.tokens[i * length : (i + 1) * length + 1] for i in range(batch)])
            starts = starts[: batch * length].reshape(batch, length)
        self.starts = starts[:, :length] & (resets != "never")
        if resets == "epochs":
            self.starts[:, 0] = True

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        i, j = index * self.window, (index + 1) * self.window
        views = {"inputs": self.tokens[:, i:j], "targets": self.tokens[:, i + 1 : j + 1], "resets": self.starts[:, i:j]}
        return {name: np.array(view, order="C") for name, view in views.items()}


def windows(part: Part, batch: int, window: int, *, resets="documents", epochs: int | None = None):
    """A Grain IterDataset of {"inputs": int32 [b t], "targets": int32 [b t], "resets": bool [b t]}, batch-major.

    Targets are the inputs shifted by one. Row i of a batch continues row i of the batch before; at an epoch's end it
    goes back to its own start. Without `epochs` it never ends; validate with epochs=1 from a zero state. The iterator's
    get_state and set_state resume exactly. The tail that fills no window is left out.

    resets="never"      the state runs on over everything, from one epoch to the next as well: char-rnn
    resets="documents"  True at the first character of each file, where the source has many files
    resets="epochs"     and at the first step of every stream in every epoch, where the text jumps back

    Surprise: the target of a file's last character is the first of the next file, which nobody can predict.
    """
    import grain

    if resets not in RESETS:
        raise DataError(f"config.data.resets: no {resets!r}; there are {', '.join(RESETS)}")
    source = Source(part, batch, window, resets)
    # All is in memory: reading threads would only contend for the interpreter's lock.
    return grain.MapDataset.source(source).repeat(epochs).to_iter_dataset(grain.ReadOptions(0, 0))
