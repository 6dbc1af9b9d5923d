"""What --help says of a key is what stands beside it in the config file."""

import importlib
from pathlib import Path

import ml_collections
import pytest

from rnn_jax.train import loop, optim
from rnn_jax.train.meanings import meanings
from rnn_jax.train.workdir import flatten

STUDIES = sorted(p.parent.name for p in Path(__file__).parents[2].glob("configs/*/default.py"))


def defaults():
    return ml_collections.ConfigDict(
        {
            "batch": 3,  # rows
            "source": "a",
            "inner": {"deep": 1},  # far in
        }
    )


def add(config, width):
    # units of each layer; this comment
    # takes two lines
    config.width = width
    config.sizes = dict(
        lag=3,  # steps
        length=5,
    )


def get_config():
    config = ml_collections.ConfigDict()
    config.seed = 0

    config.cell = "lstm"  # a name # with a hash
    config.data = defaults()
    config.data.batch = 5  # not what it means, but why it was changed
    config.text = "# no comment"  # fmt: skip
    add(config, width=3)
    config.low, config.high = 0.0, 1.0  # frequencies
    other = 3  # of the function alone
    # three weights
    config.weights = ml_collections.ConfigDict({"a": other, "b": 2})
    return config


def test_a_comment_belongs_to_what_stands_beside_it_or_below():
    assert meanings(get_config) == {
        "cell": "a name # with a hash",
        "data.batch": "rows",
        "data.inner": "far in",
        "data.inner.deep": "far in",
        "width": "units of each layer; this comment takes two lines",
        "sizes.lag": "steps",
        "low": "frequencies",
        "high": "frequencies",
        "weights": "three weights",
    }


def test_what_has_no_source_has_no_meanings():
    assert meanings(dict) == {} == meanings(eval("lambda: {'a': 1}"))


@pytest.mark.parametrize("study", STUDIES)
def test_every_meaning_is_of_a_key(study):
    module = importlib.import_module(f"configs.{study}.default")
    config, known = module.get_config(), meanings(module.get_config)
    keys = flatten(config.to_dict())
    parts = [key.split(".") for key in keys]
    assert set(known) <= {".".join(each[:n]) for each in parts for n in range(1, len(each) + 1)}
    if "data" in config:
        told = {key for key in keys if key.startswith("data.") and key in known}
        assert told or "data" in known, "nothing is said of the data's keys"


def test_what_fit_reads_has_a_meaning():
    known = loop.MEANINGS | optim.meanings()
    for study in STUDIES:
        config = importlib.import_module(f"configs.{study}.default").get_config()
        if "optimizer" in config and "steps" in config:
            assert {f"optimizer.{key}" for key in config.optimizer} <= set(known), study
    assert known["optimizer.weight_decay"] == "of name=adamw" and "momentum, nesterov" in known["optimizer.momentum"]
