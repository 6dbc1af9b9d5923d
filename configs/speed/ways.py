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
    20x200x6x50      3.2  3.7    3.2  3.9    3.6  4.5    3.1  5.3        1.2 1.7    1.1 3.5    1.3 3.2    1.1 4.3
    32x100x64x128   10.1  4.1    9.7  3.9    9.8  3.6    8.3  4.3        3.3 2.1    3.3 2.7    3.4 3.1    2.8 3.5
    16x256x256x256  57.3  3.5   58.9  3.2   66.2  3.4   46.8  4.8       18.4 2.6   17.4 2.4   21.5 6.9   13.7 4.2

In the run before, and by hand, the einsums took 1.02 to 1.04 times as long as h @ W at the last two shapes. With the
code of that morning, which left products as XLA writes them, W h of one sample took 14.8 ms at 32x100x64x128 and 90 at
16x256x256x256 (18.8 and 117 where the weights are transposed in the step), heads 17.2 and 102, h @ W 8.5 and 56.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,sample_lstm,einsum_lstm,heads_lstm"
    config.shapes = "20x200x6x50,32x100x64x128,16x256x256x256"
    config.contenders = "ours,reference"
    return config
