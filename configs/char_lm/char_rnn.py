"""Karpathy's char-rnn with its default settings, on tinyshakespeare (github.com/karpathy/char-rnn, train.lua).

    export RNN_JAX_DATA=<folder that holds tinyshakespeare/input.txt>
    python -m experiments.char_lm --config=configs/char_lm/char_rnn.py [--config.data.split=nanogpt]

Published: no figures of the defaults but one checkpoint's name in its README, validation 2.0681 at epoch 0.95.
Measured, validation loss in nats per character, 2026-11-22, jax 0.10.2 on 2 CPU cores (beside other jobs):

    split      epoch 1    epoch 7    epoch 11    seconds
    char_rnn     2.139      1.488       1.422    293 for 11 epochs
    nanogpt      2.192      1.636           -    182 for 7 epochs (--config.steps=7)

2 LSTM layers of 128 over one-hot characters, RMSProp 2e-3 (alpha 0.95), times 0.97 an epoch from epoch 10 on, batch 50,
windows of 50, gradients clamped to [-5, 5] element by element, weights U(-0.08, 0.08), forget bias 1, the state carried
over windows and epochs. Biases start at 0 here, at U(-0.08, 0.08) there.

Split "char_rnn": the last 5 % of each of the 50 streams, so that validation text lies between training text: 423
updates an epoch. Split "nanogpt": the last 10 % of the text, 401 updates an epoch; it reads about 0.14 nats higher, and
the two must never be compared.
"""

from typing import Any

from ml_collections import ConfigDict

from configs.char_lm import default


def get_config() -> Any:
    config = default.get_config()
    config.layers = 2
    config.width = 128
    config.init_scale = 0.08
    config.data.source = "tiny_shakespeare"
    config.data.split = "char_rnn"
    config.data.batch = 50
    config.data.window = 50
    config.data.resets = "never"
    config.unit = "epoch"
    config.steps = 11
    config.log_every = 100
    config.eval_every = 1
    config.save_every = 1
    config.optimizer = ConfigDict(
        {
            "name": "rmsprop", "rate": 2e-3, "alpha": 0.95, "eps": 1e-8,
            "schedule": "stepwise", "decay_factor": 0.97, "decay_every": 1, "decay_after": 10,
            "clip": "value", "threshold": 5.0,
        }
    )  # fmt: skip
    config.sample.prompt = "ROMEO:"
    return config
