"""Cells that the engine was not written for, as their papers write them (rnn_jax/benchmarks/variants.py).

    python -m experiments.speed --config=configs/speed/variants.py              2 minutes

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) with nothing else at work, one JAX device,
float32, 20 repeats: ours ("auto", which is "native" here) in ms, and the time of the others over it, medians of
neighbours, the gradient and the forward pass:

    b x t x n x d               gradient                      forward
                                  ours  reference  deferred    ours  reference  deferred
    20x200x6x50
    LSTM, layer normalisation      6.1    2.95     1.83         2.1    1.40     2.33
    LSTM, ordered neurons          5.9    3.73     3.01         2.0    3.39     3.87
    sLSTM                          8.2    1.27     1.33         1.3    1.94     2.12
    mLSTM                         30.4    3.35     2.39         2.2    1.31     1.24
    fast weights                  14.5    2.48     2.23         3.2    0.81     0.84
    32x100x64x64
    LSTM, layer normalisation      6.7    2.85     1.71         2.2    1.45     2.47
    LSTM, ordered neurons          6.5    2.87     2.37         3.2    2.48     2.54
    sLSTM                          8.4    1.20     1.24         1.4    2.15     2.05
    mLSTM                         37.6    3.10     2.07         2.6    2.03     1.63
    fast weights                  20.1    2.49     2.11         2.5    1.64     1.54
    32x100x64x128
    LSTM, layer normalisation     18.9    3.28     2.30         4.6    1.49     2.60
    LSTM, ordered neurons         16.0    3.04     2.85         5.2    3.90     3.88
    sLSTM                         18.9    1.74     1.36         3.1    2.22     2.25
    mLSTM                        158.7    2.28     1.82         6.2    3.40     3.24
    fast weights                  94.4    1.60     1.72         6.1    3.53     3.39

Half of sLSTM's time at the first two shapes is that of new memory, which the allocator's defaults fetch anew for each
call: where freed memory is used again its gradient takes 4.2 ms at 20x200x6x50, and fast weights forward 1.4 ms there,
0.54 of the time of "reference" (median of 200), not 1.2 times as long. The forward passes at 20x200x6x50, of 1 to 3 ms,
differ most from run to run: fast weights were 0.77, 1.11 and 0.81 in three, so the target of at most 1.05 of
"reference" everywhere is missed there in two of them. The memory of mLSTM and of fast weights is d x d numbers for each
row: at d = 128 the backward pass reads 210 MiB and more of all steps. Before 2026-11-29 "auto" left all of these to
XLA, as "deferred", which made the products v k^T of mLSTM for all steps at once: with 32 x 32 numbers for each of 32
rows, in 100 steps, by hand, 33 ms then, 16 by "deferred" since they are made in the loop, and 7 by "native".
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "layer_norm_lstm,ordered_lstm,slstm,mlstm,fast_weights"
    config.shapes = "20x200x6x50,32x100x64x64,32x100x64x128"
    config.contenders = "ours,reference,deferred"
    return config
