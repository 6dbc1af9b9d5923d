"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch (0.8 at 16x1024x768x768) and 1.3 x
as fast as flax's better cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; 60 % of the GEMM peak at
64x256x256x512; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-28, jax 0.10.2, torch 2.13, flax 0.12, 2 CPU cores of an Intel (AVX-512, AMX; a slow host, products
180 to 269 GFLOP/s) with nothing else at work, one JAX device, the gradient: ours ("auto", which is "native" here) in
ms, and the time of the others over it, medians of neighbours; 20 repeats, of the last two shapes 5 and fewer
contenders. flax is its better cell; "deferred" is what "auto" was until then, from a run without haiku, equinox and
Keras:

    b x t x n x d         ours  torch   flax  haiku  equinox  Keras  reference  deferred
    LSTM
    20x200x6x50            6.5   1.55   2.33   1.98   3.24     2.32   2.78       1.50
    32x100x64x128         17.2   0.95   1.78   1.82   2.07     1.95   2.16       1.39
    50x50x128x128         17.3   0.96   1.66   1.56   2.37     1.63   1.78       1.35
    1x4096x64x128         46.0   1.46   2.86   2.85   3.48     3.17   3.63       1.66
    64x256x256x512        1044   1.05   1.18                          1.30
    16x1024x768x768       2991   0.84   1.63                          1.81
    GRU
    20x200x6x50            4.7   10.2   2.28   2.94   3.02     2.83   2.54       1.77
    32x100x64x128         14.4   2.69   1.66   2.02   1.94     1.99   1.85       1.64
    50x50x128x128         13.1   2.14   1.72   1.87   2.26     1.90   1.77       1.29
    1x4096x64x128         31.4   23.1   2.50   9.16   2.61     2.51   17.3       1.58
    64x256x256x512         854   1.31   1.15                          1.28
    16x1024x768x768       2617   1.42   1.75                          1.69
    tanh
    20x200x6x50            2.0   7.75   3.33   3.18            3.33   3.22       1.64
    32x100x64x128          5.0   3.20   1.73   1.65            2.00   1.64       1.13
    50x50x128x128          6.0   1.82   1.51   1.59            1.60   1.49       1.19
    1x4096x64x128         13.1   23.0   2.90   2.75            2.71   3.00       1.15
    64x256x256x512         257   1.20   1.22                          1.26
    16x1024x768x768        863   1.28   1.71                          1.58

In a shorter run of the same hour torch's LSTM had 0.98 and 1.01 at 32x100 and 50x50. Without a gradient the others
took 1.16 to 8.2 times as long (torch's LSTM 1.00 at 50x50, flax's GRU 1.02 at 20x200). The LSTM's share of the peak at
64x256x256x512 is 0.82 of what this run measured, 0.55 of the highest. Missed: torch's LSTM 1.0 at 32x100 and 50x50 by
0.05; at 64x256 flax 1.3 for all three; torch 1.5 for GRU and tanh at the two large shapes. To compile a gradient step
takes 0.3 to 0.6 times as long as with "reference" where the machine has compiled the loop before, 1.1 to 1.2 where it
has not, and 1.2 s more the first time of all, at each t from 100 to 10,000.

Where the time goes: of 15 ms at 32x100x64x128 (LSTM) the loops take 3.3 and 4.0; one thread's half takes up to 1.5 ms
longer than the other's, perhaps because it is the first to write to new pages (not measured). The rest are XLA's
products before and after, alone x W_x 1.5, dx 1.0, dW 2.0 and 3.6 ms, at 105 to 200 GFLOP/s. Our own product in their
place had 0.7 to 1.6 times the speed of XLA's, on a noisy machine, 0.7 for dW at 16x1024. There each core reads all 9.4
MB of weights in each step of the loop, for eight rows: columns divided among the cores, in place of rows, would halve
that; untried.

Before (2026-11-27 and 28), by "deferred" on an AMD (Zen 5; products 485 GFLOP/s), ours in ms, torch and flax over it:

    b x t x n x d         LSTM               GRU                tanh
    20x200x6x50            4.2 1.02 1.34      3.4 6.78 1.34      1.4 5.55 1.81
    32x100x64x128         10.2 0.73 1.42      8.4 2.52 1.58      2.7 2.84 1.61
    50x50x128x128         10.1 0.69 1.12      7.4 2.23 1.29      2.6 2.37 1.38
    1x4096x64x128         33.1 0.94 1.50     29.3 15.5 1.39      8.2 16.8 2.19
    64x256x256x512         683 0.87 1.08      417 1.85 1.13      135 1.99 1.18
    16x1024x768x768       1706 0.83 2.24     1165 2.41 2.00      355 2.45 1.76

In bfloat16 "auto" computes in float32 on a CPU (rnn_jax/methods/widened.py), and torch with the processor's products of
bfloat16. Measured 2026-11-28 on the Intel by "native", the gradient, 10 repeats, at the first three shapes: LSTM 6.9,
13.2, 11.6 ms, torch 1.99, 0.74, 0.65 and flax NNX 11.2, 5.4, 3.5 times as long; GRU 5.2, 10.6, 12.0, 9.7, 3.2, 2.0 and
9.1, 5.1, 3.6; tanh 2.0, 4.7, 4.8, 12, 3.5, 2.6 and 8.5, 4.7, 3.5. (By "deferred", on the AMD, torch's LSTM took 1.70,
0.47, 0.50.)

XLA's loop, in "deferred", pays for each of thirty kernels and copies a step, and runs on one core; in vain were tried
its oneDNN, XNNPACK, vectors of 512 bits and its other scheduler, two halves of the batch in one body (0.6 of the time
on the AMD, 1.2 to 1.5 on the Intel), and one device a core (JAX_NUM_CPU_DEVICES=2: torch then 0.64 to 0.84).

The allocator is the default one for all. With freed memory kept (MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
MALLOC_TOP_PAD_=268435456 before the command, near to what the studies do) torch gained more than "deferred", at
64x256x256x512 (0.66 of it, without 0.86). Found on the way: a contender that always comes after torch pays for its
threads, which spin on after it has returned, up to 1.6 times (the order is random now); over two devices "reference"
and flax all-reduce their weight gradients in every step and take 2 to 15 times as long as ours.
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
    config.attention_shapes = ""  # b x t x s x d: a GRU that reads s keys under additive attention at each step
    config.tasks = ""  # tasks of rnn_jax/tasks: what does it cost to make their batches inside the step?
    config.task_steps, config.task_batch, config.task_width = 100, 20, 50
    config.repeats = 20  # of each method at each shape, in turn
    config.seconds_per_shape = 600.0  # fewer repeats, at least 5, where they would take longer
    return config
