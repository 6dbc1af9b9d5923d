"""method="reference": `lax.scan` and plain autodiff. Every other method is tested against it."""

from jax import lax

from rnn_jax.tracing import Body


def run(body: Body, fixed, carry, xs, length: int, reverse: bool):
    """The method: (carry, ys) of `body` over `length` steps, flat lists in and out."""
    return lax.scan(lambda k, x: body(fixed, k, x), carry, xs, length=length, reverse=reverse)
