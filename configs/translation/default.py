"""Words backwards, letter by letter, by an encoder-decoder with additive attention: capricorn, nrocirpac.

    python -m experiments.translation
    ... --config.mode=translate --workdir=DIR < lines        a translation for each line, by the trained run in DIR
    ... --config.mode=translate --config.decode.best=5 --workdir=DIR < lines        the five best, with log p
    ... --config.mode=compare --workdir=DIR --config.decode.beside=DIR,DIR        BLEU by length of finished runs

Needs no network and no file: the words are those of Python's standard library. Published: none. Measured 2026-11-26,
jax 0.10.2, 2 CPU cores, 1.5 minutes in all: 100 % of 500 unseen words right to the last letter, test perplexity 1.002.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import training
from rnn_jax.data import pairs


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or translate: lines of standard input; compare: runs in one picture
    config.seed = 0

    config.cell = "gru"  # a name in rnn_jax.cells
    config.width = 128  # units of each layer, in each direction
    config.embed = 32  # of tokens, on both sides
    config.layers = 1  # of the encoder, and of the decoder
    config.bidirectional = True  # does the encoder read from both ends?
    config.inform = "attention"  # what the decoder knows: state, input (the encoder's end at each step), attention
    config.attention = "additive"  # additive, dot, general, concat
    config.when = "before"  # is the query the decoder's state before its step (Bahdanau) or after it (Luong)?
    config.feed = False  # of when=after: input feeding
    config.deep = 0  # units of a maxout layer before the readout; 0: none
    config.dropout = 0.0  # of embeddings, and between layers
    config.dropout_out = 0.0  # of what the readout sees
    config.variational = False  # one dropout mask for all steps
    config.smoothing = 0.0  # of labels
    # scheduled sampling: none, constant, linear, exponential or inverse_sigmoid (rnn_jax/train/schedules.py)
    config.forcing = ConfigDict({"kind": "none", "k": 1.0, "c": 0.0, "least": 0.0})

    config.data = pairs.defaults()

    training.add(config, unit="epoch", steps=8, rate=3e-3)

    config.decode = ConfigDict(
        {
            "beams": 5,  # hypotheses of beam search
            "best": 1,  # of mode=translate: translations of each line; more than one are an n-best list
            "length_power": 1.0, "coverage_weight": 0.0,  # of beam search: rnn_jax.decoding.Penalty
            "batch": 50,  # sentences decoded at once
            "shapes": 5,  # source lengths that they are padded to
            "beside": "",  # of mode=compare: workdirs of other runs
        }
    )  # fmt: skip
    config.step_of_lengths = 4  # of BLEU by length: tokens of a source, from one point to the next
    config.samples = 5  # sentences of the test part that are printed; the first four with a picture of attention
    return config
