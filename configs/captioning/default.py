"""Pictures of coloured shapes and sentences about them: a small CNN and a decoder learn to see and to write.

    python -m experiments.captioning

Needs no network and no file. The test part has combinations of colours, shapes and a relation that training never had.
Measured 2026-11-29, jax 0.10.2, 2 shared CPU cores, 2.5 minutes: 96.8 % of 500 captions are right to the last word
(target 95), BLEU-4 98.6; written of the pictures of others 14.0, CIDEr-D 1.03 for 9.8; without pictures, after an
epoch, 0.0 and 0.39: it writes one caption for all. 95.8 % with seed 1; after 10 epochs 94.2 %, for which 12 were chosen
(2026-11-27). With half the pictures, 12 epochs and a rate of 2e-3 75.6 % (2026-11-26).
"""

from typing import Any

from ml_collections import ConfigDict

from configs import training
from rnn_jax.data import captions


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or caption: pictures of one's own; judge: metrics of a trained model
    config.images = ""  # of mode=caption: files and folders, with commas between
    config.seed = 0

    config.encoder = ConfigDict(
        {
            "name": "small",  # squeezenet, resnet18, resnet50, small (rnn_jax/models/vision)
            "weights": "",  # a file; "": of squeezenet that of the data root, of the others random numbers
            "frozen": False,  # features are computed once, and cached
            "widths": (16, 32, 64, 96),  # of small: channels, from one halving of the picture to the next
        }
    )
    config.cell = "lstm"  # a name in rnn_jax.cells
    config.width = 128  # units of each layer
    config.embed = 64  # of words
    config.layers = 1
    config.see = "h0"  # where the picture enters: h0, or first (as the first word)
    config.inform = "attention"  # what else each step knows: state (nothing), input (the features' mean), attention
    config.attention = "additive"  # additive, dot, general, concat
    config.when = "before"  # is the query the decoder's state before its step (Xu) or after it (Luong)?
    config.feed = False  # of when=after: input feeding
    config.gate = False  # of when=before: a learned factor on what is read (Xu's beta)
    config.deep = 0  # units of a maxout layer before the readout; 0: none
    config.balance = 0.0  # of the doubly stochastic penalty of attention, beside the loss
    config.dropout = 0.0  # of embeddings, and between layers
    config.dropout_out = 0.0  # of what the readout sees
    config.dropout_seen = 0.0  # of the features
    config.variational = False  # one dropout mask for all steps
    config.smoothing = 0.0  # of labels
    config.flip = False  # train on mirrored pictures too
    config.crops = 0  # train on so many corners of the pictures too, each 7/8 of a side, enlarged
    config.seen = "right"  # or none, or shuffled: each caption with another picture. Controls
    config.baseline_steps = 1  # how long the decoder without pictures is trained, in config.unit; 0: not at all

    config.data = captions.defaults()
    config.data.sizes = (12000, 500, 500)
    config.data.shapes = 2

    training.add(config, unit="epoch", steps=12, rate=3e-3)

    config.decode = ConfigDict(
        {
            "beams": 3,  # hypotheses of beam search
            "best": 1,  # captions a picture, of mode=caption
            "length_power": 0.0,  # of beam search: rnn_jax.decoding.Penalty
            "temperature": 0.0,  # of mode=caption and judge: 0 is beam search; above, captions are drawn
            "top_k": 0,  # of drawn captions: only from so many words at each step; 0: all
            "top_p": 1.0,  # of drawn captions: from the fewest words that have this probability together
            "longest": 30,  # words of a caption, at most
            "batch": 50,  # pictures at once
            "part": "valid",  # of mode=judge: of the data, train, valid or test
        }
    )
    config.samples = 4  # pictures of each kind in the sheet, and with their attention
    return config
