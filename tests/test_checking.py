"""`explain` and `check`: what the author of a cell sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnn_jax
from rnn_jax import cells

pytestmark = pytest.mark.usefixtures("quick_compilation")


def problem(cell, t=4, b=2, n=3, d=4):
    params = cell.init(jax.random.key(0), n, d)
    return params, cell.carry(b, d), jnp.asarray(np.random.default_rng(0).normal(size=(t, b, n)), jnp.float32)


def test_explain_names_what_is_hoisted_and_deferred():
    cell = cells.lstm()
    lines = rnn_jax.explain(cell.step, *problem(cell)).splitlines()
    assert len(lines) == 5
    assert "ahead       1 matrix product" in lines[1] and "for all 4 steps" in lines[1]
    assert "loop        1 matrix product" in lines[2]
    assert "params['wh']" in lines[3] and "params['wx']" not in lines[3]
    assert lines[4].startswith("method      auto picks")


def test_explain_of_a_call_with_masks():
    cell = cells.lstm()
    plain = rnn_jax.explain(cell.step, *problem(cell)).splitlines()
    masks = {"lengths": np.array([4, 1]), "resets": np.eye(4, 2, dtype=bool)}
    masked = rnn_jax.explain(cell.step, *problem(cell), **masks).splitlines()
    others = lambda line: int(line.split(" other equation")[0].split()[-1])
    assert others(masked[2]) > others(plain[2]), "reset and freeze are in the loop"
    assert masked[3] == plain[3]
    with pytest.raises(ValueError, match=r"lengths must be int \[b\], got the shape \[4, 2\]"):
        rnn_jax.explain(cell.step, *problem(cell), lengths=masks["resets"])


def test_explain_a_weight_made_from_others():
    def step(p, h, x):
        h = jnp.tanh(h @ (p["a"] - p["a"].T) + x)
        return h, h

    text = rnn_jax.explain(step, {"a": jnp.eye(3)}, jnp.zeros((2, 3)), jnp.ones((5, 2, 3)))
    assert "a value of params['a']" in text


@pytest.mark.parametrize(
    "mask", [{}, {"lengths": np.array([4, 0])}, {"resets": np.eye(4, 2, dtype=bool), "reverse": True}]
)
def test_check_passes_a_right_cell(mask):
    cell = cells.gru(reset_after=True)
    table = rnn_jax.check(cell.step, *problem(cell), methods=["deferred"] if mask else None, **mask)
    rows = [line.split()[0] for line in table.splitlines()]
    takes = [m for m in rnn_jax.METHODS if m not in ("auto", "associative", "cudnn", "fused")]
    assert rows == [
        "method",
        *(["reference", "deferred"] if mask else takes),
        "differences",
        *([] if mask else ["associative", "cudnn", "fused"]),
    ]
    assert mask or "associative  does not apply: the step is not known to be linear in its carry" in table


def test_check_knows_its_methods_and_survives_one_that_fails():
    args = lambda p, h, x: ((h := 3 * h * (1 - h)), h), None, jnp.full((2, 2), 0.3), jnp.ones((12, 2, 2))
    with pytest.raises(ValueError, match="check: unknown method 'newtn'; known: auto"):
        rnn_jax.check(*args, methods=("newtn",))
    with pytest.raises(ValueError, match=r"check: methods is a sequence of methods, such as \('newton',\)"):
        rnn_jax.check(*args, methods="newton")
    table = rnn_jax.check(*args, methods=(rnn_jax.methods.Newton(iterations=1), "deferred"))
    assert "fails: after 1 iterations the residual is" in table and "DISAGREES" not in table


def test_explain_of_a_wrong_call():
    with pytest.raises(ValueError, match="xs=None needs length="):
        rnn_jax.explain(lambda p, h, x: (h, h), None, jnp.zeros(2))
    with pytest.raises(ValueError, match="disagree on t"):
        rnn_jax.explain(lambda p, h, x: (h, h), None, jnp.zeros(2), (jnp.zeros(3), jnp.zeros(4)))


def test_check_finds_a_wrong_gradient():
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (1.999 * x * g,))

    def step(p, h, x):
        h = jnp.tanh(square(h) @ p + x)
        return h, h

    with pytest.raises(ValueError, match=r"differences .* DISAGREES"):
        rnn_jax.check(step, 0.5 * jnp.eye(3), jnp.ones((2, 3)), jnp.ones((4, 2, 3)), methods=["deferred"])
