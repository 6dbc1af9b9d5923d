"""Chunks of CoNLL-2000 (Tjong Kim Sang & Buchholz, 2000) by a bidirectional LSTM, without pretrained vectors.

    RNN_JAX_DATA=<folder> python -m experiments.tagging --config=configs/tagging/conll2000.py

Published: F1 94.46 by a BiLSTM-CRF with pretrained vectors and lists of names (Huang, Xu & Yu, 2015, arXiv:1508.01991).
Target 92.0. Measured, 2026-11-25, jax 0.10.2, 1 core (beside other jobs):

    test F1 93.39, accuracy 95.96 %; validation F1 93.82          258 s (150 s of CPU)

The last 1,000 sentences of the training part are the validation part. Parts of speech are given, as in the shared task
(config.data.pos), so lines to tag give them too, as word/part-of-speech:
    echo "He/PRP ran/VBD ./." | python -m experiments.tagging --config.mode=tag --workdir=runs/tagging/conll2000
"""

from configs.tagging import default


def get_config():
    config = default.get_config()
    config.width = 128
    config.features.update(
        {"word": 100, "prefix2": 16, "prefix3": 16, "suffix1": 8, "suffix2": 16, "suffix3": 32, "shape": 8, "given": 32}
    )
    config.dropout, config.word_dropout = 0.4, 0.05
    config.data.source, config.data.pos = "conll2000", True
    config.steps = 10
    config.log_every = 100
    config.optimizer.rate = 2e-3
    config.optimizer.threshold = 5.0
    return config
