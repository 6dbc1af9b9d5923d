"""Traces of named values, and the saturation of gates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_problems import CELLS, normal, problem

from rnn_jax.cells import name
from rnn_jax.gradients import saturation, traces

KNOWN = {
    "tanh": {"h"},
    "relu": {"h"},
    "lstm": {"input_gate", "forget_gate", "candidate", "output_gate"},
    "gru": {"reset_gate", "update_gate", "candidate"},
    "gru_after": {"reset_gate", "update_gate", "candidate"},
}


def test_traces_of_a_loop(x64):
    step, params, carry, xs = problem("gru")
    seen = traces(step, params, carry, xs)
    assert set(seen) == {"reset_gate", "update_gate", "preactivation", "candidate", "h"}
    h = carry
    for t, x in enumerate(xs):
        before, (h, _) = h, step(params, h, x)
        np.testing.assert_allclose(seen["h"][t], h, atol=1e-12)
        z, n = seen["update_gate"][t], seen["candidate"][t]
        np.testing.assert_allclose((1 - z) * before + z * n, h, atol=1e-12)
    assert list(traces(step, params, carry, xs, ["candidate"])) == ["candidate"]
    assert traces(*problem("plain")) == {} == saturation(*problem("plain"))


@pytest.mark.parametrize("kind", KNOWN)
def test_saturation_knows_the_functions(kind):
    args = problem(kind)
    found = saturation(*args)
    assert set(found) == KNOWN[kind]
    for k, v in traces(*args).items():
        if k in found and kind != "relu":
            lowest = 0 if "gate" in k else -1
            where = (np.asarray(v) - lowest) / (1 - lowest)
            np.testing.assert_allclose(found[k]["low"], (where < 0.1).mean((0, 1)), atol=1e-6)
            np.testing.assert_allclose(found[k]["high"], (where > 0.9).mean((0, 1)), atol=1e-6)


def test_saturation_of_driven_gates():
    """Unit 0 is driven up, unit 1 down, unit 2 stays in the middle."""

    def step(p, h, x):
        s = name(jax.nn.sigmoid(x + p).astype(jnp.float32)[:, ::1], "gate")
        r, g = name(jax.nn.relu(x), "r"), name(jnp.tanh(jnp.split(x, 3, axis=1)[0]), "g")
        dead = name(jnp.tanh(2 * x), "dead")
        return h + s * r + g + 0 * dead, h

    xs = jnp.asarray([9.0, -9.0, 0.0]) * jnp.ones((4, 2, 3))
    found = saturation(step, 0.0, jnp.zeros((2, 3)), xs)
    assert set(found) == {"gate", "r", "g", "dead"}
    np.testing.assert_array_equal(found["gate"]["low"], [0, 1, 0])
    np.testing.assert_array_equal(found["gate"]["high"], [1, 0, 0])
    np.testing.assert_array_equal(found["r"]["low"], [0, 1, 1])
    np.testing.assert_array_equal(found["r"]["high"], [0, 0, 0])
    np.testing.assert_array_equal(found["g"]["high"], [1])
    some = jnp.asarray([2.0, -1.0, 0.0]) * jnp.ones((4, 2, 3))  # logistic 0.88, 0.27, 0.5
    np.testing.assert_array_equal(saturation(step, 0.0, jnp.zeros((2, 3)), some, ["gate"])["gate"]["high"], [0, 0, 0])
    wide = saturation(step, 0.0, jnp.zeros((2, 3)), some, ["gate"], margin=0.3)["gate"]
    np.testing.assert_array_equal(wide["high"], [1, 0, 0])
    np.testing.assert_array_equal(wide["low"], [0, 1, 0])


def test_jit_and_vmap():
    step, params, carry, xs = problem("lstm")
    call = lambda x: saturation(step, params, carry, x)["forget_gate"]["low"]
    np.testing.assert_allclose(jax.jit(call)(xs), call(xs))
    np.testing.assert_allclose(jax.vmap(call)(jnp.stack([xs, 3 * xs])), [call(xs), call(3 * xs)])


def test_errors():
    step, params, carry, xs = problem("lstm")
    with pytest.raises(ValueError, match=r"^saturation: 'c' is not made by logistic, tanh or relu"):
        saturation(step, params, carry, xs, ["c"])
    with pytest.raises(ValueError, match=r"^saturation: margin = 0.6"):
        saturation(step, params, carry, xs, margin=0.6)
    for probe in (traces, saturation):
        with pytest.raises(ValueError, match=r"named 'gate'; visible names: c, candidate, forget_gate"):
            probe(step, params, carry, xs, ["gate"])
        with pytest.raises(ValueError, match=rf"^{probe.__name__}: xs holds NaN"):
            probe(step, params, carry, xs * jnp.nan)
    assert set(CELLS) >= set(KNOWN) and normal(1).shape == (1,)
