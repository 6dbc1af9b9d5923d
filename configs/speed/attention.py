"""The gradient of a GRU that reads keys under additive attention at each step, beside plain autodiff of `lax.scan`.

    python -m experiments.speed --config=configs/speed/attention.py              half a minute

Measured 2026-11-28, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) otherwise idle, float32, medians of 20; in
brackets before the changes below, in a process of its own a minute later:

    b x t x s x d      "auto", ms       reference over it    memory, MiB      of reference
    64x15x49x384       142.0 (266.5)    3.18 (1.88)          42.6 (110.3)     176.3
    64x15x100x256      141.2 (206.6)    2.97 (2.16)          40.8 (131.1)     225.9
    80x20x20x256       101.4 (146.7)    2.21 (1.32)          30.9 (71.6)       89.3

Forty minutes before, without the gradient of x, it took 128.8 (253.1), 124.6 (208.3) and 78.4 ms (158.5).

What changed: tanh(W_q q + W_k k_j), for all keys, is made again by the backward pass in place of being stored, and the
gradient of v is summed in the loop (rnn_jax/methods/deferred/placement.py, spread_out); sums over keys are products
with ones (layout.py, sum_by_product); the keys are laid out row by row before the loop (rnn_jax/attention.py).
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ""
    config.attention_shapes = "64x15x49x384,64x15x100x256,80x20x20x256"
    return config
