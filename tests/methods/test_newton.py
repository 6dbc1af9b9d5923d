"""method="newton": any step in parallel over time, equal to the reference, or an error."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scan_problems import CELLS, MASKS, B, D, N, T, agree, gradients, normal, problem, relative, scalar

from rnn_jax import scan
from rnn_jax.methods import Newton
from rnn_jax.methods.newton import smoothed

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
REPORT = ("newton/iterations", "newton/residual")


@pytest.mark.parametrize(
    ("cell", "mask", "method"),
    [
        ("tanh", "full", "newton"), ("gru_after", "resets", "newton"), ("lstm", "both", "newton"),
        ("gru", "lengths", Newton("diagonal")), ("lstm", "full", Newton("diagonal")),
        ("tanh", "both", Newton(damping=1.0)), ("tanh", "full", Newton("diagonal", damping=1.0)),
    ],
    ids=str,
)  # fmt: skip
def test_equals_the_reference(cell, mask, method):
    cell, kwargs = CELLS[cell], {**MASKS[mask], "reverse": mask in ("both", "lengths")}
    args = cell.step, *problem(cell)
    agree(gradients(*args, method=method, **kwargs), gradients(*args, method="reference", **kwargs), 1e-11)


def strange(p, carry, x):
    """A weight used twice, two leaves of other widths, a closed form in the middle, rows of a matrix."""
    h, m = carry
    z = jnp.concatenate([x, h], axis=-1) @ p["w"]
    m = 0.5 * m + 0.3 * jnp.tanh(h[:, :, None] * (h @ p["a"])[:, None, :2])
    h = jnp.tanh(z @ p["a"]) * jax.nn.sigmoid(z) + 0.2 * m.sum(-1)
    return (h, m), {"h": h, "m": m}


def test_any_step():
    params = {"w": 0.5 * normal(1, N + D, D), "a": 0.5 * normal(2, D, D)}
    args = strange, params, (normal(3, B, D), normal(4, B, D, 2)), normal(5, T, B, N)
    agree(gradients(*args, method="newton"), gradients(*args, method="reference"), 1e-11)


def test_rows_that_meet():
    """The Jacobian of each row alone is then a guess; forward and backward converge all the same."""
    step = lambda p, h, x: (jnp.tanh(h @ p + x + 0.3 * jnp.mean(h, axis=0)),) * 2
    args = step, 0.5 * normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    agree(gradients(*args, method="newton"), gradients(*args, method="reference"), 1e-11)


def test_second_derivatives():
    step = lambda p, h, x: (jnp.tanh(h @ p + x),) * 2
    p, h, xs = 0.5 * normal(1, 3, 3), normal(2, 2, 3), normal(3, 4, 2, 3)
    penalty = lambda p, m: jnp.sum(jax.grad(lambda p: scalar(scan(step, p, h, xs, method=m)))(p) ** 2)
    agree(jax.grad(penalty)(p, "newton"), jax.grad(penalty)(p, "reference"), 1e-10)


def test_under_vmap_and_closures():
    xs = normal(3, T, B, D)
    w = 0.5 * normal(1, D, D)
    loss = lambda scale, m: scalar(
        scan(lambda _, h, x: (jnp.tanh(h @ (scale * w) + x),) * 2, None, normal(2, B, D), xs, method=m)
    )
    both = lambda m: jax.vmap(jax.value_and_grad(lambda s: loss(s, m)))(jnp.linspace(0.1, 1.5, 4))
    agree(both("newton"), both("reference"), 1e-11)


@pytest.mark.parametrize("length", [0, 1])
def test_no_steps_and_one_step(length):
    params, carry, xs = problem(CELLS["gru"])
    args = CELLS["gru"].step, params, carry, xs[:length]
    agree(gradients(*args, method="newton"), gradients(*args, method="reference"))
    *_, told = scan(*args, method="newton", collect=REPORT)
    assert told["newton/iterations"].shape == told["newton/residual"].shape == (length,)


def single(cell, t, d=8, gain=1.0):
    params = jax.tree.map(lambda a: gain * a.astype(jnp.float32), cell.init(jax.random.key(0), 4, d))
    return cell.step, params, cell.carry(2, d), normal(5, t, 2, 4).astype(jnp.float32)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_float32_within_1e_6_of_the_reference(cell):
    """At random weights, and at larger ones, as trained networks have (the long run: experiments.speed)."""
    loss = lambda p, args, m: jnp.mean(scan(args[0], p, *args[1:], method=m)[1] ** 2)
    grads = {}
    for gain in (1.0, 1.25):
        args = step, params, *rest = single(CELLS[cell], 300, gain=gain)
        for m in ("newton", "reference"):  # compiled once a method
            grads.setdefault(m, jax.jit(jax.grad(lambda p, rest, m=m: loss(p, (step, *rest), m))))
        _, ys, told = scan(*args, method="newton", collect=("h", *REPORT))
        assert relative(ys, scan(*args, method="reference")[1]) <= 1e-6
        assert np.array_equal(told["h"], ys)
        iterations, residual = told["newton/iterations"], told["newton/residual"]
        assert 0 <= iterations.min() <= iterations.max() < 30 and residual.max() < 1e-6
        exact, ours = grads["reference"](params, rest), grads["newton"](params, rest)
        assert all(relative(ours[k], exact[k]) < 1e-5 for k in exact)


@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru"])
def test_float32_within_1e_6_of_the_reference_on_trained_weights(cell):
    """Networks that have learned to hold the last sign seen, over 40 steps; then over 500."""
    cell, d, cast = CELLS[cell], 8, lambda tree: jax.tree.map(lambda a: a.astype(jnp.float32), tree)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.02))
    carry = cell.carry(16, d, jnp.float32)
    params = cast(cell.init(jax.random.key(0), 1, d) | {"out": 0.1 * normal(1, d)})

    def make(key, t):
        xs = jnp.round(jax.random.uniform(key, (t, 16), jnp.float32, -1, 1) * 0.75)
        return xs[..., None], jax.lax.associative_scan(lambda a, b: jnp.where(b != 0, b, a), xs)

    def loss(params, xs, ys):
        return jnp.mean((scan(cell.step, params, carry, xs, method="reference")[1] @ params["out"] - ys) ** 2)

    @jax.jit
    def train(params):
        def one(state, key):
            grads = jax.grad(loss)(state[0], *make(key, 40))
            updates, opt = optimizer.update(grads, state[1])
            return (optax.apply_updates(state[0], updates), opt), None

        return jax.lax.scan(one, (params, optimizer.init(params)), jax.random.split(jax.random.key(2), 400))[0][0]

    trained, (xs, ys) = train(params), make(jax.random.key(3), 500)
    assert loss(trained, xs[:40], ys[:40]) < 0.02 < loss(params, xs[:40], ys[:40]), "it has not learned"
    run = jax.jit(lambda m: scan(cell.step, trained, carry, xs, method=m)[1], static_argnums=0)
    assert relative(run("newton"), run("reference")) <= 1e-6


@pytest.mark.parametrize("seed", [0, 1])
def test_a_state_that_blows_up_excuses_no_error_before_it(seed):
    """Chaos for 60 steps, then growth to 1e12: measured against the largest of all, the first would count as right."""
    step = lambda p, h, x: (jnp.where(jnp.abs(h) < 5, 3 * jnp.sin(2 * h) + x, 2 * h),) * 2
    xs = 0.3 * jax.random.normal(jax.random.key(seed), (100, 1, 1), jnp.float32).at[60].add(30)
    args = step, None, jnp.full((1, 1), 0.5, jnp.float32), xs
    right, ours = (scan(*args, method=m)[1] for m in ("reference", "newton"))
    assert jnp.max(jnp.abs(right)) > 1e10 > 100 > jnp.max(jnp.abs(right[:60]))
    assert relative(ours[:60], right[:60]) < 1e-5 and relative(ours, right) < 1e-5


def test_iterations_are_counted_step_by_step():
    """From h = 0 a linear chain is right at once; a tanh one from its start on."""
    xs = jnp.ones((T, 1, 1))
    chain = lambda p, h, x: (0.5 * h + x, h)
    *_, told = scan(chain, None, jnp.zeros((1, 1)), xs, method="newton", collect=REPORT)
    assert list(told["newton/iterations"]) == [1] * T
    *_, told = scan(lambda p, h, x: (0 * h, h), None, jnp.zeros((1, 1)), xs, method="newton", collect=REPORT)
    assert list(told["newton/iterations"]) == [0] * T
    bend = lambda p, h, x: (jnp.tanh(2 * h + x), h)
    *_, told = scan(bend, None, jnp.zeros((1, 1)), xs, method=Newton("diagonal"), collect=REPORT)
    assert 1 <= told["newton/iterations"][0] <= told["newton/iterations"].max() <= T


def test_no_convergence_is_an_error_and_no_wrong_answer():
    args = single(CELLS["tanh"], 50, gain=4.0)
    run = lambda xs: scan(*args[:3], xs, method=Newton(iterations=1))[1]
    for call in (run, jax.jit(run)):
        with pytest.raises(Exception, match=r"newton: after 1 iterations the residual is .* above the tolerance"):
            jax.block_until_ready(call(args[3]))
    agree(run(args[3][:1]), scan(*args[:3], args[3][:1], method="reference")[1], 1e-6)


def test_a_chaotic_network_converges_in_at_most_t_iterations():
    step = lambda p, h, x: (jnp.tanh(h @ p + x),) * 2
    args = step, 6 * normal(1, D, D), normal(2, B, D), normal(3, 20, B, D)
    *_, told = scan(*args, method=Newton(tolerance=1e-9), collect=REPORT)
    assert 3 < told["newton/iterations"].max() <= 20


def test_overflowing_products_of_jacobians():
    """Slopes of 1e9 at the guess, 1e-3 at the root: products overflow, iterations go on from finite entries."""
    step = lambda p, h, x: (jnp.where(jnp.abs(h) < 1e-3, 1e9 * h + 1, 0.5 + 1e-3 * jnp.sin(h)),) * 2
    args = step, None, jnp.zeros((1, 1)), jnp.zeros((100, 1, 1))
    agree(scan(*args, method="newton"), scan(*args, method="reference"), 1e-12)


@pytest.mark.parametrize("jacobian", ["full", "diagonal"])
@pytest.mark.parametrize("r", [3.0, 3.9])
def test_as_many_iterations_as_steps_suffice(r, jacobian):
    """The logistic map: far from the root iterates overflow, late in a row first, and what is right before stays."""
    step = lambda p, h, x: ((h := r * h * (1 - h)), h)
    args = step, None, jnp.full((1, 2), 0.3)
    found = scan(*args, length=20, method=Newton(jacobian, iterations=20))
    agree(found, scan(*args, length=20, method="reference"), 1e-10)


def test_damping_does_not_hold_gradients_back():
    """The adjoint is linear: frozen rows, whose Jacobian is 1, took it more than 100 damped iterations."""
    step = lambda p, h, x: ((h := jnp.tanh(h @ p + x)), h)
    args = step, 0.4 * normal(0, D, D), normal(1, 2, D), normal(2, 6, 2, D)
    kwargs = {"lengths": np.array([6, 3])}
    found = gradients(*args, method=Newton(damping=1.0), **kwargs)
    agree(found, gradients(*args, method="reference", **kwargs), 1e-11)


def test_the_damped_change_is_that_of_the_normal_equations():
    t, k, damping = 5, 2, 0.7
    a, error = normal(1, t, 1, 1, k, k), normal(2, t, 1, 1, k)
    for reverse in (False, True):
        order = range(t)[::-1] if reverse else range(t)
        m = np.eye(t * k)
        for i, j in zip(list(order)[1:], list(order), strict=False):
            m[i * k : i * k + k, j * k : j * k + k] = -a[i, 0, 0]
        exact = np.linalg.solve(m.T @ m + damping * np.eye(t * k), m.T @ np.asarray(error).reshape(-1))
        agree(jax.jit(smoothed, static_argnums=3)(a, error, damping, reverse).reshape(-1), jnp.asarray(exact), 1e-10)


@pytest.mark.parametrize(
    ("step", "carry", "message"),
    [
        (lambda p, c, x: ((c[0] + x, c[1] + 1), x), (np.zeros(3), np.zeros((), int)), r"float, one is int64\[\]"),
        (lambda p, c, x: (jax.debug.print("{}", c) or c, x), np.zeros(3), "callbacks or prints"),
    ],
)
def test_what_it_does_not_take(step, carry, message):
    with pytest.raises(ValueError, match=f"newton: .*{message}"):
        scan(step, None, carry, jnp.ones((4, 3)), method="newton")


@pytest.mark.parametrize(
    "wrong",
    [
        {"jacobian": "half"}, {"damping": -1.0}, {"damping": "1"}, {"iterations": 0}, {"iterations": 2.5},
        {"tolerance": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match=f"newton: .*{next(iter(wrong.values()))!r}"):
        Newton(**wrong)
