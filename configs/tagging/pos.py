"""Parts of speech of CoNLL-2000, without pretrained vectors: what the words before tell, and those after.

    RNN_JAX_DATA=<folder> python -m experiments.tagging --config=configs/tagging/pos.py
    ... --config.cell=vanilla [--config.bidirectional=False]
    ... --config.model=mlp [--config.reach=0]

Published: none on this split. Measured, test accuracy and seconds of CPU, 2026-11-25, jax 0.10.2, 1 core (beside other
jobs):

    --config.model=mlp --config.reach=0                          94.51 %    40 s  each word alone
    --config.cell=vanilla --config.bidirectional=False           96.87      48    and all words before it
    --config.model=mlp                                           97.77      54    a window of two words on either side
    --config.cell=vanilla                                        97.83      57    the whole sentence

The word that follows is worth more than the whole past: a window that sees two beats a network that reads from left to
right alone.
"""

from configs.tagging import conll2000


def get_config():
    config = conll2000.get_config()
    config.task, config.data.pos = "pos", False
    config.steps = 6
    return config
