"""A training step whose batch is made inside it, beside the step alone; and twenty of them in one program.

    python -m experiments.speed --config=configs/speed/toy.py              1.5 minutes

T = 100, batch 20, 50 units, Adam. Targets: at most 1.15 x the step alone; 20 networks at once faster than 20 in turn.
Measured 2026-11-23, jax 0.10.2, 2 CPU cores otherwise idle (two networks at a time, `train.devices.over_models`):

                step with data over step    20 at once over 20 in turn
                lstm   gru    tanh          lstm   gru    tanh
    adding      0.93   0.96   0.83          1.03   1.00   0.80
    copy        1.03   0.95   0.87          0.99   1.02   0.90
    order       0.94   0.90   0.80          0.94   0.97   0.84

Of LSTM and GRU twenty at once are level with twenty in turn, whose start and compilation are not counted here.
"""

from configs.speed import default


def get_config():
    config = default.get_config()
    config.shapes, config.seed_shapes = "", ""
    config.tasks = "adding,copy_memory,temporal_order"
    return config
