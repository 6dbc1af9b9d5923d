"""Scheduled sampling's share of given tokens falls as Bengio et al. (2015, section 2.4) have it."""

import itertools
import math

import pytest
from ml_collections import ConfigDict

from rnn_jax.train.errors import UserError
from rnn_jax.train.schedules import forcing, in_steps


def share(kind, k=1.0, c=0.0, least=0.0):
    return forcing(ConfigDict({"kind": kind, "k": k, "c": c, "least": least}))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (share("none", k=0.3), [1.0, 1.0, 1.0]),
        (share("constant", k=0.3), [0.3, 0.3, 0.3]),
        (share("linear", k=0.9, c=0.002, least=0.2), [0.9, 0.7, 0.2]),
        (share("exponential", k=0.99), [1.0, 0.99**100, 0.99**1000]),
        (share("exponential", k=0.99, least=0.4), [1.0, 0.4, 0.4]),
        (share("inverse_sigmoid", k=50.0), [50 / 51, 50 / (50 + math.e**2), 50 / (50 + math.e**20)]),
    ],
    ids=["none", "constant", "linear", "exponential", "exponential, at least", "inverse_sigmoid"],
)
def test_the_share_at_updates_0_100_1000(at, expected):
    assert [at(i) for i in (0, 100, 1000)] == pytest.approx(expected, abs=1e-12)
    shares = [at(i) for i in range(0, 200_000, 97)]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(shares)), "never more again, without overflow"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kind": "linaer"}, "forcing.kind=linaer: want one of none, constant, linear, exponential, inverse_sigmoid"),
        ({"kind": "linear", "k": -1.0}, "want k > 0 and 0 <= least <= 1"),
        ({"kind": "constant", "least": 2.0}, "want k > 0 and 0 <= least <= 1"),
        ({"kind": "exponential", "k": 1.1}, r"want k at most 1"),
        (
            {"kind": "inverse_sigmoid", "k": 0.5},
            r"inverse-sigmoid annealing is k / \(k \+ e\^\(i/k\)\); want k at least 1",
        ),
    ],
)
def test_what_is_no_share_is_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        share(**wanted)


def test_epochs_in_steps():
    config = ConfigDict(
        {"unit": "epoch", "steps": 3, "eval_every": 1, "width": 5, "optimizer": {"warmup": 2, "rate": 0.1}}
    )
    steps = in_steps(config, 100)
    assert (steps.steps, steps.eval_every, steps.width, steps.optimizer.warmup, steps.optimizer.rate) == (
        300,
        100,
        5,
        200,
        0.1,
    )
    assert config.steps == 3, "the config itself stays"
    config.unit = "step"
    assert in_steps(config, 100).to_dict() == config.to_dict()
