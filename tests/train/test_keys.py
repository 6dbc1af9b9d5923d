"""What a config's keys may be: each kind of bound, in sections too, in one sentence that names the key."""

import pytest
from ml_collections import ConfigDict

from rnn_jax.train import require

CONFIG = {"cell": "gru", "parts": ("a", "b"), "width": 4, "share": 0.0, "in": {"batch": 1, "share": 0.99}}
WANTED = {
    "one_of": {"cell": ("gru", "lstm")}, "some_of": {"parts": ["a", "b", "c"]}, "at_least": {1: "in.batch", 4: "width"},
    "shares": "share in.share",
}  # fmt: skip


def test_what_is_allowed_passes():
    require(ConfigDict(CONFIG), **WANTED)
    require(ConfigDict(CONFIG))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cell", "elman", "config.cell=elman: want one of gru, lstm"),
        ("parts", ("a", "d"), "config.parts=('a', 'd'): want some of a, b, c"),
        ("parts", (), "config.parts=(): want some of a, b, c"),
        ("width", 3, "config.width=3: want at least 4"),
        ("in.batch", 0, "config.in.batch=0: want at least 1"),
        ("share", float("nan"), "config.share=nan: want a share from 0 to below 1"),
        ("share", -0.1, "config.share=-0.1: want a share from 0 to below 1"),
        ("in.share", 1.0, "config.in.share=1.0: want a share from 0 to below 1"),
    ],
)
def test_what_is_not_is_one_sentence(key, value, message):
    config = ConfigDict(CONFIG)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ValueError) as error:
        require(config, **WANTED)
    assert str(error.value) == message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bound_is_of_finite_numbers(value):
    with pytest.raises(ValueError, match=r"config.noise=.*: want at least 0"):
        require(ConfigDict({"noise": value}), at_least={0: "noise"})
