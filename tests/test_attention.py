"""Attention: the formulas one by one, masks, and inside a step of the engine."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scan_problems import agree, normal, scalar

from rnn_jax import attention, scan

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
S, B, Q, K, D = 5, 3, 4, 6, 7


def problem(kind):
    q = K if kind == "dot" else Q
    params = attention.init(kind, jax.random.key(0), q, K, D, jnp.float64)
    return getattr(attention, kind), params, normal(1, B, q), normal(2, S, B, K)


def by_hand(kind, p, q, k):
    """The score of one query and one key."""
    match kind:
        case "dot":
            return p["g"] * q @ k
        case "general":
            return p["g"] * q @ (p["w"].T @ k)
        case "concat":
            return p["v"] @ np.tanh(p["w"].T @ np.concatenate([q, k]))
        case _:
            return p["v"] @ np.tanh(p["wq"].T @ q + p["wk"].T @ k)


@pytest.mark.parametrize("kind", attention.KINDS)
def test_the_published_formula(kind):
    read, params, query, keys = problem(kind)
    mask = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]], bool)
    context, weights = read(query, keys, jnp.asarray(mask), **params)
    p = jax.tree.map(np.asarray, params)
    for row in range(B):
        scores = np.array([by_hand(kind, p, np.asarray(query[row]), np.asarray(keys[j, row])) for j in range(S)])
        e = np.where(mask[:, row], np.exp(scores), 0)
        a = e / e.sum() if e.sum() else e  # the last row has nothing to read
        np.testing.assert_allclose(weights[:, row], a, rtol=1e-12)
        np.testing.assert_allclose(context[row], a @ np.asarray(keys[:, row]), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", attention.KINDS)
def test_masked_keys_have_no_gradient_and_nothing_is_nan(kind):
    read, params, query, keys = problem(kind)
    mask = jnp.ones((S, B), bool).at[3:, 0].set(False).at[:, 1].set(False)
    loss = lambda params, query, keys: scalar(read(query, keys, mask, **params))
    grads = jax.grad(loss, (0, 1, 2))(params, query, 1e4 * keys)  # scores too large for exp
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert (grads[2][3:, 0] == 0).all() and (grads[2][:, 1] == 0).all() and (grads[2][:3, 0] != 0).any()


@pytest.mark.parametrize("kind", attention.KINDS)
def test_the_engine_runs_it_in_any_step(kind):
    """Keys among the params: their gradient is right, and the weights can be collected."""
    read, params, query, keys = problem(kind)
    d = query.shape[-1]
    mask, w = jnp.ones((S, B), bool).at[2:, 1].set(False), normal(3, K + d, d)

    def step(p, h, x):
        context, _ = read(h, p["keys"], mask, **p["attention"])
        h = jnp.tanh(jnp.concatenate([context, x], -1) @ p["w"])
        return h, h

    p, xs = {"attention": params, "keys": keys, "w": w}, normal(4, 6, B, d)
    run = lambda method: jax.value_and_grad(lambda p: scalar(scan(step, p, query, xs, method=method)), allow_int=True)(
        p
    )
    agree(run("deferred"), run("reference"), 1e-11)
    *_, seen = scan(step, p, query, xs, collect=("attention",))
    np.testing.assert_allclose(seen["attention"].sum(1), np.ones((6, B)), rtol=1e-12)


def test_what_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="the query is 4 wide and the keys 6"):
        attention.dot(normal(1, B, Q), normal(2, S, B, K))
    with pytest.raises(ValueError, match="no 'cosine'; there are additive, dot, general, concat"):
        attention.init("cosine", jax.random.key(0), Q, K, D)


def test_the_first_updates_leave_attention_spread():
    """What g is for: at g = 1 five steps of Adam put most of the attention on one key of twelve."""
    draw = lambda i, *shape: jnp.tanh(normal(i, *shape) / 2)
    query, keys = draw(1, 32, 256) + draw(2, 1, 256), draw(3, 12, 32, 512) + draw(4, 1, 1, 512)
    params = attention.init("general", jax.random.key(0), 256, 512, 256, jnp.float64)
    most = lambda p: float(attention.general(query / 2, keys / 2, **p)[1].max(0).mean())
    loss = lambda p: jnp.mean(jnp.square(attention.general(query / 2, keys / 2, **p)[0] - keys[0] / 2))

    def updated(params):
        adam = optax.adam(1e-3)
        state = adam.init(params)
        for _ in range(5):
            updates, state = adam.update(jax.grad(loss)(params), state)
            params = optax.apply_updates(params, updates)
        return most(params)

    assert updated(params) < 0.2 and updated(params | {"g": jnp.ones(())}) > 0.6
