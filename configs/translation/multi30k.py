"""German to English on Multi30k with additive attention (Bahdanau et al., 2015), at the sizes of bentrevett's tutorial.

RNN_JAX_DATA=<folder> python -m experiments.translation --config=configs/translation/multi30k.py
... --config.inform=state --config.cell=lstm --config.layers=2 --config.bidirectional=False     no attention
... --config.inform=input --config.bidirectional=False                      the encoder's end at each step
... --config.when=after --config.attention=general --config.feed=True       Luong et al., 2015
... --config.data.languages="('en', 'de')"                                  English to German

Published (Adam, 10 epochs, greedy): 28.3 BLEU with additive attention, 20.6 with the encoder's end at each step, 13.8
without. Not run at this width: about 90 minutes on 2 CPU cores; multi30k_256.py was (32.3 and 13.1).
"""

from configs.translation import default


def get_config():
    config = default.get_config()
    config.width, config.embed = 512, 256
    config.dropout = 0.5
    config.data.source = "multi30k"
    config.data.units, config.data.least = "words", 2
    config.data.batch = 40
    config.steps = 10
    config.optimizer.rate = 1e-3
    return config
