"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch and 1.3 x as fast as flax's better
cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-23, jax 0.10.2, torch 2.13, flax 0.12, 2 shared CPU cores, the gradient: ours in ms, and the time of
the others over it. Left: the command above, one JAX device, whose loops XLA runs on one core where their products are
small. Right: with JAX_NUM_CPU_DEVICES=2 before it, one device a core and the batch cut over them, as `train.fit` cuts
it. There "reference" and flax all-reduce their weight gradients in every step and take 2 to 15 times as long as ours,
so flax is shown at its best, on one device (of another run).

                          one device                            one a core
    b x t x n x d         ours   torch  flax   haiku  reference  ours   torch  flax
    LSTM
    20x200x6x50           9.7    0.79   1.31   1.11   1.25       9.0    0.98   1.4
    32x100x64x128         25.7   0.72   1.20   1.10   1.40       24.5   0.84   1.3
    50x50x128x128         27.3   0.66   1.14   1.19   1.15       20.2   0.92   1.4
    1x4096x64x128         74.7   0.75   0.99   1.17   1.31       -
    64x256x256x512        1387   0.87   1.12   -      1.12       1336   0.87   1.2
    16x1024x768x768       3771   0.85   -      -      -          -
    GRU
    20x200x6x50           8.0    5.2    1.65   1.30   1.26       8.7    5.4    1.5
    32x100x64x128         23.4   2.1    1.26   1.35   1.27       15.0   3.0    2.0
    50x50x128x128         20.2   1.7    1.25   1.28   1.38       15.6   2.0    1.5
    1x4096x64x128         48.3   19     3.5    3.5    8.2        -
    tanh
    20x200x6x50           2.8    5.4    2.0    1.8    1.6        2.7    5.8    2.0
    32x100x64x128         7.0    2.4    1.28   1.29   1.28       8.5    2.8    1.1
    50x50x128x128         6.6    1.9    1.45   1.45   1.53       7.3    1.6    1.2
    1x4096x64x128         15.2   13     1.8    1.7    1.9        -

The machine's matrix products reach 170 to 200 GFLOP/s; share_of_peak of the LSTM 0.59 at 64x256x256x512 (target 0.6)
and 0.61 at 16x1024x768x768. So: GRU and tanh meet their target beside torch everywhere, the LSTM at 16x1024x768x768
(0.8 there) and nearly at 20x200x6x50; torch is up to 1.4 times as fast elsewhere. Without a gradient "auto" and
"reference" are level for the LSTM (0.96 to 1.02); for tanh "reference" took 0.83 to 0.88 of our time at the three small
shapes in this run, and 0.97 to 1.12 in one without torch.

Found on the way: a contender that always comes after torch pays for its threads, which spin on after it has returned,
up to 1.6 times (the order is random now); a process on both cores stops XLA's loops from using the second one, so
nothing else may run. A layer written out by hand with one buffer for the products of inputs, the gates and their
gradients is 0.94 to 0.97 of ours, and XLA copies that buffer whole in each step where it is both read and written.
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
