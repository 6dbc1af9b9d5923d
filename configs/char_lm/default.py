"""Character language model of Python: learns from the source of this machine's own standard library.

    python -m experiments.char_lm

Needs no network and no file. About 7.4 million characters; 21 whole files are held out. One LSTM layer of 256 units.
Target: under 2.2 bits per character on the held-out files, in about 3 minutes on 2 CPU cores.
Published: none (the text is this machine's). Measured, 2026-11-22, Python 3.11.7, jax 0.10.2, 2 shared CPU cores:

    this config                      2.13 bits per character, 219 s
    --config.model=window_mlp        2.20     the last 8 characters in order: what order adds, without a memory
    --config.model=average           3.70     the last 8 characters averaged

On 2026-11-28, 2 CPU cores of an Intel otherwise idle, loops as machine code: 2.13, 142 s. Updates a second, 400 of
them, in turn, twice: 21.7 and 24.9 so, 15.3 and 13.9 without (RNN_JAX_NATIVE=0).

Write text with a trained model:
    python -m experiments.char_lm --config.mode=sample --workdir=runs/char_lm/default --config.sample.prompt="class "
"""

from typing import Any

from ml_collections import ConfigDict

from rnn_jax import data


def get_config() -> Any:
    config: Any = ConfigDict()
    config.mode = "train"  # or sample
    config.seed = 0

    config.model = "rnn"  # rnn; window_mlp and average are baselines without a memory
    config.cell = "lstm"  # of rnn: a name in rnn_jax.cells
    config.layers = 1
    config.width = 256  # units in each layer
    config.embed = 0  # width of the embedding; 0: one-hot (baselines: at least 1)
    config.context = 8  # of the baselines: characters seen
    config.init_scale = 0.0  # s: every weight matrix from U(-s, s); 0: the cell's own initialisers

    config.data = data.defaults()
    config.data.batch = 32
    config.data.window = 64

    config.unit = "step"  # what steps, *_every, decay_* and warmup count: step, or epoch of the training text
    config.steps = 2600
    config.log_every = 100  # steps
    config.eval_every = 650
    config.save_every = 325
    config.keep = 2  # checkpoints
    config.parallel = "auto"  # or pmap
    config.init_from = ""  # a run's folder: start from its weights
    config.optimizer = ConfigDict(
        {
            "name": "adam", "rate": 4e-3, "b1": 0.9, "b2": 0.99, "eps": 1e-8,
            "schedule": "cosine", "warmup": 50, "final_rate": 2e-4, "clip": "norm", "threshold": 1.0,
        }
    )  # fmt: skip

    config.sample = ConfigDict(
        {
            "prompt": "    def __init__(self",  # what the text begins with
            "length": 500,  # characters after it
            "temperature": 0.5,  # 0: always the likeliest
            "seed": 0,
        }
    )
    return config
