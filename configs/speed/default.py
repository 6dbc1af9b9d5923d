"""One recurrent layer, forward and with the gradient, in this and other libraries, in one process, in turn.

    pip install '.[bench]'          # the others: torch (its CPU build will do), haiku, equinox, Keras
    python -m experiments.speed [--config.only=lstm] [--config.shapes=20x200x6x50] [--config.contenders=ours,torch]

Targets (float32, 2 CPU cores, forward and backward, median): LSTM as fast as torch and 1.3 x as fast as flax's better
cell, GRU and tanh 1.5 x as fast as torch and 1.3 x as flax; "auto" at most 1.05 x "reference" everywhere.
Measured 2026-11-23, jax 0.10.2, torch 2.13, flax 0.12, 2 shared CPU cores, LSTM, the gradient: time over ours

    b x t x n x d        ours, ms   torch   flax's best   haiku   reference
    20x200x6x50          11.4       0.79    1.01          0.89    1.11
    32x100x64x128        29.4       0.62    1.05          1.04    1.32
    50x50x128x128        26.2       0.65    0.98          1.08    1.06
    1x4096x64x128        75.0       0.92    1.33          1.29    1.46
    64x256x256x512       1250       0.90    1.08          1.06    1.16

so that torch is still ahead, flax's better cell rarely by 1.3 behind. At 20x200x6x50 torch took 4.7 x our time for the
GRU and 4.1 x for tanh; flax 1.0 and 1.3. Found: XLA runs what is inside a loop on one core (its matrix products reach
85 of 182 GFLOP/s at 32x100x64x128). With one JAX device a core (`jax_num_cpu_devices=2`) and the batch sharded over
them, the LSTM took 0.68, 0.79 and 0.97 of its time at 32x100x64x128, 50x50x128x128 and 64x256x256x512, the GRU 0.76,
0.73 and 0.87.
Before, 2026-11-22, "auto" over "reference" with the gradient (LSTM, GRU, tanh): 20x200x6x50 0.91, 0.87, 0.57;
32x100x64x128 0.68, 0.86, 0.93; 64x256x256x512 0.89, 0.90, 0.90; LSTM at 16x1024x768x768 0.48 to 0.58.
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
