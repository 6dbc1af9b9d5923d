"""Sentiment of whole film reviews (Maas et al., 2011), the first 400 words of each, by the data set of TFDS.

    python -m experiments.classification --config=configs/classification/imdb.py --config.data.download=True

Published: an LSTM without pretraining 86.5 % (Dai & Le, 2015, arXiv:1511.01432). Not run here: there was no network to
fetch the reviews.
"""

from configs.classification import sst2


def get_config():
    config = sst2.get_config()
    config.data.source, config.data.name = "tfds", "imdb_reviews"
    config.data.longest, config.data.row = 400, 400
    config.data.most = 4
    config.least = 5
    config.steps = 4
    return config
