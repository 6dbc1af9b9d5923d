"""Methods, clips and schedules against their formulas, written out in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from rnn_jax.train import UserError, optim

BASE = dict(
    rate=0.1, schedule="constant", clip="none", threshold=1.0, momentum=0.9, accumulator=0.1, alpha=0.95, b1=0.9,
    b2=0.99, weight_decay=0.3, eps=1e-3, warmup=4, final_rate=0.01, decay_factor=0.5, decay_every=3, decay_after=6,
)  # fmt: skip


def build(steps=20, **changes):
    return optim.build(ConfigDict({"steps": steps, "optimizer": BASE | changes}))


def path(optimizer, gradients, w):
    """The weights after each of `gradients`."""
    state, out = optimizer.init(w), []
    for g in gradients:
        update, state = jax.jit(optimizer.update)(jnp.asarray(g), state, w)
        w = w + update
        out.append(np.asarray(w))
    return np.stack(out)


def by_hand(name, gradients, w):
    v = np.full_like(w, BASE["accumulator"]) if name == "adagrad" else np.zeros_like(w)
    m, out, r, e = np.zeros_like(w), [], BASE["rate"], BASE["eps"]
    for t, g in enumerate(gradients, 1):
        if name == "sgd":
            step = g
        elif name in ("momentum", "nesterov"):
            m = 0.9 * m + g
            step = m if name == "momentum" else g + 0.9 * m
        elif name == "adagrad":
            v = v + g**2
            step = g / np.sqrt(v + e)
        elif name == "rmsprop":  # torch, char-rnn
            v = 0.95 * v + 0.05 * g**2
            step = g / (np.sqrt(v) + e)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
            step = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + e)
            step = step + (0.3 * w if name == "adamw" else 0)
        w = w - r * step
        out.append(w)
    return np.stack(out)


@pytest.mark.parametrize("name", sorted(optim.METHODS))
def test_methods(name):
    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=5), rng.normal(size=(6, 5))
    got = path(build(name=name), gradients.astype(np.float32), jnp.asarray(w, jnp.float32))
    np.testing.assert_allclose(got, by_hand(name, gradients, w), rtol=2e-5, atol=1e-6)


def test_clips():
    g = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[-4.0]])}  # norm 5

    def clip(**changes):
        optimizer = build(name="sgd", rate=1.0, **changes)
        return jax.tree.map(lambda x: -x, optimizer.update(g, optimizer.init(g), g)[0])

    assert float(optim.norm(g)) == 5.0
    jax.tree.map(np.testing.assert_allclose, clip(clip="norm", threshold=2.5), {"a": [1.5, 0.0], "b": [[-2.0]]})
    jax.tree.map(np.testing.assert_allclose, clip(clip="norm", threshold=6.0), g)
    jax.tree.map(np.testing.assert_allclose, clip(clip="value", threshold=3.5), {"a": [3.0, 0.0], "b": [[-3.5]]})
    jax.tree.map(np.testing.assert_allclose, clip(clip="none"), g)


def rates(**changes):
    one = jnp.ones(())
    weights = path(build(name="sgd", **changes), np.ones(20, np.float32), one * 0)
    return -np.diff(np.concatenate([[0.0], weights]))


def test_schedules():
    np.testing.assert_allclose(rates(schedule="constant"), 0.1, rtol=1e-5)
    got = rates(schedule="stepwise")  # char-rnn's rule: halved once 6 updates are made, and every 3 after that
    np.testing.assert_allclose(got, 0.1 * 0.5 ** np.maximum(0, (np.arange(20) - 6) // 3 + 1), rtol=2e-4)
    got = rates(schedule="cosine")
    np.testing.assert_allclose(got[:5], [0.025, 0.05, 0.075, 0.1, 0.1], rtol=1e-4)
    fall = 0.01 + 0.09 * 0.5 * (1 + np.cos(np.pi * np.arange(16) / 16))
    np.testing.assert_allclose(got[4:], fall, rtol=1e-3)


@pytest.mark.parametrize("changes", [{"threshold": 0.0, "clip": "norm"}, {"rate": -1.0}, {"clip": "nrom"}])
def test_bad_values(changes):
    with pytest.raises(UserError):
        build(name="sgd", **changes)
