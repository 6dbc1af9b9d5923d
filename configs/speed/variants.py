"""Cells that the engine was not written for, as their papers write them (rnn_jax/benchmarks/variants.py).

    python -m experiments.speed --config=configs/speed/variants.py              2 minutes

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) with nothing else at work, one JAX device,
float32, 20 repeats: ours ("auto", which is "native" here) in ms, and the time of the others over it, medians of
neighbours, the gradient and the forward pass:

    b x t x n x d               gradient                      forward
                                  ours  reference  deferred    ours  reference  deferred
    20x200x6x50
    LSTM, layer normalisation       7.2    3.22     1.91         2.2    1.56     2.71
    LSTM, ordered neurons           6.3    4.41     3.32         2.4    3.25     3.94
    sLSTM                           4.5    2.69     2.88         1.5    1.89     2.23
    mLSTM                          33.7    3.62     2.58         2.2    1.46     1.45
    fast weights                   18.7    2.48     2.13         1.6    1.73     1.94
    32x100x64x64
    LSTM, layer normalisation       8.8    3.26     1.82         2.5    1.51     2.46
    LSTM, ordered neurons           7.7    3.21     2.66         2.6    3.61     3.61
    sLSTM                           5.3    2.56     2.49         1.8    2.09     2.19
    mLSTM                          41.7    3.35     2.25         2.2    2.70     2.18
    fast weights                   21.1    2.97     2.51         1.8    2.59     2.43
    32x100x64x128
    LSTM, layer normalisation      23.3    3.23     2.21         5.8    1.52     2.49
    LSTM, ordered neurons          17.7    3.25     2.77         6.3    3.96     3.91
    sLSTM                          11.9    3.68     2.78         4.1    2.12     2.28
    mLSTM                         170.3    2.40     1.91         7.0    3.71     3.42
    fast weights                  104.3    1.77     1.80         6.8    3.47     3.27

The last of four runs that day; in all of them "reference" and "deferred" took at least 1.34 times as long. In the first
three the gradient of sLSTM took 9.6, 10.4 and 23.2 ms, half of that for new memory, which the allocator's defaults
fetch anew for each call; in the last it did not, nor in four by hand after that, by the code of either. Before helpers
left the core of the thread that calls them (runtime.cc), forward passes of 1 to 3 ms were by one thread of the two now
and then, by where this system had left the other: fast weights had 0.8 there. The memory of mLSTM and of fast weights
is d x d numbers for each row: at d = 128 the backward pass reads 210 MiB and more of all steps. Before 2026-11-29
"auto" left all of these to XLA, as "deferred", which made the products v k^T of mLSTM for all steps at once: with 32 x
32 numbers for each of 32 rows, in 100 steps, by hand, 33 ms then, 16 by "deferred" since they are made in the loop, and
7 by "native".

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
