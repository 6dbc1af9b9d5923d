"""The error wall: E(w, b) of a one-unit network over 50 steps, and gradient descent with and without clipping.

Source: Pascanu, Mikolov & Bengio (2013), Fig. 6: a picture, no figures. The numbers to reach were measured before this
code was written, for x_0 = 0.5 and a logistic output compared with 0.7.

    python -m experiments.error_wall                         9 s (2 shared CPU cores, jax 0.10.2, 2026-11-22)

                                             to reach         measured 2026-11-22, float64
    largest gradient norm on the grid        3.3e3            3319.98
    where, (w, b)                            (4.94, -2.575)   (4.94, -2.575)
    share of the grid with a norm above 1    0.23 %           0.226 %
    median norm; range of E                  0.047; 0..0.463  0.0473; 0..0.4632
    clipped descent stays, unclipped leaves  yes, yes         yes (E = 3e-4 at the end), yes (at update 8)

One start proves little. Of 112 starts over the window, 87 % stay and solve with clipping, 64 % leave without it. Of
441 starts within 0.1 of the default, all stay and solve with clipping at rates 0.1 to 0.3; without it 47 % leave at
rate 0.2 (13 % at 0.1, 63 % at 0.3): whether a step falls on so thin a wall is chance. At rate 0.5 clipping does not
help either.

A finer grid finds larger gradients: the wall is thinner than the spacing.
"""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    config: Any = ConfigDict()
    config.unroll = 50  # steps of the network
    config.w = (4.0, 6.5)  # the window
    config.b = (-4.0, -1.0)
    config.grid = (501, 601)  # points of w, of b

    # The trajectory behind clipped_stays and unclipped_leaves: its start (w, b), rate, updates and clipping.
    config.start = (4.5, -2.1)
    config.rate = 0.2
    config.steps = 400
    config.threshold = 1.0  # of the gradient's norm
    config.solved = 0.001  # error
    config.starts = (8, 14)  # other starts over the window: counts of w, of b
    return config
