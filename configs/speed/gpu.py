"""One recurrent layer on a GPU, beside cuDNN and flax: b t n d = 16 1024 768 768, float32 and bfloat16.

    pip install '.[bench]' 'jax[cuda12]'        # torch with CUDA brings cuDNN's own LSTM
    python -m experiments.speed --config=configs/speed/gpu.py                                       about 10 minutes
    ... --config.cells=gru --config.shapes=16x10000x2x16 --config.contenders=ours,reference,newton  parallel in time

Targets on an H100, forward and backward: LSTM at most 26 ms by "deferred" or "fused" in bfloat16, at most 1.2 x torch's
cuDNN by "cudnn" in float32; gru (reset before the product) and peephole_lstm at least 3 x as fast as flax NNX's LSTM;
heads_lstm (12 heads of 64) at most 8.6 ms by "fused"; Newton on the GRU at least 10 x as fast as "reference", and
within 1e-6 of it. Published at this shape, LSTM, ms: cuDNN in float16 5.2; FlashRNN fused 13.6, alternating 26.5 (both
bfloat16); haste 44 (float32); a plain PyTorch loop 484 (Poppel et al., 2024, arXiv:2412.07752).

Not measured: no GPU was at hand.
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
