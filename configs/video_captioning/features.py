"""Features that one has of MSVD, MSR-VTT or another set: <path>/<clip>.npz (`features` [t k]) and <path>/captions.csv.

    python -m experiments.video_captioning --config=configs/video_captioning/features.py --config.data.path=FOLDER

A clip whose features have another width than most in training is left out, and told. Sentences about other clips:
--config.mode=caption --workdir=DIR --config.clips=FOLDER, of .npz again.

Published (S2VT on MSVD, METEOR): 29.2 with VGG features. Not run: these data sets could not be had here.
"""

from configs.video_captioning import default


def get_config():
    config = default.get_config()
    config.data.source = "features"
    config.data.frames, config.data.least, config.data.longest, config.data.shapes = 80, 2, 24, 4
    config.width, config.embed = 512, 256
    config.dropout, config.dropout_out = 0.3, 0.5
    config.steps = 15
    config.optimizer.rate = 1e-3
    config.decode.beams, config.decode.length_power = 5, 1.0
    return config
