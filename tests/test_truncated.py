"""Truncated BPTT against slow definitions: a Python loop over steps, with stop_gradient where each kind cuts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from rnn_jax import cells, scan, truncated

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
T, B, N, D = 12, 2, 3, 4
CELLS = {"vanilla": cells.vanilla(), "lstm": cells.lstm(), "gru": cells.gru()}
KINDS = {  # name -> (the function, keywords that cut nothing, keywords that cut)
    "chunks": (truncated.chunks, {"k": T}, {"k": 4}),
    "windows": (truncated.windows, {"k1": 3, "k2": T}, {"k1": 3, "k2": 7}),
    "last": (truncated.last, {"k2": T}, {"k2": 5}),
}
OVERLAPS = [(1, 5), (2, 5), (3, 3), (4, 11)]


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def problem(cell, t=T, b=B):
    params = jax.tree.map(lambda a: a + 0.2 * normal(1, *a.shape), cell.init(jax.random.key(0), N, D, jnp.float64))
    carry = jax.tree.map(lambda a: normal(2, *a.shape), cell.carry(b, D, jnp.float64))
    return params, carry, normal(3, t, b, N)


def scalar(tree):
    """A loss with a gradient of its own in every float entry of a tree."""
    leaves = [a for a in jax.tree.leaves(tree) if jnp.issubdtype(a.dtype, jnp.inexact)]
    return _scalar(leaves)


@jax.jit
def _scalar(leaves):
    weights = [1 + jnp.arange(a.size).reshape(a.shape) / a.size for a in leaves]
    return sum(jnp.sum(jnp.sin(a + i) * w) for i, (a, w) in enumerate(zip(leaves, weights, strict=True)))


def gradient(run, args, jit=jax.jit):
    """The slow definitions are not jitted: their steps are, once for all tests."""
    return jit(jax.grad(lambda args: scalar(run(*args))))(args)


def as_it_is(f):
    return f


def agree(got, want, tolerance=1e-10):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if a.dtype == jax.dtypes.float0 or jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            continue
        a, b = np.asarray(a), np.asarray(b)
        assert np.max(np.abs(a - b), initial=0) <= tolerance * np.max(np.abs(b), initial=1e-300)


jitted = functools.cache(jax.jit)  # one compilation of a step serves the loops of every test
rows = jax.jit(lambda xs: [jax.tree.map(lambda a: a[k], xs) for k in range(len(jax.tree.leaves(xs)[0]))])
stack = jax.jit(lambda ys: jax.tree.map(lambda *leaves: jnp.stack(leaves), *ys))


def loop(step, params, carry, xs):
    """(the state before each step and after the last, the outputs), step by step; xs a list."""
    states, ys = [carry], []
    for x in xs:
        carry, y = jitted(step)(params, carry, x)
        states.append(carry)
        ys.append(y)
    return states, ys


def slow_windows(step, params, carry, xs, k1, k2):
    """Window after window as the definition has them, each run again from its start state."""
    xs = rows(xs)
    states, _ = loop(step, params, carry, xs)
    after, out = carry, []
    for end in range(k1, len(xs) + 1, k1):
        begin = max(end - k2, 0)
        start = lax.stop_gradient(states[begin]) if begin else carry
        inside, ys = loop(step, params, start, xs[begin:end])
        after, out = inside[-1], out + ys[-k1:]
    return after, stack(out)


def slow_chunks(step, params, carry, xs, k):
    xs, out, after = rows(xs), [], carry
    for begin in range(0, len(xs), k):
        inside, ys = loop(step, params, carry, xs[begin : begin + k])
        after, out = inside[-1], out + ys
    return after, stack(out)


def slow_last(step, params, carry, xs, k2):
    xs = rows(xs)
    cut = max(len(xs) - k2, 0)
    states, before = loop(step, params, carry, xs[:cut])
    inside, after = loop(step, params, lax.stop_gradient(states[-1]) if cut else carry, xs[cut:])
    return inside[-1], stack(lax.stop_gradient(before) + after)


SLOW = {"chunks": slow_chunks, "windows": slow_windows, "last": slow_last}


@pytest.mark.parametrize("name", CELLS)
def test_without_a_cut_it_is_full_bptt(name):
    step, args = CELLS[name].step, problem(CELLS[name])
    want = gradient(lambda p, c, xs: lax.scan(lambda c, x: step(p, c, x), c, xs), args)
    for run, whole, _ in KINDS.values():
        agree(gradient(lambda *a: run(step, *a, **whole), args), want)
    if name == "vanilla":
        for run, beyond in ((truncated.windows, {"k1": T, "k2": T + 9}), (truncated.last, {"k2": T + 9})):
            agree(gradient(lambda *a: run(step, *a, **beyond), args), want)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_definition(kind, name):
    step, args = CELLS[name].step, problem(CELLS[name])
    run, _, cut = KINDS[kind]
    want = gradient(lambda *a: SLOW[kind](step, *a, **cut), args, as_it_is)
    agree(gradient(lambda *a: run(step, *a, **cut), args), want)
    if name == "vanilla":
        agree(gradient(lambda *a: run(step, *a, **cut, method="reference"), args), want)


@pytest.mark.parametrize(("k1", "k2"), OVERLAPS)
def test_overlapping_windows(k1, k2):
    """The whole Jacobian of the outputs; no gradient at all beyond the cut, and some at each step before it."""
    step, (params, carry, xs) = CELLS["vanilla"].step, problem(CELLS["vanilla"], b=1)

    def jacobian(run):
        return jax.jacrev(lambda p, xs: run(p, xs)[1].sum((1, 2)), (0, 1))(params, xs)

    got = jax.jit(lambda: jacobian(lambda p, xs: truncated.windows(step, p, carry, xs, k1=k1, k2=k2)))()
    agree(got, jacobian(lambda p, xs: slow_windows(step, p, carry, xs, k1, k2)))
    tau, s = np.arange(T)[:, None], np.arange(T)
    found = reached(got[1])
    assert np.array_equal(found, (s <= tau) & (s >= (tau // k1 + 1) * k1 - k2))
    assert list(found.sum(1)[-k1:]) == list(range(k2 - k1 + 1, k2 + 1))


def reached(jacobian):
    """bool [t t]: whether y_tau has a gradient in x_s."""
    return np.any(np.asarray(jacobian) != 0, axis=(2, 3))


@pytest.mark.parametrize(("kind", "cut"), [("chunks", {"k": 4}), ("last", {"k2": 5})])
def test_the_reach_is_exact(kind, cut):
    step, (params, carry, xs) = CELLS["vanilla"].step, problem(CELLS["vanilla"], b=1)
    run = getattr(truncated, kind)
    found = reached(jax.jit(jax.jacrev(lambda xs: run(step, params, carry, xs, **cut)[1].sum((1, 2))))(xs))
    tau, s = np.arange(T)[:, None], np.arange(T)
    assert np.array_equal(found, (s <= tau) & (s // 4 == tau // 4 if kind == "chunks" else s >= T - 5))


@pytest.mark.parametrize("name", CELLS)
def test_values_are_those_of_scan(name):
    step, args = CELLS[name].step, problem(CELLS[name])
    for kind in ("windows", "last"):
        run, _, cut = KINDS[kind]
        agree(run(step, *args, **cut), scan(step, *args), 1e-15)


def test_a_stream_hands_the_carry_on():
    """Two calls have the values of one; the carry's gradient is that of the last window."""
    step, (params, carry, xs) = CELLS["lstm"].step, problem(CELLS["lstm"])
    middle, first = truncated.windows(step, params, carry, xs[:6], k1=2, k2=3)
    end, second = truncated.windows(step, params, middle, xs[6:], k1=2, k2=3)
    agree((end, jnp.concatenate([first, second])), scan(step, params, carry, xs), 1e-14)
    step, args = CELLS["vanilla"].step, problem(CELLS["vanilla"])
    run = lambda *a: truncated.windows(step, *a, k1=2, k2=3)
    _, _, got = gradient(lambda *a: run(*a)[0], args)
    assert np.all(got[:-3] == 0) and np.all(got[-3:] != 0)
    for outputs, reaches in ((slice(0, 2), True), (slice(2, 4), False)):  # windows of steps 1 and 2, then 2 to 4
        _, got, _ = gradient(lambda *a: run(*a)[1][outputs], args)
        assert np.all((got != 0) == reaches)


def odd(params, carry, x):
    """Unbatched, a nested carry with a counter, several outputs, noise, an input that is no float."""
    (h, (count,)), key = carry
    h = jnp.tanh(params["w"] @ h + params["u"][x["token"]] + x["gain"] / (1 + count))
    h = h + 0.1 * jax.random.normal(jax.random.fold_in(key, count), h.shape)
    return ((h, (count + 1,)), key), {"h": h, "square": h**2, "count": count}


def odd_problem(key):
    xs = {"token": jnp.arange(T) % 3, "gain": normal(4, T)}
    return {"w": normal(5, D, D) / 2, "u": normal(6, 3, D)}, ((normal(7, D), (0,)), key), xs


@pytest.mark.parametrize(("impl", "kind"), [*(("threefry2x32", kind) for kind in KINDS), ("rbg", "windows")])
def test_any_step(impl, kind):
    """rbg draws other numbers under vmap than in turn, so windows must not run under it."""
    params, carry, xs = odd_problem(jax.random.key(1, impl=impl))
    run, _, cut = KINDS[kind]

    def both(run):
        def loss(params):
            out = run(odd, params, carry, xs, **cut)
            return scalar(out[1]), out

        return jax.grad(loss, has_aux=True)

    agree(jax.jit(both(run))(params), both(SLOW[kind])(params))


@pytest.mark.parametrize("kind", ["windows", "last"])
def test_what_a_step_closes_over_is_cut_too(kind):
    step, (params, carry, xs) = CELLS["vanilla"].step, problem(CELLS["vanilla"])
    run, _, cut = KINDS[kind]
    closed = lambda p: scalar(run(lambda _, h, x: step(p, h, x), None, carry, xs, **cut))
    given = lambda p: scalar(run(step, p, carry, xs, **cut))
    agree(*jax.jit(lambda p: (jax.grad(closed)(p), jax.grad(given)(p)))(params), 1e-13)


def test_several_models_at_once():
    step, (params, carry, xs) = CELLS["vanilla"].step, problem(CELLS["vanilla"])
    of = jax.grad(lambda p: scalar(truncated.windows(step, p, carry, xs, k1=3, k2=7)))
    many = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), params)
    agree(*jax.jit(lambda many: (jax.vmap(of)(many), jax.lax.map(of, many)))(many), 1e-12)


def test_derivatives_of_derivatives():
    """They are cut where the derivatives are."""
    step, (params, carry, xs) = CELLS["vanilla"].step, problem(CELLS["vanilla"])
    w, v = params["wh"], normal(8, D, D)

    def second(run):
        first = jax.grad(lambda w: scalar(run(step, params | {"wh": w}, carry, xs, k1=6, k2=7)))
        return jax.grad(lambda w: jnp.vdot(first(w), v))(w)

    agree(jax.jit(lambda: second(truncated.windows))(), second(slow_windows))


@pytest.mark.parametrize("kind", ["windows"])
def test_a_second_call_traces_nothing(kind):
    calls = []

    def step(params, h, x):
        calls.append(1)
        return CELLS["vanilla"].step(params, h, x)

    args, (run, _, cut) = problem(CELLS["vanilla"]), KINDS[kind]
    of = lambda: jax.grad(lambda p: scalar(run(step, p, *args[1:], **cut)))(args[0])
    of()
    traced = len(calls)
    agree(of(), of(), 0)
    assert len(calls) == traced > 0


def test_a_method_of_an_object_that_changes():
    class Model:
        gain = 1.0

        def step(self, params, h, x):
            return CELLS["vanilla"].step(params, self.gain * h, x)

    model, args = Model(), problem(CELLS["vanilla"])
    step = model.step
    before = truncated.windows(step, *args, k1=3, k2=7)[1]
    model.gain = 0.5
    after = truncated.windows(step, *args, k1=3, k2=7)[1]
    agree(after, scan(step, *args)[1], 1e-14)
    assert not np.allclose(before, after)


def test_no_step_at_all():
    step, (params, carry, _) = CELLS["lstm"].step, problem(CELLS["lstm"])
    for run, whole, _ in KINDS.values():
        after, ys = run(step, params, carry, jnp.zeros((0, B, N)), **whole)
        agree(after, carry, 0)
        assert ys.shape == (0, B, D)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        ("chunks", {"k": 5}, "chunks: k = 5 does not divide t = 12; 4 or 6 would"),
        ("chunks", {"k": 24}, "chunks: k = 24 does not divide t = 12; 12 would"),
        ("chunks", {"k": 0}, "chunks: k = 0 is no number of steps; take at least 1"),
        ("windows", {"k1": 8, "k2": 8}, "windows: k1 = 8 does not divide t = 12; 6 or 12 would"),
        ("windows", {"k1": 4, "k2": 3}, "windows: k2 = 3 is below k1 = 4, so some outputs would have no gradient"),
        ("windows", {"k1": -1, "k2": 3}, "windows: k1 = -1 is no number of steps"),
        ("last", {"k2": 0}, "last: k2 = 0 is no number of steps; take at least 1"),
    ],
)
def test_a_wrong_call_names_the_remedy(kind, wrong, message):
    args = problem(CELLS["vanilla"])
    with pytest.raises(ValueError) as error:
        getattr(truncated, kind)(CELLS["vanilla"].step, *args, **wrong)
    assert message in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match="leaves that share a leading time axis"):
        KINDS[kind][0](CELLS["vanilla"].step, *args[:2], None, **KINDS[kind][2])
