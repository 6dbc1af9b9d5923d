"""One recurrent layer on a GPU, beside cuDNN and flax: b t n d = 16 1024 768 768, float32 and bfloat16.

    pip install '.[bench]' 'jax[cuda12]'        # torch with CUDA brings cuDNN's own LSTM
    python -m experiments.speed --config=configs/speed/gpu.py                                       about 10 minutes
    ... --config.cells=gru --config.shapes=16x10000x2x16 --config.contenders=ours,reference,newton  parallel in time

Targets on an H100, forward and backward: LSTM at most 26 ms by "deferred" or "fused" in bfloat16, at most 1.2 x torch's
cuDNN by "cudnn" in float32; gru (reset before the product) and peephole_lstm at least 3 x as fast as flax NNX's LSTM;
heads_lstm (12 heads of 64) at most 8.6 ms by "fused"; Newton on the GRU at least 10 x as fast as "reference", and
within 1e-6 of it. Published at this shape, LSTM, ms: cuDNN in float16 5.2; FlashRNN fused 13.6, alternating 26.5 (both
bfloat16); haste 44 (float32); a plain PyTorch loop 484 (Poppel et al., 2024, arXiv:2412.07752).

Measured 2026-11-26 on one H100 (jax 0.11.2, torch 2.11 with CUDA 13), forward and backward, median of 20 in turn, ms:

                     float32                          bfloat16
    lstm             deferred 31.2, torch 43.9,       deferred 26.9, reference 53.5, torch 41.1, flax NNX 72.5
                     flax NNX 106
    gru              deferred 28.7
    peephole_lstm    deferred 28.9
    heads_lstm                                        fused 5.3, deferred 24.2
    GRU 16x10000x2x16, forward alone, products in float32: reference 98.9, newton 8.1, at most 2.4e-7 apart

The LSTM by "deferred" alone in a process, median of 15, bfloat16 and float32: 24.5 and 27.8; with
XLA_FLAGS=--xla_gpu_enable_while_loop_double_buffering=true 22.5 and 26.1; with the loop in a command buffer
(--xla_gpu_enable_command_buffer=...,WHILE) 39.2 and 41.7: slower.
By the calls of rnn_jax.benchmarks, not by the command above, which was not run. In bfloat16 torch
warned that it compacts its weights at every call: that time may be too long. "cudnn" refused cells.lstm, since its
arguments lay on a mesh; it no longer does, and was not measured since. Newton's gradient was not timed.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru,peephole_lstm,heads_lstm"
    config.shapes = "16x1024x768x768"
    config.dtypes = "float32,bfloat16"
    config.contenders = "ours,reference,deferred,fused,cudnn,flax_nnx,torch"
    config.seconds_per_shape = 60.0
    return config
