"""`rnn_jax.scan` against its contract: every method equals `lax.scan` on values, gradients, masks, for any step."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scan_problems import CELLS, MASKS, B, D, N, T, agree, gradients, normal, problem, relative, scalar

import rnn_jax
from rnn_jax import cells, methods, scan
from rnn_jax.cells import name
from rnn_jax.scan import _cache
from rnn_jax.tracing import inner_jaxprs

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")
METHODS = ["deferred"]  # those that take any step; the others are tested in tests/methods
ALL = ["reference", *METHODS]


def by_sequence(step, params, carry, xs, *, lengths=None, resets=None, reverse=False, initial=None):
    """The contract in plain Python: each sequence alone, cut to its length, cut at its document marks."""
    initial = carry if initial is None else initial
    lasts, outs = [], []
    for b in range(B):
        length = T if lengths is None else int(lengths[b])
        row = lambda tree: jax.tree.map(lambda a: a[b : b + 1], tree)
        order = range(length - 1, -1, -1) if reverse else range(length)
        state, ys = row(carry), {}
        for i, t in enumerate(order):
            if resets is not None and (resets[t, b] if not reverse else i > 0 and resets[t + 1, b]):
                state = row(initial)
            state, ys[t] = step(params, state, xs[t, b : b + 1])
        zero = jnp.zeros((1, D), xs.dtype)
        outs.append(jnp.stack([ys.get(t, zero) for t in range(T)]))
        lasts.append(state)
    return jax.tree.map(lambda *a: jnp.concatenate(a), *lasts), jnp.concatenate(outs, axis=1)


# ------------------------------------------------------------------------------------------- the standard cells


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cell", CELLS)
def test_methods_equal_the_reference(cell, mask, reverse):
    cell, kwargs = CELLS[cell], {**MASKS[mask], "reverse": reverse}
    params, carry, xs = problem(cell)
    expected = gradients(cell.step, params, carry, xs, method="reference", **kwargs)
    for method in METHODS:
        agree(gradients(cell.step, params, carry, xs, method=method, **kwargs), expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", MASKS)
def test_reference_is_the_contract(mask, reverse):
    """The reference itself against sequences run one by one; lax.scan where there is no mask."""
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    kwargs = {**MASKS[mask], "reverse": reverse}
    agree(
        scan(cell.step, params, carry, xs, method="reference", **kwargs),
        by_sequence(cell.step, params, carry, xs, **kwargs),
    )
    if mask == "full":
        plain = lambda *a: lax.scan(functools.partial(cell.step, a[0]), a[1], a[2], reverse=reverse)
        loss = lambda f: jax.grad(lambda *a: scalar(f(*a)), (0, 1, 2))(params, carry, xs)
        agree(loss(plain), loss(lambda *a: scan(cell.step, *a, method="reference", reverse=reverse)))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("reverse", [False, True])
def test_initial_is_the_state_at_marks(method, reverse):
    cell = CELLS["gru"]
    params, carry, xs = problem(cell)
    start = normal(9, B, D)
    kwargs = {**MASKS["both"], "reverse": reverse}
    loss = lambda start: scalar(scan(cell.step, params, carry, xs, initial=start, method=method, **kwargs))
    plain = lambda start: scalar(by_sequence(cell.step, params, carry, xs, initial=start, **kwargs))
    agree((loss(start), jax.grad(loss)(start)), (plain(start), jax.grad(plain)(start)))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("length", [0, 1])
def test_no_steps_and_one_step(method, length):
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    out, grads = gradients(cell.step, params, carry, xs[:length], method=method)
    assert out[1].shape == (length, B, D)
    agree((out, grads), gradients(cell.step, params, carry, xs[:length], method="reference"))
    if length == 0:
        agree(out[0], carry)
        assert all(not np.any(g) for g in jax.tree.leaves(grads[0]))


@pytest.mark.parametrize("method", ALL)
def test_nothing_but_length_zero_is_no_nan(method):
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    out, grads = gradients(cell.step, params, carry, xs, method=method, lengths=np.zeros(B, int))
    agree(out[0], carry)
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves((out, grads)))


def test_half_precision_is_close_to_float32():
    """bfloat16: within its rounding of the float32 reference; dW is summed in float32, so it does not drift with t."""
    cell, t = CELLS["lstm"], 200
    params = jax.tree.map(lambda a: a.astype(jnp.float32), problem(cell)[0])
    carry, xs = cell.carry(B, D, jnp.float32), normal(3, t, B, N).astype(jnp.float32)
    loss = lambda p, c, x, m: jnp.mean(scan(cell.step, p, c, x, method=m)[1].astype(jnp.float32))
    exact = jax.grad(loss)(params, carry, xs, "reference")
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, carry, xs))
    for method in METHODS:
        got = jax.grad(loss)(*half, method)
        for k in exact:
            assert got[k].dtype == jnp.bfloat16
            assert relative(got[k], exact[k]) < 0.06


@pytest.mark.parametrize("cell", [cells.gru(), cells.gru(reset_after=True), cells.lstm(), cells.vanilla()])
def test_half_precision_gradients_are_sums_in_float32(cell):
    """Of 50,000 terms, which bfloat16 would stop adding at a few hundred: a bias, wherever the step adds it."""
    b, t = 256, 200
    params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), cell.init(jax.random.key(0), N, D, jnp.float32))
    xs = normal(3, t, b, N).astype(jnp.bfloat16)
    loss = lambda p, xs, m: jnp.sum(jnp.sin(scan(cell.step, p, cell.carry(b, D, xs.dtype), xs, method=m)[1]))
    exact = jax.grad(loss)(*jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs)), "reference")
    found = jax.grad(lambda *a: loss(*a).astype(jnp.float32))(params, xs, "deferred")
    assert all(relative(found[k], exact[k]) < 0.02 for k in exact)


@pytest.mark.parametrize("cell", [cells.gru(), cells.lstm(), cells.vanilla()])
def test_weight_gradients_in_float32(cell):
    """Of second order, and under vmap, too."""
    params, carry, xs = jax.tree.map(lambda a: a.astype(jnp.float32), problem(cell))
    loss = lambda p, xs, m: scalar(scan(cell.step, p, carry, xs, method=m))
    twice = lambda m: jax.grad(lambda p: scalar(jax.grad(loss, (0, 1))(p, xs, m)))(params)
    for f in (lambda m: jax.grad(loss, (0, 1))(params, xs, m), twice):
        agree(f("deferred"), f("reference"), 2e-5)
    many = jax.vmap(lambda xs: jax.grad(loss)(params, xs, "deferred"))(jnp.stack([xs, 2 * xs]))
    agree(jax.tree.map(lambda a: a[1], many), jax.grad(loss)(params, 2 * xs, "reference"), 2e-5)


# ----------------------------------------------------------------------------------- steps that nobody has seen


def strange_step(closed):
    """Two matmuls of the carry in sequence, concat([x, h]) @ W, relu, a dict carry, a counter in it, an integer input,
    a closed-over weight, a cond."""

    def step(params, carry, x):
        x, token = x
        h, count = carry["h"], carry["count"]
        e = params["embed"][token]
        u = jnp.tanh(h @ params["a"]) @ params["b"]
        z = jnp.concatenate([x, h], axis=-1) @ params["w"] + u + e
        z = jax.nn.relu(z @ closed) + 0.1 * z * params["peephole"]
        h = lax.cond(count % 2 == 0, lambda v: jnp.tanh(v), lambda v: 0.5 * v, name(z, "z"))
        best = jnp.argmax(h, axis=-1)
        carry = {"h": h, "count": count + 1, "best": best.astype(carry["best"].dtype), "flag": ~carry["flag"]}
        return carry, {"h": h, "best": best, "count": count}

    return step


def strange_problem():
    params = {
        "embed": normal(1, 7, D), "a": 0.5 * normal(2, D, D), "b": 0.5 * normal(3, D, D),
        "w": 0.5 * normal(4, N + D, D), "peephole": normal(5, D).reshape(1, D),
    }  # fmt: skip
    carry = {
        "h": normal(6, B, D),
        "count": jnp.zeros((), int),
        "best": jnp.zeros(B, jnp.int32),
        "flag": jnp.zeros(B, bool),
    }
    xs = normal(7, T, B, N), jnp.asarray(np.random.default_rng(8).integers(0, 7, (T, B)))
    return params, carry, xs, 0.5 * normal(9, D, D)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_with_everything(method, reverse):
    params, carry, xs, closed = strange_problem()

    def run(method):
        def loss(params, h, x, closed):
            out = scan(strange_step(closed), params, carry | {"h": h}, (x, xs[1]), method=method, reverse=reverse)
            return scalar(out), out

        return jax.value_and_grad(loss, (0, 1, 2, 3), has_aux=True)(params, carry["h"], xs[0], closed)

    expected = run("reference")
    assert np.any(expected[1][3]), "the closed-over weight has a gradient"
    agree(run(method), expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_with_everything_and_masks(method):
    params, carry, xs, closed = strange_problem()
    carry["count"] = jnp.zeros(B, int)
    step = strange_step(closed)

    def batched(params, carry, x):  # the counter has the batch axis that masks need
        out, y = step(params, carry | {"count": carry["count"][0]}, x)
        return out | {"count": carry["count"] + 1}, y | {"count": carry["count"]}

    for mask in MASKS.values():
        loss = lambda p, h, m, mask=mask: scalar(scan(batched, p, carry | {"h": h}, xs, method=m, **mask))
        grad = jax.value_and_grad(loss, (0, 1))
        agree(grad(params, carry["h"], method), grad(params, carry["h"], "reference"))


def peephole(p, carry, x):
    h, c = carry
    i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"][None], 4, axis=-1)
    c = jax.nn.sigmoid(f + c * p["pf"][None]) * c + jax.nn.sigmoid(i + c * p["pi"][None]) * jnp.tanh(g)
    h = jax.nn.sigmoid(o + c * p["po"][None]) * jnp.tanh(c)
    return (h, c), h


def multiplicative(p, carry, x):
    h, c = carry
    m = (x @ p["m"]) * (h @ p["a"])
    return peephole(p, (m, c), x)


def cayley(p, h, x):
    a = p["a"] - p["a"].T
    q = jnp.linalg.solve(jnp.eye(D) + a, jnp.eye(D) - a)
    h = jax.nn.relu(h @ q + x @ p["m"])
    return h, h


def tied(p, h, x):
    """One weight used in three ways, a power of the carry, and an einsum of three operands."""
    z = x @ p["m"] + h @ p["a"] + h @ p["a"].T + h * jnp.diag(p["a"])[None]
    h = jnp.tanh(z) + 0.1 * jnp.einsum("bi,ij,bj->b", h, p["a"], h)[:, None] * h**2
    return h, h


def blocks(p, h, x):
    """Block-diagonal recurrence, softmax, an output layer in the step."""
    u = jnp.einsum("bki,kij->bkj", h.reshape(B, 1, D), p["a"][None]).reshape(B, D)
    h = jax.nn.softmax(u + x @ p["m"])
    return h, jnp.exp(h @ p["a"]) @ p["a"].T


def scalars(p, h, x):
    """Learned scalars, a weight multiplied by one, a product of two carries, a normalised state."""
    h = jnp.tanh(p["s"] * (h @ (p["a"] * p["s"])) + x @ p["m"] + (h[:, None, :] @ h[:, :, None])[:, :, 0])
    h = h / jnp.sqrt(jnp.mean(h**2, -1, keepdims=True) + p["s"] ** 2)
    return h, h


def checkpointed(p, h, x):
    h = jax.checkpoint(lambda h: jnp.tanh(h @ p["a"] + x @ p["m"]))(h)
    return h, h


def inner_loops(p, h, x):
    h, _ = lax.scan(lambda h, _: (jnp.tanh(h @ p["a"]), None), h + x @ p["m"], None, length=2)
    h = lax.fori_loop(0, 2, lambda _, h: h * 0.9, h)
    n = lax.while_loop(lambda n: n < 3, lambda n: n + 1, 0)
    return h * n, h


def nested(p, h, x):
    inner = scan(lambda q, h, _: (jnp.tanh(h @ q), None), p["a"], h + x @ p["m"], length=3, method="deferred")[0]
    return inner, inner


def convolution(p, h, x):
    z = lax.conv_general_dilated(h[:, None], p["a"][:3, :1].reshape(1, 1, 3), (1,), "SAME")[:, 0]
    h = jnp.tanh(z + x @ p["m"])
    return h, h


def conditions(p, h, x):
    big = lax.cond(jnp.sum(h) > 0, lambda h: h @ p["a"], lambda h: h @ p["a"].T, h)
    h = jnp.where(h > 0, jnp.tanh(big), lax.stop_gradient(big) * 0.1) + x @ p["m"]
    return h, jnp.max(h, -1)


def constants(p, h, x):
    """Outputs that do not depend on the carry, on x, or on anything."""
    new = jnp.tanh(h @ p["a"] + 1)
    return new, (x * 2, p["b"], 1.0, new, jnp.arange(3))


def complex_carry(p, h, x):
    h = h * jnp.exp(1j * p["b"][None, :D]) + x @ p["m"]
    return h, jnp.real(h) @ p["a"] + jnp.imag(h)


STEPS = {
    f.__name__: f for f in (peephole, multiplicative, cayley, tied, blocks, scalars, checkpointed, inner_loops, nested,
                            convolution, conditions, constants, complex_carry)
}  # fmt: skip


def step_problem(step):
    p = {
        "wx": normal(1, N, 4 * D),
        "wh": normal(2, D, 4 * D),
        "b": normal(3, 4 * D),
        "m": normal(4, N, D),
        "a": 0.5 * normal(5, D, D),
    }
    p |= {"pi": normal(6, D), "pf": normal(7, D), "po": normal(8, D), "s": normal(9)}
    h = normal(10, B, D)
    carry = (h, normal(11, B, D)) if step in (peephole, multiplicative) else h + 0j if step is complex_carry else h
    return jax.tree.map(lambda a: 0.5 * a, p), carry, normal(12, T, B, N)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", STEPS)
def test_any_step(step, method):
    step = STEPS[step]
    params, carry, xs = step_problem(step)
    loss = lambda m: lambda *a: jnp.real(scalar(scan(step, *a, method=m)))
    run = lambda m: jax.jit(jax.value_and_grad(loss(m), (0, 1, 2)))(params, carry, xs)
    agree(run(method), run("reference"), 1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_a_stored_maximum_is_not_compared_with_recomputed_entries(method):
    """Without XLA's optimisations, two programs for the same values differ in their last bits."""
    params, carry, xs = step_problem(conditions)
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        run = lambda m: jax.grad(lambda *a: scalar(scan(conditions, *a, method=m)), (0, 1, 2))(params, carry, xs)
        agree(run(method), run("reference"), 1e-11)
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [tied, peephole, nested, blocks])
def test_second_derivatives(step, method):
    """Reverse mode over reverse mode: the gradient of a gradient penalty."""
    params, carry, xs = step_problem(step)

    def penalty(p, x, m):
        g = jax.grad(lambda p, x: scalar(scan(step, p, carry, x, method=m)), (0, 1))(p, x)
        return sum(jnp.sum(a**2) for a in jax.tree.leaves(g))

    second = jax.jit(jax.grad(penalty, (0, 1)), static_argnums=2)
    agree(second(params, xs, method), second(params, xs, "reference"), 1e-10)


# -------------------------------------------------------------------------------------------- transformations


@pytest.mark.parametrize("method", METHODS)
def test_under_jit_vmap_checkpoint_and_closures(method):
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)

    def loss(scale, xs, m):
        p = jax.tree.map(lambda a: a * scale, params)
        step = lambda _, carry, x: cell.step(p, carry, x)  # closes over tracers of every transformation outside
        return scalar(scan(step, None, carry, xs, method=m))

    args, same = (jnp.linspace(0.5, 1.5, 4), jnp.stack([xs, xs + 1])), lambda f: f
    for outside, inside in ((same, jax.jit), (jax.jit, jax.checkpoint), (jax.jit, same)):
        grads = lambda m: jax.value_and_grad(inside(lambda s, x: loss(s, x, m)), (0, 1))
        every = lambda m: outside(jax.vmap(jax.vmap(grads(m), (0, None)), (None, 0)))(*args)
        agree(every(method), every("reference"), 1e-11)


@pytest.mark.parametrize("method", ALL)
def test_without_xs(method):
    """A decoder: no input, `length` steps."""
    w = normal(1, D, D)
    out = scan(lambda w, h, x: (jnp.tanh(h @ w), h), w, normal(2, B, D), length=4, method=method)
    plain = lax.scan(lambda h, _: (jnp.tanh(h @ w), h), normal(2, B, D), None, length=4)
    agree(out, plain)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_randomness_is_data(impl):
    """Noise from a key per step is the same in every method; rbg keys, other under vmap, stay looped."""
    keys = jax.random.split(jax.random.key(0, impl=impl), T)

    def step(w, h, x):
        x, key = x
        h = jnp.tanh(h @ w + x * jax.random.bernoulli(key, 0.5, x.shape))
        return h, h

    args = 0.5 * normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    run = lambda m: jax.value_and_grad(lambda w, h, x: scalar(scan(step, w, h, (x, keys), method=m)), (0, 1, 2))(*args)
    for method in METHODS:
        agree(run(method), run("reference"))


@pytest.mark.parametrize("method", ALL)
def test_a_key_in_the_carry(method):
    def step(w, carry, x):
        h, key = carry
        key, now = jax.random.split(key)
        h = jnp.tanh(h @ w + jax.random.normal(now, h.shape) + x)
        return (h, key), h

    w, h, xs = 0.5 * normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    run = lambda m: jax.value_and_grad(lambda w: scalar(scan(step, w, (h, jax.random.key(1)), xs, method=m)[1]))(w)
    agree(run(method), run("reference"))


@pytest.mark.parametrize("method", ["auto", "reference", "deferred"])
def test_callbacks_run_in_order_and_once(method):
    seen = []

    def step(w, h, x):
        jax.experimental.io_callback(lambda i: seen.append(int(i)), None, x[1], ordered=True)
        h = jnp.tanh(h @ w + x[0])
        return h, h

    xs = normal(3, T, B, D), jnp.arange(T)
    loss = jax.jit(lambda w: scalar(scan(step, w, normal(2, B, D), xs, method=method)[1]))
    for f in (
        [loss] if method == "reference" else [loss, jax.grad(loss)]
    ):  # JAX drops the callbacks of a lax.scan under grad
        seen.clear()
        jax.block_until_ready(f(0.5 * normal(1, D, D)))
        jax.effects_barrier()
        assert seen == list(range(T))


# --------------------------------------------------------------------------------------------- collect and taps


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("mask", MASKS)
def test_collect(method, mask):
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    kwargs = {**MASKS[mask], "method": method}
    _, ys, seen = scan(cell.step, params, carry, xs, collect=("h", "c", "forget_gate"), **kwargs)
    assert set(seen) == {"h", "c", "forget_gate"} and seen["forget_gate"].shape == (T, B, D)
    agree(seen["h"], ys)
    if "lengths" in kwargs:
        past = np.arange(T)[:, None] >= kwargs["lengths"]
        assert not np.any(seen["forget_gate"][past]) and np.all(seen["forget_gate"][~past] > 0)

    def penalty(p, m):  # activation penalties need gradients of collected values
        return jnp.sum(scan(cell.step, p, carry, xs, collect=("c",), **kwargs | {"method": m})[2]["c"] ** 2)

    agree(jax.grad(penalty)(params, method), jax.grad(penalty)(params, "reference"))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("key", ["h", "c", "preactivation", "input_gate"])
def test_a_tap_has_the_gradient_of_its_value(method, key):
    """dL/dh_t by tap equals the total derivative computed by running the rest of the sequence from h_t."""
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    shape = (T, B, 4 * D if key == "preactivation" else D)
    loss = lambda tap, m: scalar(scan(cell.step, params, carry, xs, taps={key: tap}, method=m))
    agree(jax.grad(loss)(jnp.zeros(shape), method), jax.grad(loss)(jnp.zeros(shape), "reference"))
    agree(loss(normal(4, *shape), method), loss(normal(4, *shape), "reference"))
    if key == "h":
        t = 2

        def rest(h, c):
            ys = scan(cell.step, params, (h, c), xs[t + 1 :], method="reference")
            _, before = scan(cell.step, params, carry, xs[:t], method="reference")
            return scalar((ys[0], jnp.concatenate([before, h[None], ys[1]])))

        (h, c), _ = scan(cell.step, params, carry, xs[: t + 1], method="reference")
        agree(jax.grad(loss)(jnp.zeros(shape), method)[t], jax.grad(rest)(h, c), 1e-11)


def test_names_that_cannot_be_reached():
    def twice(w, h, x):
        return name(name(h @ w, "a") + x, "a"), h

    def hidden(w, h, x):
        return lax.cond(h[0, 0] > 0, lambda h: name(h @ w, "inside"), lambda h: h, name(h, "outside")), h

    args = normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    for method in ALL:
        scan(twice, *args, method=method)  # nobody asks: nothing is wrong
        with pytest.raises(ValueError, match="two values of the step are named 'a'"):
            scan(twice, *args, method=method, collect=("a",))
        with pytest.raises(ValueError, match="no value of the step is named 'b'; visible names: a"):
            scan(twice, *args, method=method, collect=("b",))
        with pytest.raises(ValueError, match=r"inside a cond.*visible names: outside"):
            scan(hidden, *args, method=method, taps={"inside": jnp.zeros((T, B, D))})


# ------------------------------------------------------------------------------------------ placement and memory


def loop_of(f, *args):
    """The primitives inside the scans of a jaxpr, and outside."""
    inside, outside = [], []

    def walk(jaxpr, where):
        for eqn in jaxpr.eqns:
            where.append(eqn.primitive.name)
            for sub in inner_jaxprs(eqn):
                walk(sub, inside if eqn.primitive.name == "scan" else where)

    walk(jax.make_jaxpr(f)(*args).jaxpr, outside)
    return inside, outside


def test_what_is_hoisted_and_deferred():
    """In the loop of the gradient: one product with the recurrent weight forward, one backward. No other."""
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    inside, outside = loop_of(jax.grad(lambda p: jnp.sum(scan(cell.step, p, carry, xs, method="deferred")[1])), params)
    assert inside.count("dot_general") == 2
    assert outside.count("dot_general") == 3  # x @ wx, dwx, dwh
    assert not {"add", "add_any"} & set(outside)  # the bias is added within the loop, not to all t in a pass of its own
    inside, _ = loop_of(lambda p: scan(cayley, p, carry[0], xs, method="deferred"), step_problem(cayley)[0])
    assert inside.count("dot_general") == 1 and "triangular_solve" not in inside  # the orthogonal matrix is made once
    inside, _ = loop_of(lambda p: scan(blocks, p, carry[0], xs, method="deferred"), step_problem(blocks)[0])
    assert inside.count("dot_general") == 1  # the output layer follows the loop


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_on_a_gpu_a_bias_is_added_before_the_loop(dtype, monkeypatch):
    """There that may be part of the product. Its gradient is summed in float32 all the same."""
    cell, b, t = cells.lstm(), 64, 200  # of its own: compiled calls are kept by step
    params = jax.tree.map(lambda a: a.astype(dtype), cell.init(jax.random.key(0), N, D, jnp.float32))
    xs = normal(3, t, b, N).astype(dtype)

    def grads(method, dtype):
        p, x = jax.tree.map(lambda a: a.astype(dtype), (params, xs))
        return jax.grad(lambda p: jnp.sum(jnp.sin(scan(cell.step, p, cell.carry(b, D, dtype), x, method=method)[1])))(p)

    exact = grads("reference", jnp.float32)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "add" in loop_of(lambda dtype=dtype: grads("deferred", dtype))[1]
    for k, d in grads("deferred", dtype).items():
        assert relative(d, exact[k]) < (1e-4 if dtype == jnp.float32 else 0.05), k


@pytest.mark.parametrize("order", ["x h", "h x 1", "vectors", "two"])
def test_a_product_with_a_concatenation_is_taken_apart(order):
    """The input's share leaves the loop, and so does its weight gradient."""
    rows = {"x h": N + D, "h x 1": D + N + 1, "vectors": N + D, "two": N + 2 * D}[order]

    def step(w, h, x):
        one = jnp.ones((B, 1))
        if order == "vectors":
            h = jax.vmap(lambda x, h: jnp.tanh(w.T @ jnp.concatenate([x, h])))(x, h)
        elif order == "two":
            h = jnp.tanh(jnp.concatenate([h, x, 0.5 * h], axis=-1) @ w)
        else:
            h = jnp.tanh(jnp.concatenate([x, h] if order == "x h" else [h, x, one], axis=-1) @ w)
        return h, h

    args = 0.5 * normal(1, rows, D), normal(2, B, D), normal(3, T, B, N)
    run = lambda m: jax.grad(lambda *a: scalar(scan(step, *a, method=m)), (0, 1, 2))(*args)
    agree(run("deferred"), run("reference"))
    inside, _ = loop_of(lambda w: scan(step, w, *args[1:], method="deferred"), args[0])
    assert inside.count("dot_general") == (2 if order == "two" else 1)
    assert "concatenate" not in inside


def test_a_bulky_value_stays_in_the_loop(monkeypatch):
    monkeypatch.setattr(rnn_jax.methods.deferred.placement, "BUDGET", 1000)

    def step(w, h, x):
        m = x[:, :, None] * (x @ w)[:, None, :] * jnp.ones((1, 1, 40))[:, :, :1] @ jnp.ones((1, D, 40))
        h = jnp.tanh(h @ w + jnp.sum(m, (1, 2))[:, None])
        return h, h

    args = 0.1 * normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    assert "stays in the loop" in rnn_jax.explain(step, *args)
    run = lambda m: jax.grad(lambda *a: scalar(scan(step, *a, method=m)), (0, 1, 2))(*args)
    agree(run("deferred"), run("reference"))


def test_what_is_small_before_it_is_expanded_is_expanded_in_the_loop():
    """An outer product of two vectors made from x; not what another output reads, nor what is hardly larger."""

    n = 16

    def step(w, h, x):
        u, wide = jnp.tanh(x @ w), x**2
        memory = h + jnp.exp(-jnp.einsum("bi,bj->bij", u, x))
        return memory, jnp.sum(memory * wide[:, None], -1)

    args = normal(1, n, n), normal(2, B, n, n), normal(3, T, B, n)
    inside, outside = loop_of(lambda w: scan(step, w, *args[1:], method="deferred"), args[0])
    assert {"exp", "dot_general"} <= set(inside) and "exp" not in outside
    assert not {"tanh", "integer_pow"} & set(inside)
    run = lambda m: jax.grad(lambda *a: scalar(scan(step, *a, method=m)), (0, 1, 2))(*args)
    agree(run("deferred"), run("reference"))


# ------------------------------------------------------------------------------------------------ calls and errors


def test_a_second_eager_call_is_cheap():
    """At most 5 ms over lax.scan, whether or not the step closes over arrays; and never a stale closed-over value."""
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    box = {"w": normal(5, D, D)}

    def closing(p, carry, x):
        (h, c), y = cell.step(p, carry, x)
        return (h @ box["w"], c), y

    for step in (cell.step, closing):
        plain = functools.partial(step, params)
        times = {"ours": [], "lax": []}
        for _ in range(15):
            for key, f in (
                ("ours", lambda: scan(step, params, carry, xs)),
                ("lax", lambda: lax.scan(plain, carry, xs)),
            ):
                start = time.perf_counter()
                jax.block_until_ready(f())
                times[key].append(time.perf_counter() - start)
        assert min(times["ours"][2:]) - min(times["lax"][2:]) < 5e-3
    before = scan(closing, params, carry, xs)[1]
    box["w"] = normal(6, D, D)
    after = scan(closing, params, carry, xs)[1]
    assert relative(after, before) > 1e-3
    agree(after, lax.scan(functools.partial(closing, params), carry, xs)[1])


def test_traced_once():
    calls = []

    def step(w, h, x):
        calls.append(1)
        return jnp.tanh(h @ w + x), h

    args = normal(1, D, D), normal(2, B, D), normal(3, T, B, D)
    for _ in range(3):
        scan(step, *args)
        jax.grad(lambda w: jnp.sum(scan(step, w, *args[1:])[1]))(args[0])
    assert len(calls) == 1


def test_a_method_is_compiled_once_and_sees_its_object():
    class Model:
        scale = 1.0

        def step(self, w, h, x):
            h = jnp.tanh(self.scale * h @ w + x)
            return h, h

    model, args = Model(), (normal(1, D, D), normal(2, B, D), normal(3, T, B, D))
    first = scan(model.step, *args)
    assert len(_cache[model]) == 1
    call = next(iter(_cache[model].values()))[0]
    agree(scan(model.step, *args), first)
    assert next(iter(_cache[model].values()))[0] is call
    model.scale = 0.5
    assert relative(scan(model.step, *args)[1], first[1]) > 1e-3


def test_a_weak_carry_takes_the_step_s_dtype():
    (total, _), _ = scan(
        lambda p, c, x: ((c[0] + x.sum(), c[1]), None), None, (0.0, jnp.zeros(2)), jnp.ones((T, B), jnp.float32)
    )
    assert total == T * B


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": "newtn"}, "unknown method 'newtn'; known: auto, reference"),
        ({"length": 4}, "disagree on t"),
        ({"lengths": np.zeros(B)}, "lengths must be int"),
        ({"lengths": np.zeros(2, int)}, r"lengths of b = 2 every leaf of the carry needs .* carry\[0\] has the shape"),
        ({"lengths": 3}, r"lengths must be int \[b\], got the shape \[\]"),
        ({"lengths": "abc"}, r"lengths must be int \[b\], got the shape \[\]"),
        ({"resets": True}, r"resets must be bool \[t b\], got the shape \[\]"),
        ({"resets": np.zeros(T, bool)}, r"resets must be bool \[t b\], got the shape \[6\]"),
        ({"length": 6.0}, r"length must be an int that is known, got 6.0"),
        ({"method": methods.Newton}, r"method is a class; give one of it, methods.Newton\(\)"),
        ({"method": None}, "unknown method None; known: auto"),
        ({"method": ["newton"]}, r"unknown method \['newton'\]; known: auto"),
        ({"resets": np.zeros((T, B), bool), "initial": 0.0}, "initial must have the structure of the carry"),
        ({"resets": np.zeros((T, B))}, "resets must be bool"),
        ({"initial": np.zeros((B, D))}, "pass `resets`"),
        ({"taps": {"h": np.zeros((T + 1, B, D))}}, "leading axis t"),
        ({"collect": "h"}, r"sequence of names, such as \('h',\)"),
    ],
)
def test_wrong_calls(kwargs, message):
    cell = CELLS["lstm"]
    params, carry, xs = problem(cell)
    with pytest.raises(ValueError, match=message):
        scan(cell.step, params, carry, xs, **kwargs)


def test_a_length_that_cannot_be():
    step = lambda p, h, x: (h, h)
    with pytest.raises(ValueError, match="length must be at least 0, got -1"):
        scan(step, None, jnp.zeros(2), length=-1)
    with pytest.raises(ValueError, match="length must be an int that is known"):
        jax.jit(lambda t: scan(step, None, jnp.zeros(2), length=t))(3)


@pytest.mark.parametrize("method", [*ALL, "newton", methods.Newton("diagonal"), "associative"])
@pytest.mark.parametrize("empty", ["no carry", "no rows"])
def test_nothing_in_the_state(method, empty):
    """A step without a state, and a batch without rows."""
    if empty == "no carry":
        args = lambda p, c, x: (c, p * x), jnp.array(2.0), None, normal(0, T, B)
        ys = scan(*args, method=method)[1]
        grad = jax.grad(lambda p: scan(args[0], p, *args[2:], method=method)[1].sum())(args[1])
        agree((ys, grad), (2 * args[3], args[3].sum()))
    else:
        args = lambda p, h, x: ((h := p * h + x), h), jnp.array(0.5), jnp.zeros((0, D)), jnp.zeros((T, 0, D))
        last, ys = scan(*args, method=method)
        assert last.shape == (0, D) and ys.shape == (T, 0, D)
        assert jax.grad(lambda p: scan(args[0], p, *args[2:], method=method)[1].sum())(args[1]) == 0


@pytest.mark.parametrize("method", [*ALL, "newton", "associative"])
def test_a_weak_type_loses_no_digits(method):
    """A carry made of a Python number yields to float32 in jnp.result_type."""
    args = lambda p, h, x: ((h := 0.7 * h + x), h), None, jnp.full((B, D), 0.1), normal(0, T, B, D)
    agree(scan(*args, method=method), scan(*args[:2], args[2].astype(jnp.float64), args[3], method="reference"))


def test_wrong_steps():
    h, xs = normal(1, B, D), normal(2, T, B, D)
    with pytest.raises(TypeError, match=r"carry is float64\[3, 5\] before the step and float64\[3\] after it"):
        scan(lambda p, h, x: (h.sum(-1), h), None, h, xs)
    with pytest.raises(TypeError, match="must return"):
        scan(lambda p, h, x: h, None, h, xs)
    with pytest.raises(TypeError, match="another structure"):
        scan(lambda p, h, x: ({"h": h}, h), None, h, xs)
    with pytest.raises(ValueError, match="needs length"):
        scan(lambda p, h, x: (h, h), None, h)
