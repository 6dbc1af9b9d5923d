"""German to English on Multi30k at a width for CPUs, with attention and without: Bahdanau et al. (2015), Fig. 2.

    RNN_JAX_DATA=<folder> python -m experiments.translation --config=configs/translation/multi30k_256.py
    ... --config.inform=state        its twin without attention
    ... --config.inform=input        the encoder's end at each step
    ... --config.when=after --config.attention=general --config.feed=True        Luong et al., 2015
    ... --config.data.languages="('en', 'de')"        English to German
    ... --config.data.longest=12 --config.steps=17      both on short sentences alone: RNNsearch-30 beside RNNsearch-50
    python -m experiments.translation --config.mode=compare --workdir=DIR --config.decode.beside=DIR

Measured 2026-11-27 and (the first row) 28, jax 0.10.2, 2 shared CPU cores, other jobs beside it; lower-cased tokens,
test 2016, sacrebleu nrefs:1|case:mixed|eff:no|tok:none|smooth:exp|version:2.6.0, a beam of 5 (greedy in brackets):

                       BLEU           chrF    test perplexity    words/s    time
    attention          34.7 (33.6)    51.4    6.5                2,520      16 min (20 of CPU)
    its twin           16.1 (15.7)    33.0    12.6               5,400      8 min
    the end, each step 21.8 (21.3)    39.0    9.8                4,740      9 min
    Luong              34.8 (33.7)    51.7    6.4                2,460      16 min
    English to German  32.6 (30.8)    55.1    5.6                1,760      23 min

One seed each. Attention on the 27th, before each line had a limit of its own and attention its faster loop: 34.7
(33.3), 51.5, 6.5 in 13 min. Before W_o began by its fan-in alone (2026-11-25 and 26) attention had 32.3 (30.4), its
twin 13.1 (12.5), the end at each step 19.5 (18.9). With embeddings N(0, 1) besides, attention got 31.4 (29.7).
Luong before: after 50 updates the largest weight was 0.99 on average (entropy 0.02), validation loss 3.97 after 250
updates. Scaling alone did not mend that (0.3, but 4.13); with the new W_o and W_c, embeddings N(0, 1) and deep=0 it was
3.09 scaled and 3.52 not, after an epoch; which part does how much was not measured. Now 3.06 after the first epoch.
BLEU by source tokens, at most 8, 12, 16, 20, 24, 28: with attention 32.2, 36.6, 35.8, 35.1, 21.6, 24.0; without 19.5,
17.8, 15.4, 13.2, 9.5, 9.2. So the gap grows up to 20 tokens, 12.7 to 21.9, and is 12.1 and 14.8 beyond, where there
are 27 and 13 sentences. Published, and measured at width 512: multi30k.py.
Trained on pairs of at most 12 tokens, as many updates (--config.steps=17; 2026-11-27 on an H100): 21.7 with attention
and 12.2 without, by length 28.0, 28.8, 18.6, 9.5, 6.7, 4.4 and 18.5, 15.2, 10.2, 6.5, 2.8, 2.9: both fail beyond the
lengths they were trained on, attention too, and the gap closes there. In 6 epochs, 606 updates (2026-11-25):
10.0 and 7.0. A beam of 5 over 100 sentences of 30 words at this width takes 1.9 s (target 3;
tests/experiments/test_figures.py).
"""

from configs.translation import multi30k


def get_config():
    config = multi30k.get_config()
    config.width, config.embed, config.deep = 256, 128, 256
    config.data.batch = 32
    config.steps = 6
    return config
