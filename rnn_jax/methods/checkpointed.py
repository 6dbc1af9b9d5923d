"""method="checkpointed": the gradient of a long sequence in O(sqrt t) memory (Chen et al., 2016, arXiv:1604.06174).

The sequence is cut into chunks of about sqrt(t) steps. The forward pass stores the carry between chunks alone; the
backward pass runs a chunk again, by "deferred", before it differentiates it. So each step is evaluated twice, and each
weight gradient is a sum of one product per chunk. What x and y themselves hold stays O(t).
"""

import dataclasses
import math
from collections.abc import Callable
from numbers import Integral

import jax

from rnn_jax.methods import deferred, reference
from rnn_jax.methods.chunks import chunk_length, in_chunks
from rnn_jax.tracing import Body


@dataclasses.dataclass(frozen=True)
class Checkpointed:
    """The method.

    chunk   steps between stored carries; None is about sqrt(t).
    policy  what of a chunk is stored as well, a policy of `jax.checkpoint_policies`. With
            `save_only_these_names("c")` the values that the step named "c" are stored for all t. Policies see into
            plain autodiff of `lax.scan` only, so a chunk then runs by "reference".

    >>> rnn_jax.scan(step, params, carry, xs, method=rnn_jax.methods.Checkpointed(chunk=500))
    """

    chunk: int | None = None
    policy: Callable | None = None

    def __post_init__(self):
        if self.chunk is not None and not (isinstance(self.chunk, Integral) and self.chunk >= 1):
            raise ValueError(f"checkpointed: chunk is an int of at least 1 (steps), or None, got {self.chunk!r}")
        if self.policy is not None and not callable(self.policy):
            raise ValueError(f"checkpointed: policy is one of jax.checkpoint_policies, or None, got {self.policy!r}")

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        if body.jaxpr.effects:
            raise ValueError('checkpointed: the step has callbacks or prints, which would run twice; use "deferred"')
        body, fixed = deferred.hoist(body, fixed, length)
        method = deferred.run if self.policy is None else reference.run
        chunk = self.chunk or chunk_length(length, max(math.isqrt(length), 1))

        def piece(carry, xs, steps):
            run = lambda fixed, carry, xs: method(body, fixed, carry, xs, steps, reverse)
            return jax.checkpoint(run, prevent_cse=False, policy=self.policy)(fixed, carry, xs)

        return in_chunks(piece, chunk, carry, xs, length, reverse)
