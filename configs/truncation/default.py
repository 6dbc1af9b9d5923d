"""Truncated BPTT, kinds I, II and III: GRU of width 16, memory of one symbol in four over 19 steps, 80 steps in all.

    python -m experiments.truncation

Expected: what lies further apart than the gradient reaches is not learned (Williams & Peng, 1990; Sutskever, 2013): a
symbol and its recall lie within 20 steps, so chance, 25 %, for k below 20 and all of it from there on. No published
figure for this task.

Measured 2026-11-22, 2 shared CPU cores, jax 0.10.2: 5.4 min on the busy machine, 3.6 min of one core, mostly
compilation. In each column: share recalled, mean of 3 seeds (least to most), 1,024 recalls each; bias
|g_k - g| / |g| at initialisation; the same after training by full BPTT; cost, time over that of full BPTT.

    k        I, chunks               II, windows (k1 = 4)               III, last steps
     4   25 %, 0.28, 234, 0.93   52 % (47-57), 0.14, 0.73, 1.3    53 % (39-63), 0.15, 0.72, 0.47
     8   25 %, 0.19, 449, 0.95   57 % (47-64), 0.044, 0.63, 2.0   64 % (59-73), 0.046, 0.71, 0.48
    16   25 %, 0.11, 360, 0.92   50 % (48-51), 0.004, 0.46, 3.1   42 % (32-48), 0.005, 0.70, 0.55
    20   100 %, 0.002, 0.70, 0.91   100 %, 0.001, 0.33, 3.6       100 %, 0.002, 0.65, 0.58
    40   100 %, 0.001, 0.33, 0.88   100 %, 2e-6, 0.066, 4.7       100 %, 5e-6, 0.24, 0.72
    80   full BPTT: 100 %; without a cut the three kinds equal it to 1.1e-15 in float64

Below 20 kind I is at chance, as expected; II and III are not, though far from solved. Their state is carried, so it may
hold a trace of the symbol that no gradient put there and the readout finds (likely; not tested). The bias at
initialisation does not tell which k learns: 0.4 % at k = 16, where the task stays unsolved, 0.1 % at 20, for II.
Chunks are scored as they train, each from the zero state. If the state is carried through all trials after all, chunks
of 20, which saw no carried state in training, recall 44 % and chunks of 40, 98 %. Biases in the hundreds are taken at a
solved point, where the full gradient is nearly zero.
"""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    config: Any = ConfigDict()
    config.seed = 0  # of the first seed; the others follow
    config.seeds = 3
    config.cell = "gru"  # any name in rnn_jax.cells
    config.width = 16
    config.kinds = ("chunks", "windows", "last")
    config.k = (4, 8, 16, 20, 40)  # steps: k of chunks, k2 of windows and of last
    config.k1 = 4  # of windows: its newest steps, whose outputs send their gradient
    config.symbols = 4
    config.length = 1  # symbols of a trial
    config.lag = 19  # from a trial's last symbol to its recall is lag + length - 1 steps
    config.trials = 4  # in a row; 80 steps in all
    config.batch = 16
    config.fresh = 256  # streams of an evaluation
    config.repeats = 15  # timings of each gradient

    config.steps = 1000  # updates at most; ends sooner once every seed recalls everything
    config.log_every = 100
    config.eval_every = 100
    config.save_every = 0  # at the end alone
    config.keep = 1
    config.parallel = "auto"
    config.init_from = ""
    config.optimizer = ConfigDict(
        {"name": "adam", "rate": 0.01, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "schedule": "constant", "clip": "norm",
         "threshold": 1.0}
    )  # fmt: skip
    return config
