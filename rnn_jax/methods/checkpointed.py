"""method="checkpointed": the gradient of a long sequence in O(sqrt t) memory (Chen et al., 2016, arXiv:1604.06174).

The sequence is cut into chunks of about sqrt(t) steps. The forward pass stores the carry between chunks alone; the
backward pass runs a chunk again, by "deferred", before it differentiates it. So each step is evaluated twice, and each
weight gradient is a sum of one product per chunk. What x and y themselves hold stays O(t).
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from rnn_jax.methods import deferred, reference
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
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f"checkpointed: a chunk has at least 1 step, got chunk={self.chunk}")

    def __call__(self, body: Body, fixed, carry, xs, length: int, reverse: bool):
        if body.jaxpr.effects:
            raise ValueError('checkpointed: the step has callbacks or prints, which would run twice; use "deferred"')
        body, fixed = deferred.hoist(body, fixed, length)
        method = deferred.run if self.policy is None else reference.run
        chunk = min(self.chunk or chunk_length(length), max(length, 1))
        whole = length - length % chunk

        def piece(fixed, carry, xs, steps):
            run = lambda fixed, carry, xs: method(body, fixed, carry, xs, steps, reverse)
            return jax.checkpoint(run, prevent_cse=False, policy=self.policy)(fixed, carry, xs)

        def chunks(carry):
            cut = [x[:whole].reshape(whole // chunk, chunk, *x.shape[1:]) for x in xs]
            carry, ys = lax.scan(
                lambda k, x: piece(fixed, k, x, chunk), carry, cut, length=whole // chunk, reverse=reverse
            )
            return carry, [y.reshape(whole, *y.shape[2:]) for y in ys]

        if whole == length:
            return chunks(carry)
        tail = lambda carry: piece(fixed, carry, [x[whole:] for x in xs], length - whole)
        if reverse:
            carry, last = tail(carry)
            carry, first = chunks(carry)
        else:
            carry, first = chunks(carry)
            carry, last = tail(carry)
        return carry, [jnp.concatenate(pair) for pair in zip(first, last, strict=True)]


def chunk_length(t: int) -> int:
    """The divisor of t nearest to its root, where one is within a factor of two of it: no rest to compile apart."""
    root = math.isqrt(max(t, 1))
    near = [c for c in range(max(1, root // 2), 2 * root + 1) if t % c == 0]
    return min(near, key=lambda c: abs(math.log(c / root)), default=root)
