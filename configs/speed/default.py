"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch (0.8 at 16x1024x768x768) and 1.3 x
as fast as flax's better cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; 60 % of the GEMM peak at
64x256x256x512; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-29, jax 0.10.2, torch 2.13, flax 0.12, 2 CPU cores of an Intel (AVX-512, AMX; a host that others share,
products 274 GFLOP/s) with nothing else at work, one JAX device, the gradient: ours ("auto", which is "native"
here) in ms, and the time of the others over it, medians of neighbours; 20 repeats, of the last two shapes 10 and fewer
contenders. flax is its better cell:

    b x t x n x d         ours  torch   flax  haiku  equinox  Keras  reference
    LSTM
    20x200x6x50            4.7   2.54   2.58   2.31   3.21     2.43     2.95
    32x100x64x128         11.7   1.55   2.70   3.04   3.07     3.22     3.57
    50x50x128x128         12.1   1.27   2.18   2.25   2.50     2.14     2.24
    1x4096x64x128         34.6   1.94   3.35   3.38   4.01     3.89     4.44
    64x256x256x512         721   1.24   1.67                            1.68
    16x1024x768x768       2603   0.98   2.11                            2.28
    GRU
    20x200x6x50            4.0   11.8   2.13   2.56   3.08     3.04     2.33
    32x100x64x128          9.4   4.40   2.90   3.03   2.82     3.21     2.83
    50x50x128x128          9.9   3.34   2.29   2.61   2.86     2.45     2.68
    1x4096x64x128         27.5   27.3   2.24   7.69   2.35     2.09     14.1
    64x256x256x512         632   1.67   1.65                            1.69
    16x1024x768x768       2047   2.03   2.29                            2.34
    tanh
    20x200x6x50            1.5   8.79   2.64   2.67            2.95     2.96
    32x100x64x128          3.7   4.19   2.35   2.18            2.44     2.36
    50x50x128x128          3.3   3.36   2.10   2.09            2.11     2.10
    1x4096x64x128          9.5   26.5   2.33   2.37            2.44     2.60
    64x256x256x512         153   2.15   2.06                            2.10
    16x1024x768x768        549   2.30   2.76                            2.81

So every ratio wanted is met in this run, of one state of the code. At 64x256 LSTM, GRU and tanh reach 0.78, 0.67 and
0.92 of the peak that the run measures. Without a gradient the others took 1.30 to 11 times as long. The margins vary
with the hour: another run that day (products 314 GFLOP/s; before a helper left the core of the thread that calls it,
runtime.cc) took 4.1, 10.0, 8.0, 29.8, 634 and 1,997 ms for the LSTM, torch 1.81, 1.33, 1.27, 1.57, 1.12 and 0.99 times
as long, flax 1.50 to 3.4; without a gradient torch 0.73 at 32x100. GRU and tanh had at least 1.59 with torch and 1.66
with flax. Beside other work torch's LSTM had 1.93, 1.31, 1.22, 1.77 and 1.17 at the first five shapes; on another,
slower host on the same day 2.04, 1.13, 1.06, 1.58, 1.22 and 1.09, GRU and tanh 1.46 and 1.47 at 64x256 (1.65 and 1.65 a
quarter of an hour later), flax's LSTM 1.28 to 1.47 there. On 2026-11-28, when products of x and weight gradients were
XLA's own, LSTM, GRU and tanh had 0.95 to 1.55, 1.31 to 23 and 1.20 to 23 with torch, and took 1.1 to 1.3 times as long
at the large shapes.

To compile a gradient step takes, until its first result, on a machine that does not know the loops yet (2026-11-29, d =
64 to 176 at 20x200x6 and 50x50x128, medians of 8): LSTM 0.59 and 0.60, GRU 0.91 and 0.91, tanh 0.83 and 0.77 times as
long as with "reference", 0.24 to 0.5 s (target 1.5); loops are compiled side by side, and beside XLA's own work. What
all loops share takes 2 s the first time of all. Where the machine had compiled the loops before it was 0.3 to 0.6 times
(2026-11-28), at each t from 100 to 10,000:

    RNN_JAX_CACHE=$(mktemp -d) python -m experiments.speed --config.contenders=ours,reference --config.passes=fwdbwd \
        --config.repeats=1 --config.shapes=20x200x6x64,20x200x6x80

Where the time goes: of 10 ms at 32x100x64x128 (LSTM, undisturbed) 0.7 are outside of the loops. In them each thread
spends 2.6 ms on h W_h and dz W_h^T (160 GFLOP/s), 1.4 on x W_x and dz W_x^T (145), 2.7 on weight gradients (118), and
2.3 on all that is element-wise. So the products run at 0.7 to 1.0 of what a core has (150 to 175 alone); one core was
often slower than the other, by a third, for all of a run. At 16x1024 the recurrent products have 95: each core reads
all 9.4 MB of weights in each step of the loop, for eight rows. Columns divided among the cores, in place of rows, would
halve that; untried. New memory costs 1.6 us a page of 4 KiB on this host, 0.5 in pages of 2 MiB, which the loops ask
for where they write. What they need beside arguments and results, packed weights and for each thread a block of steps
and a sum of each weight gradient, is not in the MiB that the table shows.

Before (2026-11-27 and 28), by "deferred" on an AMD (Zen 5; products 485 GFLOP/s), ours in ms, torch and flax over it:

    b x t x n x d         LSTM               GRU                tanh
    20x200x6x50            4.2 1.02 1.34      3.4 6.78 1.34      1.4 5.55 1.81
    32x100x64x128         10.2 0.73 1.42      8.4 2.52 1.58      2.7 2.84 1.61
    50x50x128x128         10.1 0.69 1.12      7.4 2.23 1.29      2.6 2.37 1.38
    1x4096x64x128         33.1 0.94 1.50     29.3 15.5 1.39      8.2 16.8 2.19
    64x256x256x512         683 0.87 1.08      417 1.85 1.13      135 1.99 1.18
    16x1024x768x768       1706 0.83 2.24     1165 2.41 2.00      355 2.45 1.76

In bfloat16 "auto" computes in float32 on a CPU (rnn_jax/methods/widened.py), and torch with the processor's products of
bfloat16. Measured 2026-11-29 on the Intel by "native", the gradient, 10 repeats, at the first three shapes: LSTM 4.6,
12.2, 17.3 ms, torch 2.68, 0.82, 0.65 and flax NNX 17.0, 6.7, 3.3 times as long; GRU 3.6, 11.0, 8.3 ms, 15.1, 3.2, 2.6
and 12.6, 6.1, 4.3; tanh 1.9, 4.6, 4.3 ms, 12.6, 5.1, 2.3 and 8.9, 6.1, 3.3. (By "deferred", on the AMD, torch's LSTM
took 1.70, 0.47, 0.50.)

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
    config.shortest = 1.0  # share of the t steps that the shortest sequence has; below 1 ours alone, under a mask
    config.seeds = 20  # networks trained together, at seed_shapes
    config.seed_shapes = ""
    config.attention_shapes = ""  # b x t x s x d: a GRU that reads s keys under additive attention at each step
    config.tasks = ""  # tasks of rnn_jax/tasks: what does it cost to make their batches inside the step?
    config.task_steps, config.task_batch, config.task_width = 100, 20, 50
    config.repeats = 20  # of each method at each shape, in turn
    config.seconds_per_shape = 600.0  # fewer repeats, at least 5, where they would take longer
    return config
