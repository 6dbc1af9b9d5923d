"""German to English on Multi30k at a width for CPUs, with attention and without: Bahdanau et al. (2015), Fig. 2.

RNN_JAX_DATA=<folder> python -m experiments.translation --config=configs/translation/multi30k_256.py
... --config.inform=state        its twin without attention
... --config.data.longest=12     both again, trained on short sentences alone: RNNsearch-30 beside RNNsearch-50
"""

from configs.translation import multi30k


def get_config():
    config = multi30k.get_config()
    config.width, config.embed, config.deep = 256, 128, 256
    config.data.batch = 32
    return config
