"""Gradients through time: against autodiff of loops written out, in float64; on the log scale beyond floats."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_problems import ALL, CELLS, is_float, normal, problem, slow, with_radius

import rnn_jax
from rnn_jax.cells import name
from rnn_jax.gradients import hidden_gradients, immediate_partials, influence


def each(ys):
    """E_t(y_t): [t]."""
    return jnp.sum(jnp.sin(ys) + ys**2, axis=tuple(range(1, ys.ndim)))


loss = lambda ys: jnp.sum(each(ys))


def read(kind, params, state, old, x):
    """y_t by hand, from the state that left step t."""
    return {
        "plain": lambda p: jnp.sin(state @ p["v"]) * x[:, :1],
        "unbatched": lambda p: 2 * state,
        "counting": lambda p: state[0] * state[0] + old[2],
        "literal": lambda p: state[0] + old[2] + old[1],
        "lstm": lambda p: state[0],
    }.get(kind, lambda p: state)(params)


def slow_rows(kind):
    """dE_t/ds_k as [t k D], D the whole carry: e_t J_t ... J_{k+1} by numpy, e_t by autodiff of `read` alone, which may
    read the old state too."""
    _, params, _, xs = problem(kind)
    J, states = slow(kind)

    def own(x, *states):
        value = lambda states: jnp.sum(each(read(kind, params, *states, x)[None]))
        grads = jax.grad(value, allow_int=True)(states)
        grads = jax.tree.map(lambda g, a: g if is_float(a) else None, grads, states)
        return [jnp.concatenate([g.ravel() for g in jax.tree.leaves(part)]) for part in grads]

    own = jax.jit(own)
    out = np.zeros((len(xs), len(xs), J.shape[-1]))
    for t, x in enumerate(xs):
        out[t, t], before = own(x, states[t + 1], states[t])
        for k in range(t, 0, -1):
            out[t, k - 1] = out[t, k] @ J[k] + (before if k == t else 0)
    return out


@pytest.mark.parametrize("kind", ALL)
def test_influence_is_autodiff_of_each_rows_loss_and_sums_to_hidden_gradients(x64, kind):
    step, *args = problem(kind)
    rows = slow_rows(kind)
    if kind == "lstm":
        rows = rows[..., :12]  # h, not c
    both = jax.jit(lambda *args: (influence(step, *args, loss), hidden_gradients(step, *args, loss)))
    got, grads = both(*args)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(got, np.log10(np.linalg.norm(rows, axis=-1)), atol=1e-10)
    assert np.all(np.isneginf(got[np.triu_indices(len(got), 1)])) and not np.isnan(got).any()
    total = jnp.concatenate([g.reshape(len(got), -1) for g in jax.tree.leaves(grads)], axis=1)
    np.testing.assert_allclose(total, rows.sum(0), atol=1e-11)
    if kind in CELLS:
        assert grads.shape == (6, 3, 4)
    if kind == "counting":
        assert grads[2] is None and grads[3] is None and grads[0].shape == grads[1].shape == (6, 3, 4)


@pytest.mark.parametrize(
    "kind, masks",
    [
        ("gru", {"lengths": np.array([5, 0, 3])}),
        ("plain", {"lengths": np.array([5, 6, 3]), "reverse": True, "method": "reference"}),
    ],
)
def test_hidden_gradients_are_differences_of_the_loss(x64, kind, masks):
    """Move h_t by hand at one t."""
    step, params, carry, xs = problem(kind)
    got = hidden_gradients(step, params, carry, xs, loss, None, **masks)
    bump = 1e-6 * normal(*carry.shape, seed=9)

    def tapped(p, h, x):
        h, _ = step(p, h, x[0])
        h = h + x[1] * bump
        return h, (h if kind == "gru" else jnp.sin(h @ p["v"]) * x[0][:, :1])

    @jax.jit
    def moved(at, sign):
        marks = jnp.zeros((len(xs), 1, 1)).at[at].set(sign)
        return loss(rnn_jax.scan(tapped, params, carry, (xs, marks), **masks)[1])

    for at in (0, 3):
        slope = (moved(at, 1) - moved(at, -1)) / 2
        np.testing.assert_allclose(jnp.sum(got[at] * bump), slope, rtol=1e-4, atol=1e-14)


def test_names(x64):
    args = problem("lstm")
    last = lambda ys: each(ys)[-1]

    @jax.jit
    def run():
        both, state = hidden_gradients(*args, loss, ("h", "c")), hidden_gradients(*args, loss, None)
        return both, state, hidden_gradients(*args, last, "c"), influence(*args, last, "c", rows=(-1,))

    both, (h, c), g, row = run()
    assert set(both) == {"h", "c"} and both["c"].shape == (6, 3, 4)
    np.testing.assert_allclose(row[0], np.log10(np.linalg.norm(g.reshape(6, -1), axis=1)), atol=1e-10)
    np.testing.assert_allclose(h, both["h"], atol=1e-12)  # of the state: h_t is what y_t is,
    assert jnp.all(c[-1] == 0) and not jnp.allclose(c, both["c"])  # c_t is read by the next step only


def test_a_name_before_the_state_is_a_total_derivative(x64):
    step = lambda p, h, x: (lambda a: (jnp.tanh(a), jnp.tanh(a) + a))(name(h @ p + x, "h"))
    args = step, normal(3, 3), normal(2, 3, seed=1), normal(4, 2, 3, seed=2)
    last = lambda ys: each(ys)[-1]
    a = jnp.linalg.norm(hidden_gradients(*args, last).reshape(4, -1), axis=1)
    np.testing.assert_allclose(influence(*args, last, rows=[3])[0], jnp.log10(a), atol=1e-10)


@pytest.mark.parametrize("rho, low, high", [(0.5, -122, -118), (6.0, 300, 320)])
def test_influence_stays_finite_in_float32_where_floats_end(rho, low, high):
    """The linear regime of a tanh network: log10 ||W^(t-k)^T e||, by numpy in float64 with the scale kept apart."""
    w, t = with_radius(rho, 20), 400
    step = lambda p, h, x: (lambda h: (h, h))(h @ p.T + x)
    args = step, jnp.asarray(w, jnp.float32), jnp.zeros((1, 20)), jnp.zeros((t, 1, 20))
    got = influence(*args, lambda ys: jnp.sum(ys[-1, 0, 0]), rows=(-1,))
    assert got.dtype == jnp.float32 and got.shape == (1, t)
    v, scale, want = np.eye(20)[0], 0.0, []
    for _ in range(t):
        want.append(scale + np.log10(np.linalg.norm(v)))
        v = w.T @ v
        scale, v = scale + np.log10(np.linalg.norm(v)), v / np.linalg.norm(v)
    np.testing.assert_allclose(got[0, ::-1], want, atol=2e-3)
    assert low < (want[-1] if rho < 1 else want[399]) < high


def test_a_loss_as_small_or_large_as_floats_allow():
    step, *args = problem("tanh")
    run = jax.jit(lambda scale: influence(step, *args, lambda ys: scale * jnp.sum(ys)))
    ones = run(1.0)
    for scale in (1e-30, 1e30):
        got = run(scale)
        np.testing.assert_allclose(got, ones + np.log10(scale), atol=1e-4)


def test_influence_of_dead_units_is_minus_infinity_not_nan():
    step = lambda p, h, x: (lambda h: (h, h))(jax.nn.relu(h @ p + x))
    got = influence(step, jnp.eye(3), jnp.zeros((1, 3)), -jnp.ones((4, 1, 3)), jnp.sum)
    assert np.all(np.isneginf(got[np.tril_indices(4, -1)])) and np.all(np.isfinite(np.diag(got)))


@pytest.mark.parametrize("kind", [*CELLS, "plain", "closing"])
def test_immediate_partials_add_up_to_the_gradient(x64, kind):
    step, *args = problem(kind)
    masks = {"lengths": np.array([5, 0, 3]), "reverse": True} if kind in ("gru", "lstm") else {}

    @jax.jit
    def both(params, carry, xs):
        whole = jax.grad(lambda p: loss(rnn_jax.scan(step, p, carry, xs, **masks)[1]))(params)
        return immediate_partials(step, params, carry, xs, loss, **masks), whole

    parts, want = both(*args)
    for a, b in zip(jax.tree.leaves(parts), jax.tree.leaves(want), strict=True):
        assert a.shape == (6, *b.shape)
        np.testing.assert_allclose(jnp.sum(a, axis=0), b, atol=1e-10 * float(jnp.abs(b).max()))


def test_an_immediate_partial_is_the_gradient_at_one_step(x64):
    """h_k = tanh(h_{k-1} W + ...): with the gradient at h_k known, step k's term is h_{k-1}^T (g (1 - h_k^2))."""
    args = problem("tanh")
    states, g = np.stack(slow("tanh")[1]), slow_rows("tanh").sum(0).reshape(6, 3, 4)
    da = g * (1 - states[1:] ** 2)
    parts = immediate_partials(*args, loss)
    np.testing.assert_allclose(parts["wh"], np.einsum("tbi,tbj->tij", states[:-1], da), atol=1e-11)
    np.testing.assert_allclose(parts["b"], da.sum(1), atol=1e-11)


def test_vmap_rows_and_no_jit(x64):
    step, params, carry, xs = problem("plain")
    run = lambda x: (
        influence(step, params, carry, x, loss, rows=(-1, 2)),
        immediate_partials(step, params, carry, x, loss),
    )
    got, eager = jax.jit(jax.vmap(run))(jnp.stack([2 * xs, xs])), run(xs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-10), got, eager)
    norms = np.linalg.norm(slow_rows("plain"), axis=-1)[[-1, 2]]
    np.testing.assert_allclose(10 ** got[0][1], norms, rtol=1e-9)


@pytest.mark.parametrize("probe", [hidden_gradients, influence, immediate_partials])
def test_errors(probe):
    step, params, carry, xs = problem("tanh")
    me = probe.__name__
    with pytest.raises(ValueError, match=rf"^{me}: loss\(ys\) must be a real scalar.*float32\[6\]"):
        probe(step, params, carry, xs, each)
    with pytest.raises(ValueError, match=rf"^{me}: params\['wh'\] holds NaN"):
        probe(step, params | {"wh": params["wh"] * jnp.nan}, carry, xs, loss)
    with pytest.raises(ValueError, match=rf"^{me}: xs holds NaN"):
        probe(step, params, carry, xs.at[2].set(jnp.nan), loss)
    with pytest.raises(ValueError, match=rf"^{me}: needs at least two steps: with t = 1 no gradient travels"):
        probe(step, params, carry, xs[:1], loss)
    with pytest.raises(TypeError, match="another structure"):
        probe(lambda p, h, x: ((h, h), h), params, carry, xs, loss)
    if probe is not immediate_partials:
        with pytest.raises(ValueError, match=r"no value of the step is named 'gate'; visible names: h, preactivation"):
            probe(step, params, carry, xs, loss, "gate")
    if probe is influence:
        with pytest.raises(ValueError, match=r"^influence: row 6 is beyond t = 6"):
            probe(step, params, carry, xs, loss, rows=(0, 6))
