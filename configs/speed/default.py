"""The gradient step of one layer: every method beside "reference", in one process, alternating.

    python -m experiments.speed

Targets (float32, CPU, median): "auto" at most 1.05 x "reference" everywhere, "deferred" at most 1.2 x, and for the
LSTM at 16x1024x768x768 "deferred" at least 1.4 x faster than "reference".
Measured, 2026-11-22, jax 0.10.2, 2 shared CPU cores, auto over reference (each below 1 is faster):

    b x t x n x d        lstm   gru    vanilla
    20x200x6x50          0.91   0.87   0.57
    32x100x64x128        0.68   0.86   0.93
    64x256x256x512       0.89   0.90   0.90
    16x1024x768x768      0.48 (deferred, the same method, beside it 0.58: noise)
Takes over 7 minutes there, most of it at the last shape, where GRU and vanilla were not timed.
"""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    config: Any = ConfigDict()
    config.seed = 0
    config.cells = "lstm,gru,vanilla"
    config.only = ""  # of these cells; empty: all
    config.shapes = "20x200x6x50,32x100x64x128,50x50x128x128"  # b x t x n x d
    config.contenders = (  # ours: method="auto"; any method of rnn_jax.METHODS; other libraries
        "ours,reference,flax_nnx,flax_nnx_optimized,flax_linen,flax_linen_optimized,haiku,equinox,keras,torch"
    )
    config.passes, config.dtypes = "fwd,fwdbwd", "float32"
    config.seeds = 20  # networks trained together, at seed_shapes
    config.seed_shapes = ""
    config.tasks = ""  # tasks of rnn_jax/tasks: what does it cost to make their batches inside the step?
    config.task_steps, config.task_batch, config.task_width = 100, 20, 50
    config.repeats = 20  # of each method at each shape, in turn
    config.seconds_per_shape = 600.0  # fewer repeats, at least 5, where they would take longer
    return config
