"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch (0.8 at 16x1024x768x768) and 1.3 x
as fast as flax's better cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; 60 % of the GEMM peak at
64x256x256x512; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-27, jax 0.10.2, torch 2.13, flax 0.12, 2 CPU cores (AMD, Zen 5) with nothing else at work, one JAX
device, the gradient: ours in ms, and the time of the others over it, medians of neighbours. Beside it torch and flax on
an Intel with AVX-512 and AMX (2026-11-26), nothing else at work either; with JAX_NUM_CPU_DEVICES=2 before the command
(one device a core, the batch cut over them as `train.fit` cuts it) torch's LSTM took 0.76, 0.71, 0.64, 0.84 and 0.79
times as long there (not at 1x4096).

    b x t x n x d         ours  torch   flax  haiku  equinox  Keras  reference      Intel: ours  torch  flax
    LSTM
    20x200x6x50            4.2   1.02   1.34   1.33   1.88     1.48   1.42                 10.6   0.94  1.33
    32x100x64x128         10.2   0.73   1.42   1.42   1.79     1.83   1.93                 24.1   0.68  1.31
    50x50x128x128         10.1   0.69   1.12   1.31   1.54     1.18   1.21                 20.6   0.76  1.20
    1x4096x64x128         33.1   0.94   1.50   1.61   1.69     1.73   1.84                 64.5   1.04  1.98
    64x256x256x512       683.0   0.87   1.08   1.14   1.21     1.18   1.19                 1104   0.95  1.05
    16x1024x768x768     1705.9   0.83   2.24   2.46   1.94     2.47   2.39                 2967   0.81  1.59
    GRU
    20x200x6x50            3.4   6.78   1.34   1.67   1.72     1.51   1.41                  8.8   4.97  1.23
    32x100x64x128          8.4   2.52   1.58   1.63   1.64     1.45   1.51                 17.5   1.98  1.19
    50x50x128x128          7.4   2.23   1.29   1.44   1.61     1.33   1.42                 15.4   1.78  1.33
    1x4096x64x128         29.3   15.5   1.39   3.04   1.40     1.54   7.31                 48.6   16.3  1.59
    64x256x256x512       417.1   1.85   1.13   1.21   1.19     1.74   1.14                  896   1.10  1.09
    16x1024x768x768     1164.7   2.41   2.00   2.17   1.81     2.01   2.22                  2854  1.29  1.38
    tanh
    20x200x6x50            1.4   5.55   1.81   1.86            1.83   1.82                  3.1   4.70  1.92
    32x100x64x128          2.7   2.84   1.64   1.61            1.69   1.66                  5.7   2.45  1.40
    50x50x128x128          2.6   2.37   1.38   1.38            1.41   1.40                  5.0   1.69  1.44
    1x4096x64x128          8.2   16.8   2.19   2.36            2.23   2.18                 14.4   19.6  2.23
    64x256x256x512       134.9   1.99   1.18   1.09            1.18   1.20                  295   1.17  1.14
    16x1024x768x768      355.4   2.45   1.76   1.71            1.77   1.74                  871   1.28  1.62

The LSTM's rows are of 20:13 to 20:26 UTC, after its bias had left the pass before the loop (0.96 to 0.99 of the time
but at 1x4096, in turn in one process); GRU and tanh are from before, 0.97 to 1.02 by the same comparison. At the two
large shapes this host was slower than hours before, for everybody: 549.1 and 1496.4 ms then, torch 0.97 and 0.93.

GRU and tanh at the two large shapes on the Intel are of 2026-11-28 (10 repeats; products 235 GFLOP/s there), with
products as rows; as columns, two days before, torch took 0.93 and 1.29 times as long as the GRU, 0.99 and 1.25 as tanh,
flax 0.95, 1.41, 0.97 and 1.57 (rnn_jax/methods/deferred/layout.py). Matrix products reached 485 GFLOP/s on the AMD, 217
on the Intel; the LSTM's share of it is 0.47 (0.57 hours before) and 0.65 at 64x256x256x512, 0.56 (0.62) and 0.72 at
16x1024x768x768. Without a gradient "reference" took 0.93 to 2.3 of the time of "auto" on the Intel, haiku's LSTM 0.84
at 50x50x128x128.

bfloat16, on the AMD, the gradient, ours in ms, torch and flax over it; "auto" computes in float32 there
(rnn_jax/methods/widened.py), and torch with the processor's products of bfloat16: LSTM at 20x200x6x50, 32x100x64x128
and 50x50x128x128 5.0, 19.6, 12.8; 1.70, 0.47, 0.50; 8.5, 2.8, 2.3. GRU 4.6, 9.8, 8.7; 7.6, 2.4, 1.6; 6.1, 4.1, 3.0.
tanh 1.8, 3.3, 3.0; 10, 3.6, 2.2; 6.0, 4.9, 3.3. At 1x4096x64x128 on the Intel (2026-11-28, 5 repeats, flax_nnx): LSTM
71.9 ms, 2.6 and 141; GRU 45.2, 30 and 152; tanh 12.9, 47 and 179.

Missed on the AMD: torch's LSTM at four of the five shapes with a target of 1 (20x200 met by 0.02, within the noise),
and flax 1.3 for the LSTM at 50x50 and 64x256, for the GRU at 50x50 and 64x256, for tanh at 64x256; the share of the
peak. On another host (404
GFLOP/s, 2026-11-27, the three small shapes) ours took 5.6, 14.0 and 12.5 ms for the LSTM, torch 0.96, 0.69 and 0.68 of
it, flax 1.32, 1.26 and 1.09; for the GRU torch 4.3, 1.9, 1.4 and flax 1.17, 1.08, 1.14.

Where the LSTM's 14.0 ms went there at 32x100x64x128, its products timed apart: 25 and 26 us a step in the loops
(torch's product 18), so 5.1 ms; dW_h 1.8, dW_x 1.2, x W_x 0.7, dx 0.8 ms after and before them; what is left, 4.4 ms,
is 18 and 10 element-wise kernels and copies a step, seven of which write one value each of the step into its stack.
Tried in vain: XLA's oneDNN, XNNPACK, no YNNPACK, vectors of 512 bits, its other scheduler (all within its noise); the
operand of dW laid out first (0.8 to 0.9 of the time at 64 or 128 x 3200 x 512, 1.1 to 2.4 at narrow and at large ones).
A kernel in which four gates are slices of one array is not vectorised (77 us a step, of four arrays 12): XLA makes what
the slices share a function, which each calls. With a gradient each gate is a kernel of its own, which is vectorised. A
product of few rows is sooner done with the large weight on the left: so it is multiplied as columns
(rnn_jax/methods/deferred/layout.py).

Where the rest might be had: at small shapes the loops use one core. The whole gradient on one core (taskset -c 0) takes
only 1.0 to 1.6 times as long at the four: a product of [32 128] and [128 512] takes 21 us on one core and on two, and
XLA sends work to a second thread only where more than eight kernels of a loop's body are ready at once (its
ThunkExecutor). Two halves of the batch in one body, with eight kernels of one number each before the second half, took
0.60 of the time of the whole (32 x 128; 0.55 at 64 x 128, 0.64 at 64 x 256) for a bare LSTM, but 1.07 to 1.24 where the
loop reads or writes values of all t, and 0.95 to 1.5 in "deferred". In such a loop, written out by hand, XLA lets
temporaries of both halves share memory, so that 13 of 30 kernels wait for the other half (TF_CPP_VMODULE=
thunk_executor=6; of two loops in one program the second waits for the first, too); with the temporaries in the loop's
state none does. But on an Intel even that took 1.2 to 1.5 of the time, and so did the bare loop (2026-11-28): it is no
way for every machine. Sixteen products of 32 columns each took 0.86. One device a core (JAX_NUM_CPU_DEVICES=2) gave
there 1.04 to 1.25 times as many steps a second of the trainings of char_lm, toy and translation, beside slower
evaluations.

The allocator is the default one for all. With freed memory kept (MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
MALLOC_TOP_PAD_=268435456 before the command, near to what the studies do: rnn_jax/train/memory.py) torch gains more: at
64x256x256x512 on the Intel (2026-11-28) our LSTM took 1083 and torch 0.66 of it, without 1100 and 0.86; with huge pages
besides (GLIBC_TUNABLES=glibc.malloc.hugetlb=1) 942 and 0.73.

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
    config.attention_shapes = ""  # b x t x s x d: a GRU that reads s keys under additive attention at each step
    config.tasks = ""  # tasks of rnn_jax/tasks: what does it cost to make their batches inside the step?
    config.task_steps, config.task_batch, config.task_width = 100, 20, 50
    config.repeats = 20  # of each method at each shape, in turn
    config.seconds_per_shape = 600.0  # fewer repeats, at least 5, where they would take longer
    return config
