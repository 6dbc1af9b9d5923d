"""The gradient of a GRU that reads keys under additive attention at each step, beside plain autodiff of `lax.scan`.

    python -m experiments.speed --config=configs/speed/attention.py              half a minute

Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel (AVX-512, AMX) otherwise idle, float32, medians of 20; in
brackets the state of the day before, by XLA, in a process of its own in turn:

    b x t x s x d      "auto", ms       reference over it    memory, MiB      of reference
    64x15x49x384       82.3 (104)       3.86 (3.07)          33.2 (42.6)      176.3
    64x15x100x256      74.2 (96)        4.21 (2.97)          30.6 (40.8)      225.9
    80x20x20x256       42.6 (67)        3.47 (2.13)          20.7 (30.9)      89.3

On a slower host "auto" had 266.5, 206.6 and 146.7 ms on 2026-11-28, and 142.0, 141.2 and 101.4 later that day.

What changed: tanh(W_q q + W_k k_j), for all keys, is made again by the backward pass in place of being stored, and the
gradient of v is summed in the loop (rnn_jax/methods/deferred/rewriting.py, spread_out); the keys are laid out row by
row before the loop (rnn_jax/attention.py); sums over keys are products with ones where XLA takes them (layout.py,
sum_by_product). Since the 29th the loop is "native": the products of queries, weights and keys are vectors, and each
thread sums its own share of the gradients of v and of the keys.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes = ""
    config.attention_shapes = "64x15x49x384,64x15x100x256,80x20x20x256"
    return config
