"""One LSTM written in three ways: does it matter how? And heads, each with a matrix of its own.

    python -m experiments.speed --config=configs/speed/ways.py                  2 minutes

lstm         h @ W_h of all rows, as in rnn_jax/cells/lstm.py
sample_lstm  W h of one sample, as papers print it, under jax.vmap (rnn_jax/benchmarks/variants.py)
einsum_lstm  einsum("ij,bj->bi", W, h), each gate with a matrix of its own
heads_lstm   blocks of at most 64 units, which read h of their own block alone (rnn_jax/cells/heads_lstm.py)

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) with nothing else at work, one JAX device,
float32, 20 repeats: ours ("auto", which is "native" here) in ms, and the time of "reference" over it, the median of
neighbours:

                    gradient                                            forward
                    lstm        sample      einsum      heads           lstm       sample     einsum     heads
    20x200x6x50      3.1  3.6    3.0  3.9    3.6  4.9    3.1  5.3        1.1 1.7    1.2 3.3    1.3 3.2    1.1 4.2
    32x100x64x128    9.5  4.4    9.2  4.0    9.7  3.5    7.6  4.3        3.0 2.2    3.2 2.8    3.5 3.1    2.5 3.6
    16x256x256x256  54.8  3.5   56.1  3.2   59.5  3.4   38.9  5.1       16.7 2.1   17.9 2.5   18.4 7.6   12.4 4.2

In a run before, gradients of samples took 1.00, 0.96 and 1.03 of the time of h @ W, einsums 1.12, 0.97 and 1.16. With
the code of that morning, which left products as XLA writes them, W h of one sample took 14.8 ms at 32x100x64x128 and 90
at 16x256x256x256 (18.8 and 117 where the weights are transposed in the step), heads 17.2 and 102, h @ W 8.5 and 56.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,sample_lstm,einsum_lstm,heads_lstm"
    config.shapes = "20x200x6x50,32x100x64x128,16x256x256x256"
    config.contenders = "ours,reference"
    return config
