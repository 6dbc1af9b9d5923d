"""Chunks of generated sentences, whose number and tense no window of words tells (rnn_jax/data/generated.py).

    python -m experiments.tagging

Needs no network and no file. Published: none. Measured, test F1, 2026-11-25, jax 0.10.2, 1 core (beside other jobs):

    --config.model=mlp --config.reach='(2,2)'                      93.3    20 s    a window of two words on either side
    --config.cell=vanilla --config.bidirectional=False             95.0    19 s    remembers, from left to right
    --config.bidirectional=False                                   95.4    22 s    the same, an LSTM
    --config.cell=vanilla                                         100.0     -      and looks ahead
    this config                                                   100.0    54 s    the same, an LSTM (26 s of CPU)

Tag with a trained model:
    echo "yesterday the fish near a toous teion were siing a nineion ." |
        python -m experiments.tagging --config.mode=tag --workdir=runs/tagging/default
A model with config.data.pos=True reads word/part-of-speech in place of each word.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import training
from rnn_jax.data import tagged


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or tag: lines of standard input
    config.seed = 0
    config.seeds = 1  # networks that learn together, and vote
    config.task = "chunks"  # chunks, pos (parts of speech)

    config.model = "rnn"  # or mlp: without memory
    config.cell = "lstm"  # of rnn: a name in rnn_jax.cells
    config.bidirectional = True  # of rnn: reads from both ends
    config.layers = 1
    config.reach = (0, 0)  # words before and after each, that are read with it
    config.width = 64  # units of each layer, in each direction
    # widths of the embedded features of a word, 0: none. prefix<n>, suffix<n>: its first and last n letters; shape:
    # capitals, digits and marks; given: the part of speech, where config.data.pos gives it
    config.features = ConfigDict(
        {
            "word": 32, "prefix1": 0, "prefix2": 0, "prefix3": 0,
            "suffix1": 0, "suffix2": 8, "suffix3": 0, "suffix4": 0, "shape": 0, "given": 16,
        }
    )  # fmt: skip
    config.least = 2  # how often a word must occur in training; others are unknown
    config.dropout = 0.1  # of what each layer reads, and of what the readout sees
    config.word_dropout = 0.05  # share of words that training reads as unknown
    config.smoothing = 0.0  # of labels

    config.data = tagged.defaults()

    training.add(config, unit="epoch", steps=8, rate=5e-3, threshold=5.0)
    return config
