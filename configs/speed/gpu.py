"""One recurrent layer on a GPU, beside cuDNN and flax: b t n d = 16 1024 768 768, float32 and bfloat16.

    pip install '.[bench]' 'jax[cuda12]'        # torch with CUDA brings cuDNN's own LSTM
    python -m experiments.speed --config=configs/speed/gpu.py                               2 minutes
    JAX_DEFAULT_MATMUL_PRECISION=highest python -m experiments.speed --config=configs/speed/gpu.py --config.cells=gru \
        --config.shapes=16x10000x2x16 --config.dtypes=float32 --config.contenders=reference,deferred,newton \
        --config.passes=fwd,fwdbwd                                                          parallel in time, 1 minute

Targets on an H100, forward and backward: LSTM at most 26 ms by "deferred" or "fused" in bfloat16, at most 1.2 x torch's
cuDNN by "cudnn" in float32; gru (reset before the product) and peephole_lstm at least 3 x as fast as flax NNX's LSTM;
heads_lstm (12 heads of 64) at most 8.6 ms by "fused"; Newton on the GRU at least 10 x as fast as "reference", and
within 1e-6 of it. Published at this shape, LSTM, ms: cuDNN in float16 5.2; FlashRNN fused 13.6, alternating 26.5 (both
bfloat16); haste 44 (float32); a plain PyTorch loop 484 (Poppel et al., 2024, arXiv:2412.07752).

Measured 2026-11-27 on one H100 (jax 0.11.2, torch 2.11 with CUDA 13) by these two commands, median of 20 in turn, ms:

                    float32                                     bfloat16
                    deferred  reference  flax  torch  cudnn     deferred  reference  flax  torch (in float16)
    lstm            31.1      80.4       106   48.9   48.7      26.5      54.5       74.2  39.9 (7.5)
    gru             31.3      71.9       55.6  44.2             28.1      54.7       44.8  37.2 (37.1)
    peephole_lstm   31.3      87.8                              27.7      60.4
    heads_lstm      28.3      50.1       fused 7.9              25.7      43.0       fused 5.4

    GRU 16x10000x2x16     forward: reference 96.4, deferred 74.0, newton 8.3
                          and backward: reference 348, deferred 207, newton 11.8

"deferred" ran one step in each iteration of its loop there. By hand the same day, as many steps as these, 15 repeats:

                                            1       2       4       8       1 and double buffering
    lstm 16x1024x768x768, bfloat16          24.2    18.9    16.6    15.6    22.6
      float32                               28.0    22.8    18.4    17.7    26.6
    gru 16x1024x768x768, float32            28.5    24.1    22.2    22.6    28.1
    heads_lstm 16x1024x768x768, bfloat16    23.8    16.0    12.3    10.4    21.8
    lstm 32x100x64x128, float32             2.4     1.8     1.4     1.3     2.2
    seconds to compile the bfloat16 LSTM    3.1*    0.7     1.0     2.4     0.6     (* with what comes first)

So it runs 4 now (rnn_jax/methods/deferred/loop.py), which the first table did not have yet. (Double buffering is
XLA_FLAGS=--xla_gpu_enable_while_loop_double_buffering=true. The loop in a command buffer,
--xla_gpu_enable_command_buffer=...,WHILE, was slower on 2026-11-26: 39.2 for 24.5 in bfloat16.)
The GRU of flax is the one with the reset after the product. Newton's states were at most 2.4e-7 from the reference's.
torch keeps the LSTM in float16 as cuDNN's fastest kernels want it; in bfloat16 it packs the weights at every call.
"fused_mosaic", the same kernels by Mosaic GPU (rnn_jax/methods/fused/mosaic.py), came after and was not run.
tests/methods/test_gpu.py compares every method with "reference" on the GPU. 46 of its 54 tests ran within their time,
and one failed, which was not seen by name. On a CPU the GRU in bfloat16 failed there too, as the gradient of its bias
was summed in bfloat16. That is mended, and to be run again.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.cells = "lstm,gru,peephole_lstm,heads_lstm"
    config.shapes = "16x1024x768x768"
    config.dtypes = "float32,bfloat16"
    config.contenders = "ours,reference,deferred,fused,fused_mosaic,cudnn,flax_nnx,torch,torch_float16"
    config.passes = "fwdbwd"
    config.seconds_per_shape = 8.0
    return config
