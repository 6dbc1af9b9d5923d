"""What the values of a config's keys may be, in one call of a study's check."""

import math
from collections.abc import Collection, Mapping


def require(
    config, *, one_of: Mapping[str, Collection] | None = None, some_of: Mapping[str, Collection] | None = None,
    at_least: Mapping[float, str] | None = None, shares="",
):  # fmt: skip
    """ValueError, a sentence, unless the config's values are

    one_of    key -> the values that it may have
    some_of   key, a list -> the values that its items may have; at least one item
    at_least  bound -> keys, with spaces between, of finite numbers from there on
    shares    keys, with spaces between, of numbers from 0 to below 1

    A key in a section is section.key:

        require(config, one_of={"cell": cells.known()}, at_least={1: "width data.batch", 0: "deep"}, shares="dropout")
    """
    for key, known in (one_of or {}).items():
        if (value := get(config, key)) not in known:
            raise ValueError(f"config.{key}={value}: want one of {', '.join(known)}")
    for key, known in (some_of or {}).items():
        if not (value := get(config, key)) or not set(value) <= set(known):
            raise ValueError(f"config.{key}={value}: want some of {', '.join(known)}")
    for least, keys in (at_least or {}).items():
        for key in keys.split():
            if not least <= (value := get(config, key)) < math.inf:
                raise ValueError(f"config.{key}={value}: want at least {least:g}")
    for key in shares.split():
        if not 0 <= (value := get(config, key)) < 1:
            raise ValueError(f"config.{key}={value}: want a share from 0 to below 1")


def get(config, key: str):
    """The value of section.key."""
    for name in key.split("."):
        config = config[name]
    return config
