"""BPTT by hand against autodiff and central differences of a naive oracle: sequences alone, document by document."""

import ast
import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.nn import identity, relu, sigmoid

from rnn_jax import bptt, cells

CELLS = {  # name -> (cell, the function under test)
    "tanh": (cells.vanilla(), bptt.vanilla),
    "sigmoid": (cells.vanilla(sigmoid), functools.partial(bptt.vanilla, activation=sigmoid)),
    "relu": (cells.vanilla(relu), functools.partial(bptt.vanilla, activation=relu)),
    "identity": (cells.vanilla(identity), functools.partial(bptt.vanilla, activation=identity)),
    "lstm": (cells.lstm(), bptt.lstm),
    "gru": (cells.gru(), bptt.gru),
    "gru_reset_after": (cells.gru(reset_after=True), functools.partial(bptt.gru, reset_after=True)),
}
CELLS = {name: (cell, jax.jit(by_hand, static_argnames="reverse")) for name, (cell, by_hand) in CELLS.items()}
MAIN = ["tanh", "lstm", "gru", "gru_reset_after"]
MASKS = ["full", "lengths", "resets", "both"]

pytestmark = pytest.mark.usefixtures("x64", "quick_compilation")


def problem(cell, t, b, n, d, masks, seed=0):
    """Random params, carry, xs, dys, dcarry, and the masks as keyword arguments (by NumPy: nothing to compile)."""
    rng = np.random.default_rng(seed)

    def normal(scale, *shape):
        return jnp.asarray(scale * rng.normal(size=shape))

    shapes = jax.eval_shape(lambda: (cell.init(jax.random.key(0), n, d), cell.carry(b, d)))
    params = jax.tree.map(lambda leaf: normal(0.7 / d**0.5, *leaf.shape), shapes[0])
    carry, dcarry = (jax.tree.map(lambda leaf: normal(1, *leaf.shape), shapes[1]) for _ in range(2))
    lengths = np.concatenate([[t, 0, 1, t - 1], rng.integers(0, t + 1, b)])[:b].clip(0, t)
    resets = rng.random((t, b)) < 0.35
    resets[:, :1] = np.arange(t)[:, None] % 3 == 0  # of 7 steps the first and the last
    kwargs = {"lengths": lengths} if masks in ("lengths", "both") else {}
    kwargs |= {"resets": resets} if masks in ("resets", "both") else {}
    return (params, carry, normal(1, t, b, n), normal(1, t, b, d), dcarry), kwargs


jitted = functools.cache(jax.jit)  # one compilation of a cell's step serves every document of every test
rows = jax.jit(lambda v: [[v[k, i : i + 1] for i in range(v.shape[1])] for k in range(v.shape[0])])


def oracle(cell, params, carry, xs, *, lengths=None, resets=None, initial=None, reverse=False):
    """(final carry, ys): each sequence sliced to its length, cut at its marks, its documents run one after another."""
    t, b = xs.shape[:2]
    step, x = jitted(cell.step), rows(xs)
    initial = carry if initial is None else initial
    finals, ys = [], []
    for i in range(b):
        length = t if lengths is None else int(lengths[i])
        marks = [] if resets is None else [k for k in range(length) if resets[k, i]]
        cuts = sorted({0, *marks, length})
        documents = [range(start, stop) for start, stop in itertools.pairwise(cuts)]
        h, h0 = jax.tree.map(lambda leaf: leaf[i : i + 1], (carry, initial))
        y = [jnp.zeros_like(jax.tree.leaves(h)[0])] * t
        for number, document in enumerate(reversed(documents) if reverse else documents):
            if number > 0 or (not reverse and 0 in marks):
                h = h0
            for k in reversed(document) if reverse else document:
                h, y[k] = step(params, h, x[k][i])
        finals.append(h)
        ys += y
    final = jax.tree.map(lambda *leaves: lax.concatenate(leaves, 0), *finals)
    return final, lax.concatenate(ys, 0).reshape(b, t, -1).swapaxes(0, 1)


def energy(cell, dys, dcarry, **kwargs):
    """A scalar whose cotangents at ys and at the final carry are dys and dcarry."""

    def loss(params, carry, xs):
        final, ys = oracle(cell, params, carry, xs, **kwargs)
        pairs = zip(jax.tree.leaves((final, ys)), jax.tree.leaves((dcarry, dys)), strict=True)
        return sum(jnp.vdot(u, v) for u, v in pairs)

    return loss


def error(got, want):
    """The worst over leaves of max|got - want| / max|want|, after a check of structure, shapes and dtypes."""
    worst = 0.0
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for u, v in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert u.shape == v.shape and u.dtype == v.dtype
        if u.size:
            u, v = np.asarray(u, np.float64), np.asarray(v, np.float64)
            worst = max(worst, np.max(np.abs(u - v)) / (np.max(np.abs(v)) + 1e-30))
    return worst


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(
    ("name", "masks"),
    [(name, masks) for name in MAIN for masks in MASKS] + [(name, "both") for name in CELLS if name not in MAIN],
)
def test_agrees_with_autodiff_of_separate_documents(name, masks, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 7, 5, 3, 4, masks)
    nothing = {"lengths": np.full(5, 7), "resets": np.zeros((7, 5), bool)}  # so that three kinds share a compilation
    got = by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **(kwargs and nothing | kwargs))
    loss = energy(cell, dys, dcarry, reverse=reverse, **kwargs)
    want = jax.grad(loss, argnums=(0, 1, 2))(params, carry, xs)
    assert error(got, want) <= 1e-10
    if "lengths" in kwargs:
        assert np.all(np.asarray(got[2])[np.arange(7)[:, None] >= kwargs["lengths"]] == 0)


@pytest.mark.parametrize(("name", "reverse"), [("lstm", False), ("gru", True)])
def test_explicit_initial_takes_no_part_in_dcarry0(name, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 7, 5, 3, 4, "both", seed=1)
    kwargs |= {"reverse": reverse, "initial": jax.tree.map(jnp.cos, carry)}
    got = by_hand(params, carry, xs, dys, dcarry, **kwargs)
    want = jax.grad(energy(cell, dys, dcarry, **kwargs), argnums=(0, 1, 2))(params, carry, xs)
    assert error(got, want) <= 1e-10


@pytest.mark.parametrize("name", MAIN)
def test_agrees_with_autodiff_of_lax_scan(name):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), _ = problem(cell, 7, 5, 3, 4, "full", seed=2)

    def run(params, carry, xs):
        return lax.scan(lambda carry, x: cell.step(params, carry, x), carry, xs)

    want = jax.vjp(run, params, carry, xs)[1]((dcarry, dys))
    assert error(by_hand(params, carry, xs, dys, dcarry, reverse=False), want) <= 1e-10


@pytest.mark.parametrize(("name", "reverse"), [*((name, False) for name in MAIN), ("lstm", True)])
def test_agrees_with_central_differences(name, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 3, 3, 2, 3, "both", seed=3)
    loss = energy(cell, dys, dcarry, reverse=reverse, **kwargs)
    want = bptt.numeric_gradient(lambda args: loss(*args), (params, carry, xs))
    assert error(by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **kwargs), want) <= 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_random_shapes(seed):
    rng = np.random.default_rng(seed)
    t, b, n, d = (int(k) for k in rng.integers(1, 7, 4))
    name, masks = rng.choice(MAIN), MASKS[seed]
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, t, b, n, d, masks, seed)
    reverse = bool(rng.integers(2))
    want = jax.grad(energy(cell, dys, dcarry, reverse=reverse, **kwargs), argnums=(0, 1, 2))(params, carry, xs)
    assert error(by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **kwargs), want) <= 1e-10


@pytest.mark.parametrize(("masks", "reverse"), [("full", False), ("both", True)])
@pytest.mark.parametrize("name", ["tanh", "lstm", "gru_reset_after"])
def test_no_step_at_all(name, masks, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 0, 2, 3, 4, masks)
    dparams, dcarry0, dxs = by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **kwargs)
    assert error(dparams, jax.tree.map(jnp.zeros_like, params)) == 0
    assert error(dcarry0, dcarry) == 0
    assert dxs.shape == (0, 2, 3)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_one_step(name, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 1, 4, 3, 4, "both")
    want = jax.grad(energy(cell, dys, dcarry, reverse=reverse, **kwargs), argnums=(0, 1, 2))(params, carry, xs)
    assert error(by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **kwargs), want) <= 1e-10


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_learned_carry(name, reverse):
    """One h0 for every sequence and every document: its gradient is the sum over b of dcarry0."""
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 7, 5, 3, 4, "both", seed=4)
    h0 = jax.tree.map(lambda leaf: leaf[0], carry)

    def broadcast(h0):
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (5, 4)), h0)

    loss = energy(cell, dys, dcarry, reverse=reverse, **kwargs)
    want = jax.grad(lambda h0: loss(params, broadcast(h0), xs))(h0)
    _, dcarry0, _ = by_hand(params, broadcast(h0), xs, dys, dcarry, reverse=reverse, **kwargs)
    assert error(jax.tree.map(lambda leaf: leaf.sum(0), dcarry0), want) <= 1e-10


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", MAIN)
def test_nothing_in_the_padding_matters(name, reverse):
    cell, by_hand = CELLS[name]
    (params, carry, xs, dys, dcarry), kwargs = problem(cell, 7, 5, 3, 4, "both")
    frozen = np.arange(7)[:, None] >= kwargs["lengths"]
    want = by_hand(params, carry, xs, dys, dcarry, reverse=reverse, **kwargs)
    xs, dys = (np.where(frozen[..., None], np.nan, v) for v in (xs, dys))
    resets = kwargs.pop("resets") | frozen
    assert error(by_hand(params, carry, xs, dys, dcarry, reverse=reverse, resets=resets, **kwargs), want) == 0


def test_jacobian_is_a_product_of_diag_and_w():
    """dh_t/dh_0 = diag(s'(a_t)) W_hh ... diag(s'(a_1)) W_hh with W_hh = wh^T, its norm below sigma_max^t."""
    cell, by_hand = CELLS["tanh"]
    (params, carry, xs, dys, _), _ = problem(cell, 6, 1, 3, 4, "full", seed=5)
    rows = [by_hand(params, carry, xs, 0 * dys, row[None])[1][0] for row in np.eye(4)]
    jacobian, h, wh = np.eye(4), carry, np.asarray(params["wh"])
    for x in xs:
        h, _ = jitted(cell.step)(params, h, x)
        jacobian = np.diag(1 - np.asarray(h[0]) ** 2) @ wh.T @ jacobian
    assert error(np.stack(rows), jacobian) <= 1e-10
    assert np.linalg.norm(jacobian, 2) <= np.linalg.norm(wh, 2) ** 6


def test_other_activations():
    (params, carry, xs, dys, dcarry), _ = problem(CELLS["tanh"][0], 6, 2, 3, 4, "full")
    with pytest.raises(ValueError, match=r"tanh, sigmoid, relu, identity; pass the pair activation=\(s, ds\)"):
        bptt.vanilla(params, carry, xs, dys, dcarry, activation=jnp.sin)
    got = bptt.vanilla(params, carry, xs, dys, dcarry, activation=(jnp.sin, lambda a, h: jnp.cos(a)))
    loss = energy(cells.vanilla(jnp.sin), dys, dcarry)
    assert error(got, jax.grad(loss, argnums=(0, 1, 2))(params, carry, xs)) <= 1e-10


def test_masks_of_a_wrong_shape():
    args, _ = problem(CELLS["tanh"][0], 6, 2, 3, 4, "full")
    with pytest.raises(ValueError, match=r"lengths \[b\] has the shape \(3,\)"):
        bptt.vanilla(*args, lengths=jnp.array([1, 2, 3]))
    with pytest.raises(ValueError, match=r"resets \[t b\] has the shape \(2, 6\)"):
        bptt.vanilla(*args, resets=jnp.zeros((2, 6), bool))


def test_float32_stays_float32():
    for name in ("lstm", "gru"):
        cell, by_hand = CELLS[name]
        args, kwargs = problem(cell, 7, 5, 3, 4, "both")
        single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), args)
        got, want = (by_hand(*a, reverse=False, **kwargs) for a in (single, args))
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(got))
        assert error(got, jax.tree.map(lambda leaf: leaf.astype(jnp.float32), want)) <= 1e-4


def test_no_autodiff_inside():
    tree = ast.walk(ast.parse(inspect.getsource(bptt)))
    used = {getattr(node, "attr", getattr(node, "id", None)) for node in tree}
    autodiff = "grad value_and_grad vjp jvp jacobian jacfwd jacrev hessian linearize linear_transpose custom_vjp"
    assert not used & set(autodiff.split())


def test_numeric_gradient_of_any_pytree():
    x = {"w": jnp.arange(600.0).reshape(20, 30) / 100, "s": 0.5}
    x |= {"k": 3, "on": jnp.array([True]), "key": jax.random.key(0)}

    def f(x):
        return jnp.sum(jnp.sin(x["w"])) * x["s"] ** x["k"]

    got = bptt.numeric_gradient(f, x, chunk=64)  # 601 elements: not a multiple of the chunk
    assert jnp.allclose(got["w"], jnp.cos(x["w"]) / 8, atol=1e-8)
    assert jnp.allclose(got["s"], 0.75 * jnp.sum(jnp.sin(x["w"])), rtol=1e-8)
    assert all(got[k].dtype == jax.dtypes.float0 and got[k].shape == jnp.shape(x[k]) for k in ("k", "on", "key"))
    assert bptt.numeric_gradient(lambda x: 1.0, {"k": 3, "empty": jnp.zeros((0, 2))})["empty"].shape == (0, 2)


def test_numeric_gradient_refuses():
    message = r'float32, and differences need float64; call jax.config.update\("jax_enable_x64", True\)'
    with pytest.raises(ValueError, match=message):
        bptt.numeric_gradient(jnp.sum, jnp.ones(3, jnp.float32))
    with pytest.raises(ValueError, match=r"f\(x\) is float32"):
        bptt.numeric_gradient(lambda x: jnp.sum(x).astype(jnp.float32), jnp.ones(3))
    with pytest.raises(ValueError, match="one scalar"):
        bptt.numeric_gradient(jnp.sin, jnp.ones(3))
