"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch and 1.3 x as fast as flax's better
cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-25, jax 0.10.2, torch 2.13, flax 0.12, 2 shared CPU cores on a busy host, the gradient: ours in ms, and
the time of the others over it, medians of neighbours. One JAX device; in brackets with JAX_NUM_CPU_DEVICES=2 before the
command, one device a core and the batch cut over them, as `train.fit` cuts it.

    b x t x n x d         ours   torch           flax   haiku  equinox  reference
    LSTM
    20x200x6x50           13.3   1.16 (1.12)     1.11   0.98   1.45     1.23
    32x100x64x128         33.3   1.00 (1.05)     1.35   1.33   1.51     1.59
    50x50x128x128         35.5   1.01 (0.80)     1.19   1.20   1.24     1.34
    1x4096x64x128         71.8   1.32            1.72   1.67   1.94     1.73
    64x256x256x512        2097   1.12 (1.03)     1.08                   1.15
    16x1024x768x768       5118   0.98 (1.10)     2.19
    GRU
    20x200x6x50           12.1   8.5             1.13   1.32   1.37     1.33
    32x100x64x128         34.3   2.8             1.42   1.31   1.23     1.31
    50x50x128x128         28.3   1.8             1.28   1.40   1.32     1.38
    1x4096x64x128         60.4   26              1.41   3.5    1.46     8.6
    64x256x256x512        1711   1.15            1.02                   1.11
    16x1024x768x768       2805   1.36            1.94
    tanh
    20x200x6x50           4.1    7.5             2.1    1.76            1.84
    32x100x64x128         7.5    2.2             1.42   1.36            1.37
    50x50x128x128         8.6    2.1             1.46   1.44            1.46
    1x4096x64x128         20.4   21              2.0    1.84            1.98
    64x256x256x512        562    1.30            1.13                   1.18
    16x1024x768x768       889    1.26            1.56

LSTM in bfloat16 at 32x100x64x128: 100 ms, "reference" 1.25, flax 1.30, torch 6.6; other shapes and
Keras were not timed that day. The machine's matrix products reached
130 to 150 GFLOP/s that day; share_of_peak of the LSTM 0.51 at 64x256x256x512 (target 0.6; 0.59 on 2026-11-23).

Missed: flax 1.3 for LSTM and GRU at 20x200 and 50x50 (the GRU's 1.28 there), and at 64x256x256x512 for all cells, where
products take most of the time; torch 1.5 for GRU and tanh at the two large shapes; torch's LSTM at 50x50x128x128 with
one device a core. The minima tell what an idle machine would: there torch's LSTM
takes 0.98, 0.68, 0.73, 0.95 of our time at the four small shapes, 0.84 at 64x256x256x512, 0.96 at 16x1024x768x768: its
threads lose more than XLA's when others are at work. XLA seems to lay out the right operand of every product anew, a
weight that torch could lay out once for all steps: a product of few rows is sooner done with the large weight on the
left. So it is multiplied as columns (rnn_jax/methods/deferred/layout.py), which took torch over ours at 16x1024x768x768
from 0.85 to 0.98 and 1.10.
Without a gradient "reference" takes 0.95 to 2.3 of the time of "auto", and haiku's LSTM 0.85 at 20x200x6x50.

Found on the way: a contender that always comes after torch pays for its threads, which spin on after it has returned,
up to 1.6 times (the order is random now); a process on both cores stops XLA's loops from using the second one, so
nothing else may run; over two devices "reference" and flax all-reduce their weight gradients in every step and take 2
to 15 times as long as ours. A layer written out by hand with one buffer for the products of inputs, the gates and their
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
