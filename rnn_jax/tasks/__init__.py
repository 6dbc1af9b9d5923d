"""Generated data. Each task is batch(key, b, ...) -> (inputs, targets, mask): pure JAX, time-major, no files.

inputs [t b n]; targets of one number for the whole sequence [b], or one for each step [t b]; mask bool [t b], True
where an output is scored.
"""

from rnn_jax.tasks import memory as memory
from rnn_jax.tasks import temporal_order as temporal_order
