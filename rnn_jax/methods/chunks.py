"""A long sequence in pieces of equal length: the frame that "checkpointed" and "chunked" share."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax


def in_chunks(run: Callable, chunk: int, carry, xs, length: int, reverse: bool):
    """run(carry, xs, steps) -> (carry, ys) over pieces of `chunk` steps, in turn, and over what is left of `length`."""
    chunk = max(min(chunk, length), 1)
    whole = length - length % chunk

    def chunks(carry):
        cut = [x[:whole].reshape(whole // chunk, chunk, *x.shape[1:]) for x in xs]
        one = lambda carry, x: run(carry, x, chunk)
        carry, ys = lax.scan(one, carry, cut, length=whole // chunk, reverse=reverse)
        return carry, [y.reshape(whole, *y.shape[2:]) for y in ys]

    if whole == length:
        return chunks(carry)
    tail = lambda carry: run(carry, [x[whole:] for x in xs], length - whole)
    if reverse:
        carry, last = tail(carry)
        carry, first = chunks(carry)
    else:
        carry, first = chunks(carry)
        carry, last = tail(carry)
    return carry, [jnp.concatenate(pair) for pair in zip(first, last, strict=True)]


def chunk_length(t: int, near: int) -> int:
    """The divisor of t nearest to `near`, where one is within a factor of two of it: no rest to compile apart."""
    divisors = [c for c in range(max(1, near // 2), 2 * near + 1) if t % c == 0]
    return min(divisors, key=lambda c: abs(math.log(c / near)), default=near)
