"""Ten made-up spoken digits in strings of 3 to 7, read by a bidirectional LSTM with CTC; other speakers in each part.

    python -m experiments.speech

Needs no network and no file: rnn_jax/data/tones.py makes the sounds. Published: none. Measured, 2026-11-25, jax 0.10.2,
1 core that other jobs shared, 600 updates in 182 s (the whole command took 118 s of that core's time):

    label error rate    prefix beam    best path    strings without an error
    test                     0.56 %       0.50 %                      97.8 %
    validation               1.32 %       1.50 %                      94.7 %

Write down what wav files say, with a trained model:
    python -m experiments.speech --config.mode=transcribe --workdir=runs/speech/default --config.audio=FILE,FOLDER
"""

from typing import Any

from ml_collections import ConfigDict

from configs import training
from rnn_jax.data import recordings


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or transcribe: wav files, by a trained model
    config.audio = ""  # of transcribe: wav files, or folders of them, with commas between
    config.seed = 0

    config.cell = "lstm"  # a name in rnn_jax.cells
    config.width = 64  # units of each layer, in each direction
    config.layers = 1

    config.features = ConfigDict(
        {
            "rate": 8000,  # Hz
            "bands": 40,  # of the mel scale
            "window": 0.025,  # seconds of a frame
            "hop": 0.010,  # seconds from frame to frame
            "emphasis": 0.97,  # x_i - emphasis x_{i-1}, before the spectrum
            "stack": 3,  # frames side by side in one time step
        }
    )
    config.data = recordings.defaults()

    training.add(config, unit="step", steps=600, rate=5e-3, every=200, warmup=50)

    config.decode = ConfigDict(
        {
            "beams": 8,  # of prefix beam search
            "batch": 32,  # wav files transcribed at once
        }
    )
    config.samples = 5  # strings of the test part that are printed
    return config
