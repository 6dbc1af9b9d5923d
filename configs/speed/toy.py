"""A training step whose batch is made inside it, beside the step alone; and twenty of them in one program.

    python -m experiments.speed --config=configs/speed/toy.py              1.5 minutes

T = 100, batch 20, 50 units, Adam. Targets: at most 1.15 x the step alone; 20 networks at once faster than 20 in turn.
Measured 2026-11-29, jax 0.10.2, 2 CPU cores of an Intel with nothing else at work (two networks at a time,
`train.devices.over_models`), by "native":

                step with data over step    20 at once over 20 in turn
                lstm   gru    tanh          lstm   gru    tanh
    adding      0.91   1.01   1.00          0.84   0.85   0.79
    copy        0.94   0.99   0.91          0.83   0.84   0.73
    order       1.05   1.08   1.00          0.86   0.85   0.82

60 repeats; with 20, twice that day, 0.77 to 1.18.

By "deferred" (2026-11-23, another host), whose steps took longer, 0.80 to 1.03 and 0.80 to 1.03. The start and the
compilation of twenty in turn are not counted here.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes, config.seed_shapes = "", ""
    config.tasks = "adding,copy_memory,temporal_order"
    config.repeats = 60
    return config
