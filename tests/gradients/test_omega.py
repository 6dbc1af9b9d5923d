"""The Omega regulariser: its value and its gradient against the formula of the paper's network, written out."""

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import cells, gradients, scan
from rnn_jax.cells import name


def step(params, a, x):
    a = name(jnp.tanh(a) @ params["wh"] + x @ params["wx"] + params["b"], "a")
    return a, a


def problem():
    keys = jax.random.split(jax.random.key(0), 4)
    params = {"wh": jax.random.normal(keys[0], (5, 5)), "wx": jax.random.normal(keys[1], (3, 5)), "b": jnp.ones(5)}
    xs, start = jax.random.normal(keys[2], (6, 4, 3)), jax.random.normal(keys[3], (4, 5))
    a = scan(step, params, start, xs)[1]
    da = gradients.hidden_gradients(step, params, start, xs, lambda ys: jnp.sum(ys[-1] ** 2), name="a")
    return params, jnp.concatenate([start[None], a[:-1]]), xs, da


def test_against_the_paper_s_network(x64):
    params, states, xs, da = problem()

    def by_hand(wh):
        total, count = 0.0, 0
        for k in range(6):
            for i in range(4):
                jacobian = wh.T * (1 - jnp.tanh(states[k, i]) ** 2)  # da_{k+1} / da_k = W^T diag(tanh'(a_k))
                ratio = jnp.sum((da[k, i] @ jacobian) ** 2) / jnp.sum(da[k, i] ** 2)
                total, count = total + (ratio - 1) ** 2, count + 1
        return total / count

    value, grads = jax.value_and_grad(lambda p: gradients.omega(step, p, states, xs, da))(params)
    want, want_grad = jax.value_and_grad(by_hand)(params["wh"])
    np.testing.assert_allclose(value, want, rtol=1e-10)
    np.testing.assert_allclose(grads["wh"], want_grad, rtol=1e-10)
    assert not jnp.any(grads["wx"]) and not jnp.any(grads["b"])  # the gradient of W_h alone


def test_gradients_too_small_to_trust_do_not_count(x64):
    params, states, xs, da = problem()
    half = da.at[:3].multiply(1e-12)
    want = gradients.omega(step, params, states[3:], xs[3:], da[3:])
    np.testing.assert_allclose(gradients.omega(step, params, states, xs, half), want, rtol=1e-10)
    nothing = jax.value_and_grad(lambda p: gradients.omega(step, p, states, xs, 0 * da))(params)
    assert nothing[0] == 0 and not any(jnp.any(g) for g in jax.tree.leaves(nothing[1]))


def test_a_state_of_several_parts_and_an_isometry(x64):
    """An LSTM's state counts as one; and where the state is only rotated, Omega is 0."""
    cell = cells.lstm()
    params = cell.init(jax.random.key(0), 3, 4, jnp.float64)
    states = jax.tree.map(lambda a: jnp.ones((6, *a.shape)), cell.carry(2, 4, jnp.float64))
    assert jnp.isfinite(gradients.omega(cell.step, params, states, jnp.ones((6, 2, 3)), states))
    q = cells.initializers.orthogonal()(jax.random.key(1), (4, 4), jnp.float64)
    rotate = lambda p, h, x: (h @ p + x, h)
    states = jax.random.normal(jax.random.key(2), (6, 2, 4))
    assert gradients.omega(rotate, q, states, jnp.zeros((6, 2, 4)), states) < 1e-28
    assert gradients.omega(rotate, 1.5 * q, states, jnp.zeros((6, 2, 4)), states) > 1
