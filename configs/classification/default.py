"""Opinions of a small grammar, of which only the clause after the last `but` counts (rnn_jax/data/generated.py).

    python -m experiments.classification

Needs no network and no file. Published: none. Measured, test accuracy, 2026-11-25, jax 0.10.2, 1 core (beside other
jobs):

    this config                                         100.0 %    67 s (32 s of CPU)
    --config.model=mlp --config.pool=mean                52.8      29 s                the average of the words

Classify with a trained model:
    echo "the plot was not dull but the end was hardly moving" |
        python -m experiments.classification --config.mode=classify --workdir=runs/classification/default
"""

from typing import Any

from ml_collections import ConfigDict

from configs import training
from rnn_jax.data import labelled


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or classify: lines of standard input
    config.seed = 0
    config.seeds = 1  # networks that learn together, and vote

    config.model = "rnn"  # or mlp: without memory
    config.cell = "lstm"  # of rnn: a name in rnn_jax.cells
    config.bidirectional = True  # of rnn: reads from both ends
    config.layers = 1
    config.reach = (0, 0)  # words before and after each, that are read with it
    config.width = 32  # units of each layer, in each direction
    config.pool = "attention"  # attention, last, mean, max (rnn_jax/models/pooling.py)
    # widths of the embedded features of a word, 0: none. prefix<n>, suffix<n>: its first and last n letters; shape:
    # capitals, digits and marks
    config.features = ConfigDict(
        {
            "word": 16, "prefix1": 0, "prefix2": 0, "prefix3": 0,
            "suffix1": 0, "suffix2": 0, "suffix3": 0, "suffix4": 0, "shape": 0,
        }
    )  # fmt: skip
    config.least = 1  # how often a word must occur in training; others are unknown
    config.dropout = 0.1  # of what each layer reads, and of what is pooled
    config.word_dropout = 0.0  # share of words that training reads as unknown
    config.smoothing = 0.0  # of labels

    config.data = labelled.defaults()

    training.add(config, unit="epoch", steps=10, rate=1e-2, threshold=5.0)
    config.samples = 4  # of pool=attention: sentences of the test part drawn
    return config
