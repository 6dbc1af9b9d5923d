"""State Jacobians, their products and Lyapunov exponents, against numpy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_problems import ALL, linear, normal, of_one_sequence, problem, slow, with_radius

from rnn_jax.gradients import (
    jacobian_product_log10norms,
    jacobian_product_log10singular,
    jacobians,
    lyapunov_spectrum,
)

PROBES = [jacobians, jacobian_product_log10norms, jacobian_product_log10singular, lyapunov_spectrum]


@pytest.mark.parametrize("kind", ALL)
def test_jacobians_are_jacrev_of_the_step(x64, kind):
    step, *args = problem(kind)
    got = jax.jit(lambda *args: jacobians(step, *args))(*args)
    np.testing.assert_allclose(got, of_one_sequence(kind, slow(kind)[0]), atol=1e-12)


def test_jacobians_without_xs_and_of_matrix_states(x64):
    step = lambda p, c, x: ({"m": jnp.tanh(c["m"] * p), "s": c["m"][:, 0] + c["s"]}, ())
    carry = {"m": normal(2, 3, 3), "s": normal(2, 3, seed=1)}
    got = jacobians(step, 1.3, carry, length=4)
    assert got.shape == (4, 2, 12, 12)
    np.testing.assert_allclose(got[0, :, 9:], np.eye(12)[[0, 1, 2]] + np.eye(12)[9:] + np.zeros((2, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm", "gru_after", "unbatched", "counting"])
def test_products_and_their_singular_values(x64, kind):
    step, *args = problem(kind)
    P = [J := of_one_sequence(kind, slow(kind)[0])][0][:1]
    for j in J[1:]:
        P = np.concatenate([P, (j @ P[-1])[None]])
    s = np.linalg.svd(P, compute_uv=False)
    run = lambda *args: (jacobian_product_log10norms(step, *args), jacobian_product_log10singular(step, *args))
    norms, values = jax.jit(run)(*args)
    np.testing.assert_allclose(norms, np.log10(s[..., 0]), atol=1e-10)
    keep = s[-1] > 1e-11 * s[-1][..., :1]  # a dead unit of a relu makes the product singular
    np.testing.assert_allclose(np.asarray(values)[keep], np.log10(s[-1][keep]), atol=1e-5)
    if kind == "tanh":
        assert keep.all()
        some = jacobian_product_log10norms(step, *args, lags=[3, 1])
        np.testing.assert_allclose(some, norms[jnp.array([2, 0])], atol=1e-12)


def test_the_slope_is_the_spectral_radius_in_float32():
    run = jax.jit(lambda w: jacobian_product_log10norms(*linear(w, 200), lags=(100, 200)))
    for rho in (0.5, 0.9, 1.0, 1.1, 1.5):
        got = run(with_radius(rho).astype(np.float32))
        assert got.shape == (2, 1) and got.dtype == jnp.float32
        assert abs((got[1, 0] - got[0, 0]) / 100 - np.log10(rho)) <= 0.002
        if rho == 0.5:
            assert -61 < got[1, 0] < -58


def test_singular_values_over_hundreds_of_decades(x64):
    """A product of random factors whose singular values are known: U_t S U_{t-1}^T, over 600 decades."""
    rng, d, t = np.random.default_rng(0), 6, 200
    U = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(t + 1)]
    s = 10.0 ** np.array([0.5, 0.499, 0.2, 0.0, -1.0, -3.0])
    W = np.stack([U[i + 1] * s @ U[i].T for i in range(t)])
    step = lambda p, h, w: (lambda h: (h, h))(h @ w.T)
    got = jacobian_product_log10singular(step, (), jnp.zeros((1, d)), jnp.asarray(W))
    np.testing.assert_allclose(got[0], np.log10(s) * t, atol=1e-6)


@pytest.mark.parametrize("kind", ["tanh", "lstm"])
def test_singular_values_of_long_products(x64, kind):
    """40 steps, where the product itself has long lost its small ones: the largest is a norm, the least that of the
    product of inverses, and all of them make the determinant."""
    step, *args = problem(kind, t=40)
    J = of_one_sequence(kind, slow(kind, t=40)[0])
    run = jax.jit(lambda *args: jacobian_product_log10singular(step, *args))
    values, single = np.asarray(run(*args)), np.asarray(run(*jax.tree.map(lambda a: a.astype(jnp.float32), args)))
    np.testing.assert_allclose(values.sum(-1), np.sum(np.linalg.slogdet(J)[1], axis=0) / np.log(10), atol=1e-6)
    P = inverse = np.eye(J.shape[-1])
    for j in J:
        P, inverse = j @ P, inverse @ np.linalg.inv(j)
    np.testing.assert_allclose(values[:, 0], np.log10(np.linalg.norm(P, 2, axis=(-2, -1))), atol=1e-6)
    np.testing.assert_allclose(values[:, -1], -np.log10(np.linalg.norm(inverse, 2, axis=(-2, -1))), atol=1e-3)
    assert np.all(values[:, 0] - values[:, -1] > 8) and single.dtype == np.float32
    # The least ones lose a part in a thousand at each step; LAPACKs differ (0.0201 with jax 0.12.0.1).
    np.testing.assert_allclose(single, values, atol=0.04)


def test_a_product_that_is_exactly_zero():
    step = lambda p, h, x: (lambda h: (h, h))(jax.nn.relu(h + x))
    args = step, (), jnp.ones((2, 3)), jnp.asarray([0.0, -5.0, 0.0])[:, None, None] * jnp.ones((3, 2, 3))
    got = jacobian_product_log10norms(*args)
    assert jnp.all(jnp.abs(got[0]) < 1e-6) and np.all(np.isneginf(got[1:]))
    assert not np.isnan(jacobian_product_log10singular(*args)).any() and not np.isnan(lyapunov_spectrum(*args)).any()


def test_lyapunov_of_a_linear_network():
    """log |eigenvalues| of W, over 10,000 steps, in float32."""
    rng = np.random.default_rng(0)
    V = rng.normal(size=(5, 5))
    w = V @ np.diag([1.05, -0.9, 0.7, 0.4, 0.1]) @ np.linalg.inv(V)
    step = lambda p, h, x: (lambda h: (h, h))(h @ p.T)
    got = lyapunov_spectrum(step, jnp.asarray(w, jnp.float32), jnp.zeros((1, 5)), length=10_000, skip=100)
    np.testing.assert_allclose(got[0], np.log([1.05, 0.9, 0.7, 0.4, 0.1]), atol=1e-3)


def test_lyapunov_of_a_nonlinear_step_is_numpy_qr(x64):
    """The Henon map: exponents that sum to log 0.3, and 0.419 for the first (Benettin et al.; Sprott, 2003)."""
    step = lambda p, s, x: (jnp.stack([1 - p * s[0] ** 2 + s[1], 0.3 * s[0]]), ())
    got = lyapunov_spectrum(step, 1.4, jnp.asarray([0.1, 0.1]), length=4000, skip=50)
    s, Q, total = np.array([0.1, 0.1]), np.eye(2), np.zeros(2)
    for t in range(4000):
        Q, R = np.linalg.qr(np.array([[-2.8 * s[0], 1], [0.3, 0]]) @ Q)
        s = np.array([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])
        total += np.log(np.abs(np.diag(R))) * (t >= 50)
    assert got.shape == (2,)
    np.testing.assert_allclose(got.sum(), np.log(0.3), atol=1e-10)  # |det J| = 0.3 at every step
    np.testing.assert_allclose(got, total / 3950, atol=2e-2)  # chaos: rounding makes two trajectories
    np.testing.assert_allclose(got[0], 0.419, atol=0.02)


def test_lyapunov_of_a_cell_is_numpy_qr(x64):
    step, *args = problem("lstm", t=40)
    J, want = of_one_sequence("lstm", slow("lstm", t=40)[0]), []
    for b in range(3):
        Q, total = np.eye(8), 0
        for t in range(40):
            Q, R = np.linalg.qr(J[t, b] @ Q)
            total += np.log(np.abs(np.diag(R))) * (t >= 10)
        want.append(np.sort(total / 30)[::-1])
    got = jax.jit(lambda *args: lyapunov_spectrum(step, *args, skip=10))(*args)
    np.testing.assert_allclose(got, want, atol=1e-8)


def test_a_step_with_its_own_backward_pass(x64):
    """custom_vjp has no forward mode."""

    @jax.custom_vjp
    def s(x):
        return jnp.tanh(x)

    s.defvjp(lambda x: (jnp.tanh(x), jnp.tanh(x)), lambda y, g: (g * (1 - y**2),))
    own = lambda p, h, x: (lambda h: (h, h))(s(h @ p + x))
    plain = lambda p, h, x: (lambda h: (h, h))(jnp.tanh(h @ p + x))
    args = normal(4, 4), normal(2, 4, seed=1), normal(5, 2, 4, seed=2)
    np.testing.assert_allclose(jacobians(own, *args), jacobians(plain, *args), atol=1e-12)


def test_vmap(x64):
    step, params, carry, xs = problem("plain")
    run = lambda x: [probe(step, params, carry, x) for probe in PROBES]
    for both, one in zip(jax.jit(jax.vmap(run))(jnp.stack([2 * xs, xs])), jax.jit(run)(xs), strict=True):
        np.testing.assert_allclose(both[1], one, atol=1e-8)
        assert not jnp.allclose(both[0], one)


@pytest.mark.parametrize("probe", PROBES)
def test_errors(probe):
    step, params, carry, xs = problem("tanh")
    me = probe.__name__
    with pytest.raises(ValueError, match=rf"^{me}: needs at least two steps: with t = 1"):
        probe(step, params, carry, xs[:1])
    with pytest.raises(ValueError, match=rf"^{me}: carry holds NaN"):
        probe(step, params, carry * jnp.nan, xs)
    with pytest.raises(ValueError, match=rf"^{me}: complex carry leaves are unsupported; carry real and imaginary"):
        probe(lambda p, h, x: (h * 1j, h), (), jnp.ones((2, 3), jnp.complex64), length=4)
    with pytest.raises(ValueError, match=rf"^{me}: the carry has no float leaf"):
        probe(lambda p, h, x: (h + 1, h), (), 0, length=4)
    with pytest.raises(TypeError, match="another structure"):
        probe(lambda p, h, x: ((h, h), h), params, carry, xs)
    with pytest.raises(ValueError, match="xs=None needs length="):
        probe(step, params, carry)
    for lag in (0, 7):
        with pytest.raises(ValueError, match=rf"lag {lag} is outside 1 ... t = 6"):
            jacobian_product_log10norms(step, params, carry, xs, [1, lag])
    with pytest.raises(ValueError, match="skip = 6 is outside"):
        lyapunov_spectrum(step, params, carry, xs, skip=6)
