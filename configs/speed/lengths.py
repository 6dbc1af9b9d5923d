"""Sequences of unequal lengths: a batch of half to all of t steps, at random, under `scan(..., lengths=)`.

    python -m experiments.speed --config=configs/speed/lengths.py               1 minute

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) with nothing else at work, one JAX device,
float32, 20 repeats: ours ("auto", which is "native" here) in ms, and the time of the others over it, medians of
neighbours; in brackets the code of an hour before, run after it:

    b x t x n x d        gradient                             forward
                  ours  reference      deferred     ours  reference      deferred
    20x200x6x50
    LSTM           4.8    3.35 (2.00)    2.15       1.50    1.84 (0.67)    2.12
    GRU            3.7    2.75 (2.15)    2.07       1.09    2.19 (1.54)    2.41
    tanh           1.4    3.05 (1.69)    1.76       0.45    1.96 (1.04)    2.10
    32x100x64x128
    LSTM          13.3    3.67 (2.50)    1.98       4.11    2.07 (0.82)    2.15
    GRU           11.0    2.89 (2.20)    2.11       3.07    2.14 (1.58)    2.44
    tanh           4.2    2.32 (1.49)    1.72       1.24    1.84 (0.89)    1.80
    50x50x128x128
    LSTM          13.2    2.99 (2.11)    2.02       4.49    1.84 (0.94)    2.23
    GRU            9.6    2.89 (2.35)    1.93       2.97    2.10 (1.49)    2.10
    tanh           3.6    2.20 (1.44)    1.76       1.16    1.70 (1.00)    1.73

What changed: compilers made no vectors of loops that read truth values as such, nor of some that choose between two
values, and there is such a choice, between the old state and the new one, in each step under a mask. Truth values are
read as bytes now, and chosen from by their bits. It holds for resets, for zoneout, and for any `jnp.where` in a step.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.contenders = "ours,reference,deferred"
    config.shortest = 0.5
    return config
