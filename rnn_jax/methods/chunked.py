"""method="chunked": "deferred" in pieces of time that fit the caches.

What "deferred" keeps of every step for its products after the loop fills memory at a large t * b * d, and a CPU then
waits for it. Here the sequence is cut into chunks; each runs by "deferred", and a weight gradient is the sum of one
product per chunk. Same values, same order of evaluation. Not for several devices: each chunk would all-reduce.
"""

import dataclasses
from numbers import Integral

from rnn_jax.methods import deferred
from rnn_jax.methods.chunks import chunk_length, in_chunks
from rnn_jax.methods.deferred.placement import BILINEAR, size, weight_of
from rnn_jax.methods.deferred.plan import Plan, make_plan
from rnn_jax.methods.deferred.rewriting import Sum
from rnn_jax.tracing import Body

CACHE, WEIGHTS = 8 * 2**20, 3  # a chunk's bytes: this many, and at least this many times those of the weights


@dataclasses.dataclass(frozen=True)
class Chunked:
    """The method. chunk: steps at once; None fits what a chunk keeps into 8 MiB, and into three times the weights
    where these are larger: each chunk adds a gradient to all of them.

    >>> rnn_jax.scan(step, params, carry, xs, method=rnn_jax.methods.Chunked(chunk=16))
    """

    chunk: int | None = None

    def __post_init__(self):
        if self.chunk is not None and not (isinstance(self.chunk, Integral) and self.chunk >= 1):
            raise ValueError(f"chunked: chunk is an int of at least 1 (steps), or None, got {self.chunk!r}")

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        if body.jaxpr.effects:
            raise ValueError('chunked: the step has callbacks or prints, whose order it cannot keep; use "deferred"')
        body, fixed = deferred.hoist(body, fixed, length)
        chunk = self.chunk or fitting(make_plan(body, length), length)
        run = lambda carry, xs, steps: deferred.run(body, fixed, carry, xs, steps, reverse)
        return in_chunks(run, chunk, carry, xs, length, reverse) if chunk < length else run(carry, xs, length)


def fitting(plan: Plan, length: int) -> int:
    """Steps of a chunk that fits."""
    wanted = max(CACHE, WEIGHTS * weights(plan)) // max(kept(plan), 1)
    return length if wanted >= length else chunk_length(length, max(wanted, 1))


def kept(plan: Plan) -> int:
    """About how many bytes "deferred" keeps of each step until after the loop, with a gradient."""
    read = 2 * size(*plan.loop_ahead)  # computed ahead, and its cotangent
    sums = sum(size(s.z) for s in plan.loop if isinstance(s, Sum))
    carried = 2 * size(*plan.body.jaxpr.outvars[: plan.body.n_carry])
    return read + 2 * sums + carried + size(*plan.loop_out)


def weights(plan: Plan) -> int:
    """Bytes of the weights whose gradients are products after the loop."""
    flat = [e for i in plan.loop for e in (i.products if isinstance(i, Sum) else [i])]
    found = {e.invars[w] for e in flat if (w := weight_of(e, plan.where)) is not None}
    ahead = [e for e in plan.ahead if e.primitive.name in BILINEAR]
    return size(*found) + sum(size(a) for e in ahead for a in e.invars if plan.where.get(a) == 0)
