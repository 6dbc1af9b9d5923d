"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch (0.8 at 16x1024x768x768) and 1.3 x
as fast as flax's better cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; 60 % of the GEMM peak at
64x256x256x512; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-26, jax 0.10.2, torch 2.13, flax 0.12, 2 CPU cores (Xeon with AVX-512 and AMX) with nothing else at
work, the gradient: ours in ms, and the time of the others over it, medians of neighbours. One JAX device; in brackets
with JAX_NUM_CPU_DEVICES=2 before the command, one device a core and the batch cut over them, as `train.fit` cuts it.

    b x t x n x d         ours   torch           flax   haiku  equinox  Keras  reference
    LSTM
    20x200x6x50           10.6   0.94 (0.76)     1.33   1.11   1.80     1.28   1.45
    32x100x64x128         24.1   0.68 (0.71)     1.31   1.24   1.44     1.44   1.49
    50x50x128x128         20.6   0.76 (0.64)     1.20   1.14   1.61     1.16   1.15
    1x4096x64x128         64.5   1.04            1.98   1.83   2.38     2.11   2.27
    64x256x256x512        1104   0.95 (0.84)     1.05   1.07   1.14            1.11
    16x1024x768x768       2967   0.81 (0.79)     1.59   2.01   1.38            1.65
    GRU
    20x200x6x50            8.8   4.97            1.23   1.59   1.66     1.46   1.48
    32x100x64x128         17.5   1.98            1.19   1.33   1.23     1.65   1.31
    50x50x128x128         15.4   1.78            1.33   1.38   1.49     1.38   1.32
    1x4096x64x128         48.6   16.3            1.59   5.82   1.66     1.65   14.6
    64x256x256x512         986   0.93            0.95   0.98   1.08            1.00
    16x1024x768x768       2615   1.29            1.41   1.52   1.33            1.48
    tanh
    20x200x6x50            3.1   4.70            1.92   1.91            1.93   1.92
    32x100x64x128          5.7   2.45            1.40   1.50            1.43   1.52
    50x50x128x128          5.0   1.69            1.44   1.27            1.36   1.19
    1x4096x64x128         14.4   19.6            2.23   2.10            2.33   2.25
    64x256x256x512         294   0.99            0.97   0.89                   0.99
    16x1024x768x768        776   1.25            1.57   1.53                   1.60

Matrix products reached 217 GFLOP/s; the LSTM's share of it 0.65 at 64x256x256x512 and 0.72 at 16x1024x768x768.
LSTM in bfloat16, ours in ms, torch, flax, reference: 20x200x6x50 59, 0.24, 1.22, 1.29; 32x100x64x128 74, 0.17, 1.15,
1.17; 50x50x128x128 48, 0.26, 1.17, 1.21. Why ours is slower than in float32 was not looked into. (1x4096x64x128 in
bfloat16 took more than 4 minutes and was stopped.)
Without a gradient "reference" takes 0.93 to 2.3 of the time of "auto", haiku's LSTM 0.84 at 50x50x128x128.

Missed: torch's LSTM at the four shapes below 1; torch 1.5 for GRU and tanh at the two large shapes, and flax 1.3 for
the LSTM at 50x50 and 64x256, the GRU at 20x200, 32x100 and 64x256, tanh at 64x256. On a busy host, perhaps another
machine (its products reached 130 to 150 GFLOP/s), torch over ours was 1.16, 1.00, 1.01, 1.32, 1.12, 0.98 for the LSTM
on 2026-11-25. On a faster one (404 GFLOP/s, 2026-11-27, the gradient at the three small shapes) ours took 5.6, 14.0 and
12.5 ms for the LSTM, torch 0.96, 0.69 and 0.68 of it, flax 1.32, 1.26 and 1.09; for the GRU torch 4.3, 1.9, 1.4 and
flax 1.17, 1.08, 1.14; for tanh 4.4, 2.1, 1.5 and 1.72, 1.44, 1.40.

Where the LSTM's 14.0 ms went there at 32x100x64x128, its products timed apart: 25 and 26 us a step in the loops
(torch's product 18), so 5.1 ms; dW_h 1.8, dW_x 1.2, x W_x 0.7, dx 0.8 ms after and before them; what is left, 4.4 ms,
is 18 and 10 element-wise kernels and copies a step, seven of which write one value each of the step into its stack.
Tried in vain: XLA's oneDNN, XNNPACK, no YNNPACK, vectors of 512 bits, its other scheduler (all within its noise); the
operand of dW laid out first (0.8 to 0.9 of the time at 64 or 128 x 3200 x 512, 1.1 to 2.4 at narrow and at large ones).
A kernel in which four gates are slices of one array is not vectorised (77 us a step, of four arrays 12); with a
gradient each gate is a kernel of its own, which is. A product of few rows is sooner done with the large weight on the
left: so it is multiplied as columns (rnn_jax/methods/deferred/layout.py).

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
