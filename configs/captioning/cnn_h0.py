"""Flickr8k, the simple form: the mean of a CNN's features sets the first state of an LSTM, which writes the caption.

    RNN_JAX_DATA=<folder> python -m experiments.captioning --config=configs/captioning/cnn_h0.py

Published with VGG at 224 pixels: BLEU-1 57.9, BLEU-4 16.0 (Karpathy & Fei-Fei, 2015); 63 (Vinyals et al., 2015). At 128
pixels with SqueezeNet's features the targets are BLEU-1 57, BLEU-4 16, CIDEr-D 0.40. Measured 2026-11-27, jax 0.10.2,
2 CPU cores, other jobs beside it; the test part with its five references, a beam of 5:

                                BLEU-1   BLEU-4 (greedy)   ROUGE-L   CIDEr-D   time
    cnn_h0                       56.0     16.7 (16.0)       41.0      0.364    13 min
    ... --config.data.pixels=176 56.3     16.8 (15.8)       41.7      0.376     8 min, no baseline
    ... --config.data.pixels=224 56.4     17.3 (15.8)       41.8      0.380     8 min, no baseline
    show_attend_tell, at 176     58.8     18.5 (17.0)       43.5      0.429    17 min, nothing beside it
    the same again, same seed    58.8     18.1 (17.2)       43.3      0.421    34 min
    and with the faster loop     58.6     18.0 (16.7)       43.0      0.424    18 min, 2026-11-28
    ... --config.data.pixels=128 56.5     17.3 (15.5)       41.9      0.401    15 min
    show_and_tell                54.1     14.8 (14.3)       40.2      0.322     4 min, nothing beside it
    cnn_h0, others' pictures              5.1                         0.068
    attention, others' pictures           4.7                         0.059
    without pictures                      7.2                         0.093

The photographs have 128 pixels; more are an enlargement, which gives the CNN more positions to see them at: 7 x 7, 10 x
10, 13 x 13. At 176 attention is 1.7, 1.3 and 1.2 of a BLEU-4 point ahead of h0 (target 1), at 128 it was 0.6. One seed
each; no more than rounding lies between the runs of attention. Its time is that of the training on cached features
(target 30 min).
Before W_o (the readout) began by its fan-in alone, h0 had 55.5, 16.7, 0.359, and enlarged to 224 pixels 55.6, 16.5,
0.348. Enlarged, with embeddings N(0, 1): 53.3, 15.4, 0.332; validation loss 3.48 after one epoch and 2.930 at the end,
where N(0, 0.01) has 3.54 and 2.897. Reading all 8,000 pictures and computing the features of 14,000 (the training part
mirrored too) took 93 s at 128 pixels beside two trainings (views_seconds; target: of 8,000 in 6 minutes). Chosen on the
validation part: length_power 1.0 (BLEU-4 there 14.6, 15.7, 16.0, 13.8 for 0, 0.7, 1.0, 1.4).
"""

from configs.captioning import default


def get_config():
    config = default.get_config()
    config.data.source = "flickr8k"
    config.data.least, config.data.longest = 4, 24
    config.data.batch, config.data.shapes = 64, 3
    config.encoder.name, config.encoder.frozen = "squeezenet", True
    config.inform = "state"
    config.width, config.embed, config.deep = 256, 256, 256
    config.dropout, config.dropout_out, config.dropout_seen = 0.2, 0.4, 0.2
    config.smoothing = 0.1
    config.flip = True
    config.steps, config.baseline_steps = 10, 2
    config.optimizer.rate = 1e-3
    config.decode.beams, config.decode.length_power = 5, 1.0
    return config
