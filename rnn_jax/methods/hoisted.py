"""method="hoisted": `lax.scan` and plain autodiff, but what params alone determine is computed once (a weight norm, a
Cayley transform). Takes forward mode, as "reference" does."""

from rnn_jax.methods import reference
from rnn_jax.methods.deferred import hoist


def run(body, fixed, carry, xs, length: int, reverse: bool):
    body, fixed = hoist(body, fixed, length)
    return reference.run(body, fixed, carry, xs, length, reverse)
