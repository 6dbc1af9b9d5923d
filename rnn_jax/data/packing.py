"""Ragged sequences as few, full shapes: packed side by side in rows (training), or in buckets of like length (reading).

Padding to the longest of a random batch wastes a third of the work on Multi30k; five joint shapes of source and target
still waste 16 %. Rows that hold several pairs each, one after the other, waste a twentieth, with one shape.
"""

from collections.abc import Sequence

import numpy as np

from rnn_jax.data.errors import DataError


def pack(lengths, sizes: Sequence[int], order, open_rows=64) -> list[list[int]]:
    """Rows of items, each row's lengths [n k] within the sizes [k]: first fit, in the given order.

    At most `open_rows` rows are open at once; the fullest is closed for a new one. Items longer than a row are left
    out.
    """
    lengths, full = np.asarray(lengths), np.asarray(sizes)
    rows: list[list[int]] = []
    room = np.zeros((0, len(full)), int)  # of the open rows
    opened: list[list[int]] = []
    for item in order:
        need = lengths[item]
        if (need > full).any():
            continue
        fits = np.flatnonzero((room >= need).all(1))
        if fits.size:
            i = fits[np.argmin((room[fits] - need).sum(1))]  # the tightest
        elif len(opened) < open_rows:
            opened.append([])
            room = np.concatenate([room, full[None]])
            i = len(opened) - 1
        else:
            i = int(np.argmin(room.sum(1)))
            rows.append(opened[i])
            opened[i], room[i] = [], full
        opened[i].append(int(item))
        room[i] -= need
    return rows + opened


def lay(rows: list[list[int]], sequences, size: int):
    """(tokens, segments), int32 [b size]: the rows' sequences one after the other, numbered 1, 2, ...; then 0."""
    tokens, segments = np.zeros((2, len(rows), size), np.int32)
    for i, row in enumerate(rows):
        at = 0
        for number, item in enumerate(row, 1):
            here = sequences[item]
            tokens[i, at : at + len(here)] = here
            segments[i, at : at + len(here)] = number
            at += len(here)
    return tokens, segments


class Packed:
    """make(i) -> batch i of an endless run over epochs, each in an order of its own, for `train.generate`.

    columns: dict name -> (sequences of n items, size of a row). A batch has name and name_segments, int32 [b size].
    The last batch of an epoch is filled with empty rows. Depends on i and the seed alone. DataError on the first use
    where no item is as short as a row.
    """

    def __init__(self, columns, rows: int, seed=0):
        self.columns, self.rows, self.seed = columns, rows, seed
        self.lengths = np.array([[len(s) for s in seqs] for seqs, _ in columns.values()]).T
        self.sizes = [size for _, size in columns.values()]
        self.begins, self.packed = [0], (-1, [])  # the first batch of each epoch so far; an epoch's rows
        self.too_long = int((self.lengths > self.sizes).any(1).sum())

    def epoch(self, number: int) -> list[list[int]]:
        if self.packed[0] != number:
            rng = np.random.default_rng((self.seed, number))
            packed = pack(self.lengths, self.sizes, rng.permutation(len(self.lengths)))
            if not packed:  # no epoch would ever end
                sizes = ", ".join(f"{name} {size}" for name, size in zip(self.columns, self.sizes, strict=True))
                raise DataError(f"every item is longer than a row ({sizes}): want longer rows, or shorter items")
            self.packed = number, [packed[i] for i in rng.permutation(len(packed))]
        return self.packed[1]

    def count(self, number=0) -> int:
        """Batches in this epoch."""
        return -(-len(self.epoch(number)) // self.rows)

    def __call__(self, i: int):
        while i >= self.begins[-1]:
            self.begins.append(self.begins[-1] + self.count(len(self.begins) - 1))
        number = int(np.searchsorted(self.begins, i, "right")) - 1
        at = (i - self.begins[number]) * self.rows
        rows = self.epoch(number)[at : at + self.rows]
        rows = rows + [[]] * (self.rows - len(rows))
        batch = {}
        for name, (sequences, size) in self.columns.items():
            batch[name], batch[f"{name}_segments"] = lay(rows, sequences, size)
        return batch

    def waste(self, number=0) -> float:
        """Share of an epoch's positions that hold nothing."""
        kept = self.lengths[(self.lengths <= self.sizes).all(1)].sum()
        return 1 - kept / (self.count(number) * self.rows * sum(self.sizes))


class Bucketed:
    """make(i) -> batch i of an endless run over epochs, one item a row, items of like length together.

    columns: dict name -> sequences, of each item equally long in all columns. A batch has name, int32 [b size], its
    size one of at most `shapes`; items, int32 [b], which they are; lengths, int32 [b]. What fills no batch of its size
    goes on to the next longer size; the last batch of an epoch is filled with item 0, of length 0. The batches of an
    epoch come in an order of its own. Depends on i and the seed alone.
    """

    def __init__(self, columns, batch: int, shapes=4, seed=0):
        self.columns, self.batch, self.seed = columns, batch, seed
        self.lengths = np.array([len(s) for s in next(iter(columns.values()))])
        self.bounds = buckets(self.lengths, shapes)
        self.drawn: tuple[int, list] = (-1, [])

    def count(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.lengths) // self.batch)

    def epoch(self, number: int) -> list[tuple[np.ndarray, int]]:
        """(items, size) of each batch."""
        if self.drawn[0] != number:
            rng = np.random.default_rng((self.seed, number))
            order = rng.permutation(len(self.lengths))
            which, made, rest = np.searchsorted(self.bounds, self.lengths[order]), [], order[:0]
            for k, bound in enumerate(self.bounds):
                here = np.concatenate([rest, order[which == k]])
                full = len(here) // self.batch * self.batch if k < len(self.bounds) - 1 else len(here)
                made += [(here[i : i + self.batch], int(bound)) for i in range(0, full, self.batch)]
                rest = here[full:]
            self.drawn = number, [made[i] for i in rng.permutation(len(made))]
        return self.drawn[1]

    def __call__(self, i: int):
        items, size = self.epoch(i // self.count())[i % self.count()]
        empty = self.batch - len(items)
        rows = [[item] for item in items] + [[]] * empty
        batch = {name: lay(rows, sequences, size)[0] for name, sequences in self.columns.items()}
        batch["items"] = np.pad(items, (0, empty)).astype(np.int32)
        return batch | {"lengths": np.pad(self.lengths[items], (0, empty)).astype(np.int32)}

    def waste(self, number=0) -> float:
        """Share of an epoch's positions that hold nothing."""
        return 1 - self.lengths.sum() / (self.batch * sum(size for _, size in self.epoch(number)))


def buckets(lengths, shapes=5) -> np.ndarray:
    """At most `shapes` bounds on lengths [n], the last the greatest: those that pad least (by dynamic programming)."""
    values, counts = np.unique(np.maximum(lengths, 1), return_counts=True)
    total = np.concatenate([[0], np.cumsum(counts)])
    least = np.full((shapes + 1, len(values) + 1), np.inf)  # [number of bounds, values that they hold]
    least[0, 0], back = 0, np.zeros(least.shape, int)
    for k in range(1, shapes + 1):
        for j in range(1, len(values) + 1):
            cost = least[k - 1, :j] + values[j - 1] * (total[j] - total[:j])
            back[k, j] = int(np.argmin(cost))
            least[k, j] = cost[back[k, j]]
    k, j, bounds = int(np.argmin(least[:, -1])), len(values), []
    while j:
        bounds.append(values[j - 1])
        k, j = k - 1, back[k, j]
    return np.array(bounds[::-1])


def grouped(lengths, batch: int, shapes=5):
    """(items, bound) of each batch: items of one bucket, at most `batch`, in order of length."""
    lengths = np.asarray(lengths)
    bounds = buckets(lengths, shapes)
    order = np.argsort(lengths, kind="stable")
    which = np.searchsorted(bounds, lengths[order])
    for k, bound in enumerate(bounds):
        here = order[which == k]
        yield from ((here[i : i + batch], int(bound)) for i in range(0, len(here), batch))
