"""Parts of speech of CoNLL-2000, without pretrained vectors: what the words before tell, and those after.

    RNN_JAX_DATA=<folder> python -m experiments.tagging --config=configs/tagging/pos.py
    ... --config.cell=vanilla [--config.bidirectional=False]
    ... --config.model=mlp [--config.reach='(0,0)']

Published: none on this split; on Brown (Knet's tutorial) an error of 9.7 % of each word alone, 6.4 of all words before
it, 4.6 of the whole sentence: the order is the same here. Measured, test accuracy and its standard deviation over five
seeds, 2026-11-27, jax 0.10.2, CPU (seconds: one core, 2026-11-25, beside other jobs):

    --config.model=mlp --config.reach='(0,0)'                    94.51 % +- 0.06    40 s  each word alone
    --config.model=mlp --config.reach='(2,0)'                    96.81      0.07          and two words before it
    --config.cell=vanilla --config.bidirectional=False           96.83      0.04    48    and all words before it
    --config.model=mlp                                           97.72      0.02    54    two on either side
    --config.cell=vanilla                                        97.78      0.03    57    the whole sentence

Two words tell as much as the whole past, and the word that follows is worth more than both: a window that sees it beats
a network that reads from left to right alone. The whole sentence beats that window with each of the five seeds.
"""

from configs.tagging import conll2000


def get_config():
    config = conll2000.get_config()
    config.task, config.data.pos = "pos", False
    config.steps = 6
    return config
