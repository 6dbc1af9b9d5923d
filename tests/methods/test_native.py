"""method="native": equal to the reference for any step it takes, on all rows and threads; what it refuses; what "auto"
does then; and its own functions and products."""

import os
import subprocess
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scan_problems import CELLS, MASKS, B, D, T, agree, gradients, normal, problem, scalar

import rnn_jax
from rnn_jax import cells, scan
from rnn_jax.benchmarks import variants
from rnn_jax.methods import native
from rnn_jax.methods.native import build
from rnn_jax.tracing import flatten, inner_jaxprs

pytestmark = [
    pytest.mark.usefixtures("x64", "quick_compilation"),
    pytest.mark.skipif(bool(build.problem()), reason="needs a C++ compiler"),
]


def rows_from_which_products_are_inside(monkeypatch, rows):
    monkeypatch.setattr(native, "ROWS", rows)
    monkeypatch.setattr(sys.modules["rnn_jax.scan"], "_cache", weakref.WeakKeyDictionary())  # of the other kind


@pytest.fixture(params=["outside", "inside"])
def products(request, monkeypatch):
    """Are products of x and weight gradients taken by XLA or, as where the batch is large, in the loop?"""
    rows_from_which_products_are_inside(monkeypatch, 0 if request.param == "inside" else 10**9)


@pytest.fixture
def inside(monkeypatch):
    rows_from_which_products_are_inside(monkeypatch, 0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mask", ["full", "both"])
@pytest.mark.parametrize("cell", CELLS)
def test_equals_the_reference(cell, mask, reverse):
    args, kwargs = (CELLS[cell].step, *problem(CELLS[cell])), {**MASKS[mask], "reverse": reverse}
    agree(gradients(*args, method="native", **kwargs), gradients(*args, method="reference", **kwargs))


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("cell", CELLS)
def test_equals_the_reference_with_all_products_inside(cell):
    args, kwargs = (CELLS[cell].step, *problem(CELLS[cell])), MASKS["both"]
    agree(gradients(*args, method="native", **kwargs), gradients(*args, method="reference", **kwargs))


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "min_lstm"])
def test_single_precision(cell):
    args = jax.tree.map(lambda a: a.astype(jnp.float32), problem(CELLS[cell]))
    agree(
        gradients(CELLS[cell].step, *args, method="native"),
        gradients(CELLS[cell].step, *args, method="reference"),
        3e-6,
    )


# ------------------------------------------------------------------------------------------------------- other steps


def shifted(p, h, x):
    """Slices with a stride, a reversal, a concatenation of what is computed and what is not, a transpose."""
    z = h @ p["a"] + x
    z = [jax.lax.slice(z, (0, 1), (B, D), (1, 2)), x[:, :1], jnp.tanh(z[:, 1:2]), h[:, :1]]
    z = jax.lax.rev(jnp.concatenate(z, axis=1), (1,))
    return 0.5 * z, (z.T * 2).T[:, :3]


def normalised(p, h, x):
    """Reductions over the units, of which one is a maximum; softmax."""
    h = jnp.tanh(h @ p["a"] + x)
    h = h / jnp.sqrt(jnp.mean(h**2, -1, keepdims=True) + 0.1) + jax.nn.softmax(h)
    return h, (jnp.max(h, -1), jnp.sum(h), jnp.min(h, 0))


def across_rows(p, h, x):
    """Rows that see each other."""
    h = jnp.tanh(h @ p["a"] + x - jnp.mean(h, axis=0))
    return h, h


def two_ways(p, h, x):
    """A weight used as it is and transposed, products of two carries and of three, a weight made in the step."""
    z = h @ p["a"] + h @ p["a"].T + h @ (p["a"] * p["s"]) + x
    z += (h[:, None, :] @ h[:, :, None])[:, :, 0] + jnp.einsum("bi,ij,bj->b", h, p["a"], h)[:, None]
    return jnp.tanh(z), z


def exchanged(p, carry, x):
    """Leaves of the carry change places; one stays; integers and bools count and choose."""
    a, b, n, odd, c = carry
    n = n + 1
    new = jnp.where(odd[:, None], a @ p["a"], b * x)
    return (b, jnp.tanh(new), n, ~odd, c), (a, b, n.astype(x.dtype), odd, c, 1.0)


def alone(p, h, x):
    """No batch: one row."""
    h = jnp.tanh(p["a"] @ h + x[0])
    return h, h @ p["a"]


def units(p, h, x):
    """Nothing but element-wise equations, and some functions that libraries compute."""
    z = jnp.exp(-jnp.abs(h)) + jnp.log1p(h**2) + jnp.sin(h) ** 3 + jnp.maximum(h, x) + jnp.clip(x, -0.5, h)
    z = jnp.where(z > 1, jax.nn.softplus(z), jnp.expm1(0.1 * z)) + jax.nn.relu(x - h) + jnp.sign(x) + p["s"] ** -2
    return 0.3 * z, jnp.floor(z)


def heads(p, h, x):
    """Block-diagonal weights."""
    u = jnp.einsum("bki,kij->bkj", h.reshape(-1, 1, D), p["a"][None]).reshape(-1, D)
    return jnp.tanh(u + x), u


def from_x(p, h, x):
    """Products of x and of what is made of it: added, cut, used twice, a layer of their own."""
    u = x @ p["a"] + 1
    early, late = u[:, :2], jnp.concatenate([x[:, 1:], x[:, :1]], 1) @ p["a"].T
    z = jnp.tanh(late) @ p["a"] + h @ p["a"] + late
    return jnp.tanh(z + u + x @ (p["a"] * p["s"])), (early * h[:, :2], x @ p["a"])


def read_after_it_is_made(p, h, x):
    """The old carry is read when the new one is known."""
    new = jnp.tanh(h + x)
    return new * p["s"], (h * new, h - 1)


def stopped(p, h, x):
    """Zeros, the gradient of a state that has none, are the same for all rows."""
    mean = jax.lax.stop_gradient(h)
    new = jnp.tanh(mean @ p["a"] + x)
    return new, (new, new - mean)


def by_columns(p, h, x):
    """A reshape that transposes first; the gradient of a product of units has one, too."""
    z = jnp.reshape(h, h.shape[::-1], order="F").T @ p["a"] + jnp.prod(h, -1, keepdims=True)
    return jnp.tanh(z + jax.lax.reshape(x, (x.shape[0], D), dimensions=(0, 1))), z


def padded(p, h, x):
    """Pads that spread, cut and do both."""
    pads = [((0, 0, 0), each) for each in ((-1, 3, 0), (2, -3, 1), (-2, -1, 1), (1, 1, 2))]
    z = [jax.lax.pad(z, 0.5, pad) for z in (h, jnp.tanh(h) @ p["a"]) for pad in pads]
    assert {each.shape[1] for each in z} == {D + 2, 2 * D - 2, 2 * D - 4, 3 * D}
    return jnp.tanh(sum(each[:, :D] for each in z) + x), tuple(z)


def running(p, h, x):
    """Running sums and their kin, along either axis of what has no rows too, in both directions."""
    a = jnp.cumsum(jax.nn.softmax(h @ p["a"] + x), -1) - jax.lax.cumsum(h, 1, reverse=True)
    b = jax.lax.cummax(jnp.tanh(a), 1) * jax.lax.cummin(h, 1, reverse=True) + jnp.cumprod(1 + 0.1 * x, -1)
    return jnp.tanh(b), a


def memory(p, h, x):
    """Products of two values: outer ones, sums over the last axis, over one before it, over two."""
    outer = jnp.einsum("bi,bj->bij", jnp.tanh(h), h @ p["a"])
    read = jnp.einsum("bij,bj->bi", outer, x) + jnp.einsum("bij,bi->bj", outer, h)
    all_pairs = jnp.einsum("bij,bij->b", outer, jnp.sin(outer))
    return jnp.tanh(0.1 * read + all_pairs[:, None]), (read, outer, jnp.einsum("bi,bk->bki", h, x))


def libraries(p, h, x):
    """Functions that libraries compute, value by value."""
    a = jnp.abs(h) + 0.5
    z = jnp.power(a, x) + jnp.arctan2(h, a) + jnp.arctan(h) + jnp.round(3 * h) + jnp.fmod(h, 0.3) + jnp.log(a)
    return 0.3 * jnp.tanh(z), jnp.arcsin(0.5 * jnp.tanh(h)) + jnp.arccos(0.5 * jnp.tanh(z))


def fixed_rows(p, h, x):
    """A product that maps over the rows of a parameter: it is no product with a weight."""
    mine = jnp.sin(jnp.arange(h.size, dtype=h.dtype).reshape(h.shape)) * p["s"]
    return jnp.tanh(h @ p["a"] + x + jnp.einsum("bi,bi->b", mine, h)[:, None]), h


def attending(p, h, x):
    """The gradients of the keys and of the vector that scores them are sums over rows, a part in each thread."""
    keys = jnp.cos(jnp.arange(7.0)[:, None, None] + p["a"][0]) + 0 * x
    scores = jnp.tanh(h @ p["a"] + keys) @ p["a"][1]
    return jnp.tanh(jnp.einsum("sb,sbd->bd", jax.nn.softmax(scores, 0), keys) + x), scores.T


STEPS = [
    running,
    memory,
    libraries,
    fixed_rows,
    attending,
    stopped,
    by_columns,
    padded,
    from_x,
    read_after_it_is_made,
    shifted,
    normalised,
    across_rows,
    two_ways,
    units,
    heads,
]


def step_problem(b=B):
    params = {"a": normal(0, D, D), "s": jnp.asarray(0.7)}
    return params, normal(1, b, D), normal(2, T, b, D)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(
    ("step", "mask"), [*((s, "full") for s in STEPS), *((s, "both") for s in STEPS if s is not normalised)]
)  # masks want outputs with an axis of rows
def test_other_steps(step, mask):
    args = step, *step_problem()
    agree(gradients(*args, method="native", **MASKS[mask]), gradients(*args, method="reference", **MASKS[mask]), 1e-11)


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("cell", variants.KNOWN)
def test_cells_that_nobody_foresaw(cell):
    args, kwargs = (variants.named(cell).step, *problem(variants.named(cell))), MASKS["both"]
    agree(gradients(*args, method="native", **kwargs), gradients(*args, method="reference", **kwargs), 1e-10)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_where_c_has_no_answer(kind):
    """Casts of what is too large, no number or negative; divisions by 0, and of the least number by -1."""
    large = [
        np.nan,
        np.inf,
        -np.inf,
        1e20,
        -1e20,
        300,
        -300,
        -5,
        2.7,
        -2.7,
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        9.3e18,
        -0.0,
    ]
    info = jnp.iinfo(kind)
    some = jnp.asarray([info.min, info.max, 0, 1, 7, info.max - 5], kind)
    below = jnp.asarray([info.min, info.max, 0, 1, 2, 3], kind)  # unsigned, the greatest of them is no -1

    def step(p, count, x):
        x, a, b = (v + count.astype(v.dtype) * 0 for v in x)
        casts = [(x.astype(f)).astype(kind) for f in ("float32", "float64")]
        a, b = jnp.repeat(a, 6), jnp.tile(b, 6)
        order = x.reshape(3, 5)
        return count + 1, (casts, lax.div(a, b), lax.rem(a, b), jnp.argmax(order, 1), lax.argmin(order, 0, "int32"))

    args = step, None, jnp.zeros((), int), tuple(v[None] for v in (jnp.asarray(large), some, below))
    for found, want in zip(*(jax.tree.leaves(scan(*args, method=m)) for m in ("native", "reference")), strict=True):
        assert found.dtype == want.dtype and (found == want).all()


def test_complex_values_are_pairs_of_real_ones():
    """Sums, products with weights and of values, views, sums over axes, casts, choices; forward and backward."""

    def step(p, carry, x):
        c, total = carry
        z = (c @ p["w"] + x * p["s"]) * jnp.conj(p["v"]) + 0.3j
        z = jnp.where(x > 0, z, c) / 4 + jax.lax.complex(x, jnp.sin(c.imag)) ** 3 / 9 + 1 / (9j + c) ** 2
        z = jnp.concatenate([z[:, :1], -z[:, 1:]], 1) + jnp.sum(c, 1, keepdims=True) / 9
        total = 0.5 * total + jnp.mean(z * jnp.conj(z)).real
        return (z / 30, total), (z.T[::-1] / 30, z.real.astype(complex) / 30, jnp.einsum("bi,ci->bc", z, c) / 30)

    _, h, xs = step_problem()
    d, turn = h.shape[1], lambda seed, *shape: normal(seed, *shape) + 1j * normal(seed + 1, *shape)
    params = {"w": turn(1, d, d) / d, "v": turn(3, d), "s": turn(5)[()]}
    args = step, params, (turn(7, *h.shape), jnp.zeros(())), xs
    agree(gradients(*args, method="native"), gradients(*args, method="reference"))


def code_of(step, *args):
    """The Code of the forward loop of a step, all of it in the loop."""
    flat, tree = jax.tree.flatten(args)
    jaxpr = jax.make_jaxpr(lambda *flat: jax.tree.leaves(step(*jax.tree.unflatten(tree, flat))))(*flat)
    n_carry = len(jax.tree.leaves(args[1]))
    return native.Code(flatten(jaxpr, keep_names=False)[0], len(jax.tree.leaves(args[0])), n_carry, {})


def test_what_is_there_is_not_computed_again():
    step = lambda p, h, x: (jnp.exp(h) * jnp.sum(h * x, -1, keepdims=True), jnp.exp(h) + jnp.sum(h * x, -1)[:, None])
    source = code_of(step, None, normal(0, B, D), normal(1, B, D)).source
    assert source.count("f_exp(") == source.count("fold(") == 1


def test_rows_of_a_memory_and_of_totals():
    """A matrix of which both axes are units leaves the rows independent; so does a total over them."""
    cell = variants.fast_weights()
    params, carry, xs = problem(cell)
    code = code_of(cell.step, params, carry, xs[0])
    assert code.rows == B and not code.partial and not code.slow

    def totals(p, carry, x):
        h, all_rows, own = carry
        return (jnp.tanh(h @ p + x), all_rows + jnp.sum(h * x, 0), own + x), h

    args = normal(0, D, D), (normal(1, 33, D), normal(2, D), normal(3, 33, D)), normal(4, T, 33, D)
    code = code_of(totals, *args[:2], args[2][0])
    assert code.rows == 33 and code.partial == [1]
    agree(gradients(totals, *args, method="native"), gradients(totals, *args, method="reference"))
    read = lambda p, carry, x: ((carry[0] + x, carry[1] + jnp.sum(carry[0], 0)), carry[1])
    assert not code_of(read, None, args[1][:2], args[2][0]).partial


@pytest.mark.parametrize("n", [1, 7, 16, 31, 64, 100])
def test_folds_of_any_length(n):
    """Sums, products, maxima, minima over the last axis: vectors, and what fills none."""
    numbers = jnp.asarray(np.random.default_rng(n).uniform(0.5, 1.5, (T, B, n)), jnp.float32)
    whole = jnp.asarray(np.random.default_rng(n).integers(-(2**31), 2**31, (T, B, n)), jnp.int32)

    def step(p, h, x):
        x, k = x[0] + h[0], x[1] ^ h[1]
        folds = [jnp.sum(x, -1), jnp.prod(x, -1), jnp.max(x, -1), jnp.min(x, -1), jnp.sum(x * jnp.exp(x), (0, 1))]
        bits = [jax.lax.reduce_and_p.bind(k, axes=(1,)), jax.lax.reduce_or_p.bind(k, axes=(1,)), jnp.max(k, -1)]
        return h, (*folds, *bits, jnp.all(k > -(2**30), -1), jnp.any(x > 1.4, -1), jnp.einsum("bi,bi->b", x, x))

    h = jnp.zeros((B, 1), jnp.float32), jnp.zeros((B, 1), jnp.int32)
    agree(*(scan(step, None, h, (numbers, whole), method=m)[1] for m in ("native", "reference")), 1e-5)


def test_bits():
    def step(p, k, x):
        every = jax.lax.reduce_and_p.bind(k, axes=(1,)) ^ jax.lax.reduce_or_p.bind(x, axes=(1,))
        return 3 * k + every[:, None] | x, (every, k & ~x)

    bits = lambda *shape: jnp.asarray(np.random.default_rng(len(shape)).integers(-(2**31), 2**31, shape), jnp.int32)
    args = None, bits(B, 2), bits(T, B, 2)
    np.testing.assert_array_equal(scan(step, *args, method="native")[1][0], scan(step, *args, method="reference")[1][0])
    np.testing.assert_array_equal(scan(step, *args, method="native")[0], scan(step, *args, method="reference")[0])


def whole_loops(f, *args):
    """The loops in the program of f, and whether it has products outside of them."""
    each = lambda jaxpr: [e for eqn in jaxpr.eqns for e in [eqn, *(e for j in inner_jaxprs(eqn) for e in each(j))]]
    eqns = each(jax.make_jaxpr(f)(*args).jaxpr)
    return [e for e in eqns if e.primitive.name == "native_loop"], any(e.primitive.name == "dot_general" for e in eqns)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_a_gradient_that_nobody_asks_for_is_not_computed(cell):
    cell = CELLS[cell]
    args, n = problem(cell), 2 if cell is CELLS["lstm"] else 1
    loss = lambda *a: scalar(scan(cell.step, *a, method="native"))
    (_, back), by_xla = whole_loops(jax.grad(loss), *args)
    assert not by_xla
    assert len(back.outvars) == n + len(args[0]) + (cell is CELLS["gru"]) * 3  # d carry, and totals
    (_, more), _ = whole_loops(jax.grad(loss, (0, 2)), *args)
    assert more.outvars[-1].aval.shape == args[2].shape
    assert len(more.outvars) == len(back.outvars) + 1
    agree(jax.grad(loss)(*args), jax.grad(loss, (0, 2))(*args)[0], 1e-14)


def test_products_are_inside_where_the_batch_is_large():
    cell = cells.gru()
    for b, outside in ((native.ROWS * native.threads(), False), (native.ROWS * native.threads() - 1, True)):
        args = cell.init(jax.random.key(0), 5, 4), cell.carry(b, 4), normal(3, 2, b, 5).astype(jnp.float32)
        _, by_xla = whole_loops(jax.grad(lambda *a: scalar(scan(cell.step, *a, method="native"))), *args)
        assert by_xla == outside


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("steps", [1, 2, 300])
def test_more_steps_than_a_block_has(steps):
    """Blocks are of half a MiB: 208 of these steps forward, and 154 backward."""
    cell, b = cells.lstm(), 17
    args = cell.init(jax.random.key(0), 5, 8), cell.carry(b, 8), normal(3, steps, b, 5).astype(jnp.float32)
    for reverse in (False, True):
        agree(*(gradients(cell.step, *args, method=m, reverse=reverse) for m in ("native", "reference")), 3e-6)


@pytest.mark.usefixtures("products")
def test_no_batch():
    params, h, xs = step_problem()
    agree(*(gradients(alone, params, h[0], xs, method=m) for m in ("native", "reference")))


def test_a_carry_of_several_kinds_whose_leaves_change_places():
    params, h, xs = step_problem()
    carry = h, 2 * h, jnp.zeros(B, jnp.int32), jnp.array([True, False, True]), normal(5, B)
    run = lambda method: jax.jit(lambda *a: scan(exchanged, *a, method=method))(params, carry, xs)
    agree(run("native"), run("reference"))

    def grads(method):
        loss = lambda p, a, b, xs: scalar(scan(exchanged, p, (a, b, *carry[2:]), xs, method=method))
        return jax.jit(jax.grad(loss, (0, 1, 2, 3)))(params, *carry[:2], xs)

    agree(grads("native"), grads("reference"))


# ------------------------------------------------------------------------------------- rows, threads, and axes of vmap


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(("b", "n", "d"), [(1, 1, 1), (1, 7, 64), (2, 3, 33), (17, 7, 64), (50, 1, 1), (50, 3, 33)])
def test_blocks_of_any_size(b, n, d):
    """Rows that are no multiple of a block's, columns that fill no panel."""
    for dtype, tolerance in ((jnp.float64, 1e-12), (jnp.float32, 2e-5)):
        cell = cells.gru()
        params = cell.init(jax.random.key(0), n, d, dtype)
        args = params, cell.carry(b, d, dtype), normal(3, 4, b, n).astype(dtype)
        agree(*(gradients(cell.step, *args, method=m) for m in ("native", "reference")), tolerance)


@pytest.mark.usefixtures("products")
def test_vmap_of_params_of_inputs_and_of_both():
    cell = cells.lstm()
    params, carry, xs = problem(cell)
    many = jax.tree.map(lambda a: jnp.stack([a, 2 * a, -a]), params)
    loss = lambda p, xs, m: scalar(scan(cell.step, p, carry, xs, method=m))

    def run(m):
        grad = jax.grad(lambda p, xs: loss(p, xs, m), (0, 1))
        inputs = jnp.stack([xs, xs + 1], axis=1)
        nested = jax.vmap(jax.vmap(grad, (None, 1)), (0, None))
        return jax.jit(lambda: (jax.vmap(grad, (0, None))(many, xs), nested(many, inputs)))()

    agree(run("native"), run("reference"))


@pytest.mark.usefixtures("products")
def test_second_derivatives_and_a_scan_over_scans():
    params, h, xs = step_problem()

    def penalty(p, m):
        inner = lambda p: scalar(scan(two_ways, p, h, xs, method=m))
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(inner)(p)))

    agree(*(jax.jit(jax.grad(penalty), static_argnums=1)(params, m) for m in ("native", "reference")), 1e-10)

    def outer(p, m):
        one = lambda h, _: (scan(two_ways, p, h, xs, method=m)[0], None)
        return scalar(jax.lax.scan(one, h, None, length=3)[0])

    agree(*(jax.jit(jax.grad(outer), static_argnums=1)(params, m) for m in ("native", "reference")))


@pytest.mark.usefixtures("inside")
def test_a_total_of_what_are_not_the_rows_of_the_carry():
    def step(p, carry, x):
        h, total = carry
        row, other = x
        return (jnp.tanh(h @ p + row), total + other.T @ other), h

    xs = normal(0, T, B, D), normal(1, T, 3, 2)
    args = normal(2, D, D), (normal(3, B, D), normal(4, 2, 2)), xs
    agree(gradients(step, *args, method="native"), gradients(step, *args, method="reference"))


def test_what_explodes_is_infinite_and_then_no_number():
    step = lambda p, h, x: (p * h + x, jnp.exp(h) * jax.nn.sigmoid(-h) + jnp.tanh(h))
    run = lambda m: scan(
        step, jnp.float32(-1e9), jnp.ones((2, 3), jnp.float32), jnp.ones((12, 2, 3), jnp.float32), method=m
    )
    (last, ys), (expected, theirs) = run("native"), run("reference")
    np.testing.assert_array_equal(last, expected)
    np.testing.assert_allclose(ys, theirs, rtol=1e-6)
    assert np.isinf(last).all() and np.isnan(ys).any()


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (jnp.tanh, np.tanh), (jax.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x))), (jnp.exp, np.exp), (jnp.expm1, np.expm1),
        (jnp.log, np.log), (jnp.log1p, np.log1p),
    ],
)  # fmt: skip
def test_functions_are_exact_to_the_last_places(function, exact):
    xs = np.concatenate(
        [np.linspace(-87, 88.7, 20_001), np.logspace(-30, 1, 2000), -np.logspace(-30, 1, 2000), [0.0, -0.0]]
    )
    xs = xs.astype(np.float32)
    ends = np.array([np.inf, -np.inf, np.nan, 1e5, -1e5], np.float32)
    run = lambda xs: scan(lambda p, h, x: (h, function(h + x)), None, jnp.zeros_like(xs[0]), xs, method="native")[1]
    found, at_ends = (np.asarray(run(jnp.asarray(a)[None]))[0] for a in (xs, ends))
    with np.errstate(all="ignore"):
        expected, expected_at_ends = exact(xs.astype(np.float64)), exact(ends)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=4e-7, atol=1e-37)
    np.testing.assert_array_equal(at_ends, expected_at_ends)


# ------------------------------------------------------------------------------------------------ refusals, and "auto"


def talking(p, h, x):
    jax.debug.callback(lambda v: None, h)
    return h + x, h


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (talking, "callbacks or prints"),
        (lambda p, h, x: (jnp.sort(h, -1) + x, h), "no code for sort"),
        (lambda p, h, x: (jax.lax.cond(h[0, 0] > 0, lambda h: h + 1, lambda h: h, h) + x, h), "no code for cond"),
        (lambda p, h, x: (h + x + jnp.abs(h + 1j * x), h), "no code for abs of complex values"),
    ],
)
def test_what_is_refused(step, why):
    _, h, xs = step_problem()
    with pytest.raises(ValueError, match=f'^native: .*{why}.*; use method="deferred", which takes any step'):
        scan(step, None, h, xs, method="native")


def single(cell="lstm"):
    cell = CELLS[cell]
    return cell, jax.tree.map(lambda a: a.astype(jnp.float32), problem(cell))


def loops_of(*args):
    return str(jax.make_jaxpr(lambda *a: jax.grad(lambda *a: scalar(scan(args[0].step, *a)))(*a))(*args[1])).count(
        "native_loop"
    )


def test_auto_picks_it_and_says_why_not(monkeypatch):
    cell, args = single()
    explain = lambda cell, args: rnn_jax.explain(cell.step, *args).splitlines()[-1]
    assert "auto picks 'native': the whole loop is compiled for this CPU" in explain(cell, args)
    assert loops_of(cell, args) >= 2  # forward and backward
    assert "(not native: it is not in float32)" in explain(cell, problem(cell))
    step = lambda p, h, x: (jnp.sin(h) + x, h)
    h, xs = jnp.ones((B, D), jnp.float32), jnp.ones((T, B, D), jnp.float32)
    assert "XLA is faster at its sin" in rnn_jax.explain(step, None, h, xs)
    with monkeypatch.context() as patch:
        patch.setattr(jax, "device_count", lambda: 2)
        assert "(not native: there are several devices)" in explain(cell, args)
    monkeypatch.setattr(native, "problem", lambda: "there is no C++ compiler")
    assert "(not native: there is no C++ compiler)" in explain(cell, args)


def test_auto_runs_by_xla_what_has_no_code_backward(monkeypatch):
    """The forward loop has code; that of its gradient is refused."""
    cell, args = cells.gru(), single("gru")[1]
    real, made = native.Code, []

    def code(jaxpr, *how):
        made.append(jaxpr)
        if len(made) > 2:  # "auto" looks at the first, and it is run
            raise native.Refused("no code for this test")
        return real(jaxpr, *how)

    monkeypatch.setattr(native, "Code", code)
    with pytest.warns(UserWarning, match=r"runs by XLA \(native: no code for this test\); try method="):
        found = gradients(cell.step, *args)
    agree(found, gradients(cell.step, *args, method="reference"), 3e-6)


def test_arguments_that_lie_on_a_mesh_of_one_device():
    """Their gradient moves values from one sharding to another, within the loop too."""
    cell, args = single()
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:1])
    placed = jax.device_put(args, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))
    agree(gradients(cell.step, *placed, method="native"), gradients(cell.step, *args, method="reference"), 3e-6)


def test_half_precision_is_computed_in_float32():
    cell, args = single("gru")
    args = jax.tree.map(lambda a: a.astype(jnp.bfloat16), args)
    out = scan(cell.step, *args)
    assert {a.dtype for a in jax.tree.leaves(out)} == {jnp.dtype(jnp.bfloat16)}
    agree(out, scan(cell.step, *args, method="reference"), 2e-2)


# ------------------------------------------------------------------------------------------------------- the compiler

SCRIPT = """
import jax.numpy as jnp
from rnn_jax import scan
step = lambda p, h, x: (jnp.tanh(h @ p + x), h)
print(scan(step, jnp.eye(4), jnp.ones((2, 4)), jnp.ones((3, 2, 4)), method="{}")[0][0, 0])
"""


def process(method, **env):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(method)], env=os.environ | env, capture_output=True, text=True
    )


def test_a_loop_that_does_not_compile_is_an_error_of_its_call(monkeypatch):
    monkeypatch.setattr(build, "LOOP", ["-no-such-option"])
    _, h, xs = step_problem()
    step = lambda p, h, x: (jnp.tanh(h + 0.123 * x), h)  # which no other test compiles
    program = jax.jit(lambda h, xs: scan(step, None, h, xs, method="native")).lower(h, xs).compile()
    for _ in range(2):
        with pytest.raises(jax.errors.JaxRuntimeError, match="does not compile the loop"):
            jax.block_until_ready(program(h, xs))


def test_compiled_once_and_what_is_said_without_a_compiler(tmp_path):
    env = {"RNN_JAX_CACHE": str(tmp_path), "RNN_JAX_NATIVE": "1", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    first = process("native", **env)
    assert float(first.stdout) == pytest.approx(0.98, abs=0.02), first.stderr
    files = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "native").iterdir()}
    assert len(files) == 2  # what all loops call, and this one
    again = process("native", **env, CXX=build.compiler() or "")
    assert (
        again.stdout == first.stdout
        and {f.name: f.stat().st_mtime_ns for f in (tmp_path / "native").iterdir()} == files
    )
    assert "does not compile the loop" in process("native", **env, CXX="/bin/false").stderr
    assert (
        "there is no C++ compiler: install g++ or clang++" in process("native", **env | {"RNN_JAX_NATIVE": "0"}).stderr
    )
    for unusable in ({"RNN_JAX_NATIVE": "0"}, {"CXX": "/bin/false"}, {"RNN_JAX_CACHE": "/dev/null"}):
        without = process("auto", **env | unusable)
        assert float(without.stdout) == pytest.approx(float(first.stdout), rel=1e-6), without.stderr
