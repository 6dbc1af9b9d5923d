"""German to English on Multi30k with additive attention (Bahdanau et al., 2015), at the sizes of bentrevett's tutorial.

RNN_JAX_DATA=<folder> python -m experiments.translation --config=configs/translation/multi30k.py
... --config.inform=state --config.cell=lstm --config.layers=2 --config.bidirectional=False     no attention
... --config.inform=input --config.bidirectional=False                      the encoder's end at each step
... --config.when=after --config.attention=general --config.feed=True       Luong et al., 2015
... --config.data.languages="('en', 'de')"                                  English to German

Published (Adam, 10 epochs, greedy; BLEU by torchtext): 28.3 with additive attention, 20.6 with the encoder's end at
each step, 13.8 without. Measured 2026-11-29, the last row on the 28th, jax 0.10.2, 2 CPU cores of an Intel beside other
jobs; 10 epochs, one seed; test 2016, lower-cased tokens, sacrebleu
nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|version:2.6.0, a beam of 5 (greedy in brackets):

                       BLEU           chrF    test perplexity    words/s    training
    additive           38.5 (37.3)    55.9    5.4                740        164 min, interrupted and paused
    the end, each step 25.6 (24.8)    43.4    8.2                1,610      55 min
    no attention       14.1 (13.5)    31.3    13.6               1,770      59 min
    Luong              40.0 (38.7)    57.4    4.8                1,140      71 min

BLEU by source tokens, at most 8, 12, 16, 20, 24, 28: additive 34.1, 40.2, 41.5, 36.1, 25.1, 30.2; without 16.4, 16.0,
13.7, 11.2, 7.8, 9.1. So the gap grows up to 16 tokens, 17.7 to 27.8, and is 24.9, 17.3 and 21.1 after that, of 83, 27
and 13 sentences. Published perplexities (24 to 44) are those of a decoder that reads its own words, and not comparable.
Before W_o began by its fan-in alone (2026-11-27, on an H100 that up to five runs shared, jax 0.11.2, 92 to 127 s each)
additive attention had 37.7 (36.6), the end at each step 25.1 (23.8), none 14.5 (13.9), and Luong's 22.4 (21.7), before
its scores were scaled at the beginning, too (`rnn_jax.attention.init`). By length Luong's has 38.1, 42.0, 41.3, 38.2,
28.5, 28.1 now. English to German: multi30k_256.py.
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
