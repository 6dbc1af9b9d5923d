"""How a step function is run over time: the methods of `rnn_jax.scan`, a file or folder each.

A method is a callable (body, fixed, carry, xs, length, reverse) -> (carry, ys) over flat lists (rnn_jax/tracing.py);
one that cannot do what is asked raises a ValueError that names the remedy. Those with settings are frozen dataclasses:
`method="newton"` is `method=rnn_jax.methods.Newton()`.
"""

from rnn_jax.methods import auto, cudnn, deferred, hoisted, native, reference
from rnn_jax.methods.associative import Associative as Associative
from rnn_jax.methods.checkpointed import Checkpointed as Checkpointed
from rnn_jax.methods.chunked import Chunked as Chunked
from rnn_jax.methods.fused import Fused as Fused
from rnn_jax.methods.newton import Newton as Newton

METHODS = {
    "auto": auto.run,
    "reference": reference.run,
    "hoisted": hoisted.run,
    "deferred": deferred.run,
    "chunked": Chunked(),
    "checkpointed": Checkpointed(),
    "associative": Associative(),
    "newton": Newton(),
    "cudnn": cudnn.run,
    "fused": Fused(),
    "native": native.run,
}
