"""The gradient of a GRU that reads keys under additive attention at each step, beside plain autodiff of `lax.scan`.

    python -m experiments.speed --config=configs/speed/attention.py              half a minute

Measured 2026-11-28, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) otherwise idle, float32, medians of 20; in
brackets before the changes below, in a process of its own a minute later:

    b x t x s x d      "auto", ms       reference over it    memory, MiB      of reference
    64x15x49x384       128.8 (253.1)    3.33 (1.90)          42.4 (110.0)     176.3
    64x15x100x256      124.6 (208.3)    3.00 (2.07)          41.0 (131.3)     225.9
    80x20x20x256        78.4 (158.5)    2.32 (1.35)          30.2 (70.8)       89.3

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
