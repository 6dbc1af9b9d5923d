"""Strings of spoken digits: the Free Spoken Digit Dataset, six speakers.

    export RNN_JAX_DATA=<folder that holds fsdd/train.zip and fsdd/test.zip>
    python -m experiments.speech --config=configs/speech/fsdd.py

Trained on strings of 3 to 7 recordings of one speaker (index 7 to 24, or as many as train.zip holds), validated on
index 5 and 6, tested on strings of the official test recordings (index 0 to 4): 960 each, drawn once with a fixed seed.
All six speakers are in each part. Published: none for strings of these digits. Target: at most 3 % label errors.

Measured, 2026-11-25, jax 0.10.2, 1 core that other jobs shared, 1,000 updates in 509 s (with --config.seed=1 the whole
command took 289 s of that core's time):

    label error rate    prefix beam    best path    strings without an error
    test                     0.56 %       0.58 %                      97.3 %
    validation               1.10 %       1.08 %                      95.3 %
    test, seed 1             0.64 %       0.64 %                      97.1 %

One word alone is not what it was trained on: of the 300 test recordings as they are, mode=transcribe writes 274 right.
"""

from configs.speech import default


def get_config():
    config = default.get_config()
    config.width = 128
    config.data.source = "fsdd"
    config.data.held_out = 960
    config.unit = "epoch"
    config.steps = 20
    config.eval_every = 5
    config.save_every = 5
    config.optimizer.rate = 3e-3
    config.optimizer.warmup = 1
    return config
