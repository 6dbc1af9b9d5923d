"""Cells that the engine was not written for, as their papers write them (rnn_jax/benchmarks/variants.py).

    python -m experiments.speed --config=configs/speed/variants.py              2 minutes

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) with nothing else at work, one JAX device,
float32, 20 repeats: ours ("auto", which is "native" here) in ms, and the time of the others over it, medians of
neighbours, the gradient and the forward pass:

    b x t x n x d               gradient                      forward
                                  ours  reference  deferred    ours  reference  deferred
    20x200x6x50
    LSTM, layer normalisation       6.9    3.20     1.88         2.3    1.50     2.62
    LSTM, ordered neurons           6.8    4.42     3.21         2.3    3.56     3.99
    sLSTM                           9.6    1.39     1.46         1.5    2.08     2.22
    mLSTM                          37.5    3.60     2.66         2.3    1.56     1.40
    fast weights                   18.4    2.73     2.45         1.7    1.70     1.85
    32x100x64x64
    LSTM, layer normalisation       9.1    3.00     1.72         2.8    1.53     2.55
    LSTM, ordered neurons           8.0    3.19     2.65         2.6    3.68     3.71
    sLSTM                          10.4    1.37     1.35         1.8    2.08     2.10
    mLSTM                          42.2    3.33     2.34         2.3    2.57     2.03
    fast weights                   24.1    2.65     2.34         1.8    2.65     2.37
    32x100x64x128
    LSTM, layer normalisation      24.1    3.39     2.39         5.5    1.64     2.66
    LSTM, ordered neurons          19.1    3.29     3.28         6.9    3.76     3.64
    sLSTM                          23.2    2.06     1.51         4.7    2.04     2.13
    mLSTM                         175.3    2.44     1.96         6.8    3.69     3.49
    fast weights                  107.5    1.83     1.84         8.1    3.10     3.00

The last of three runs; in all of them "reference" and "deferred" took at least 1.34 times as long. Half of sLSTM's time
at the first two shapes is that of new memory, which the allocator's defaults fetch anew for each call: where freed
memory is used again its gradient takes 4.2 ms at 20x200x6x50. Before helpers left the core of the thread that calls
them (runtime.cc), forward passes of 1 to 3 ms were by one thread of the two now and then, by where this system had left
the other: fast weights had 0.8 there. The memory of mLSTM and of fast weights is d x d numbers for each row: at d = 128
the backward pass reads 210 MiB and more of all steps. Before 2026-11-29 "auto" left all of these to XLA, as "deferred",
which made the products v k^T of mLSTM for all steps at once: with 32 x 32 numbers for each of 32 rows, in 100 steps, by
hand, 33 ms then, 16 by "deferred" since they are made in the loop, and 7 by "native".

Cells linear in their carry (--config.cells=lru,diagonal,min_gru,min_lstm, at 20x200x6x50 and 32x100x64x128):
"reference" takes 1.66 to 2.65 times as long for the gradient, 1.07 to 1.92 forward; the LRU's complex state is a pair
of real ones in the loop, 0.75 to 0.86 of the time of "deferred".
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "layer_norm_lstm,ordered_lstm,slstm,mlstm,fast_weights"
    config.shapes = "20x200x6x50,32x100x64x64,32x100x64x128"
    config.contenders = "ours,reference,deferred"
    return config
