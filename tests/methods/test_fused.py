"""method="fused": the kernel interpreted, equal to the reference; what it cuts; that it lowers for a GPU; refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import CELLS, MASKS, B, D, N, T, agree, as_if_on_a_gpu, normal, problem, scalar

from rnn_jax import cells, scan
from rnn_jax.methods.fused import Fused
from rnn_jax.methods.fused.axes import Axes
from rnn_jax.methods.fused.slices import slice_early
from rnn_jax.tracing import trace

INTERPRETED = Fused(block_b=2, interpret=True)  # B = 3: the last block has a row of padding
fixtures = pytest.mark.usefixtures("x64", "quick_compilation")


def peephole(p, carry, x):
    h, c = carry
    i, f, g, o = jnp.split(x @ p["wx"] + h @ p["wh"] + p["b"], 4, axis=-1)
    c = jax.nn.sigmoid(f + p["pf"] * c) * c + jax.nn.sigmoid(i + p["pi"] * c) * jnp.tanh(g)
    h = jax.nn.sigmoid(o + p["po"] * c) * jnp.tanh(c)
    return (h, c), h


def heads(p, carry, x):
    """wh [heads d_h 4 d_h]; h, c [b heads d_h]."""
    h, c = carry
    a = jnp.einsum("bn,nhk->bhk", x, p["wx"]) + jnp.einsum("bhi,hik->bhk", h, p["wh"]) + p["b"]
    i, f, g, o = jnp.split(a, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def joined(p, carry, x):
    """An output that mixes heads: they are not apart."""
    carry, h = heads(p, carry, x)
    return carry, h.sum((1, 2))


def normalised(p, h, x):
    """A layer over the batch: its rows are not apart."""
    a = x @ p["wx"] + h @ p["wh"]
    h = jnp.tanh((a - a.mean(0)) / (1 + a.std(0)) * p["scale"])
    return h, h


def counted(p, carry, x):
    """A carry without a batch, an output without one, gates in a reshape, and a matrix as the state."""
    n, m = carry
    a = (x @ p["wx"] + jnp.einsum("bij,bj->bi", m, x) @ p["wh"]).reshape(len(x), 3, D)
    q, k, g = a[:, 0], a[:, 1], jax.nn.sigmoid(a[:, 2])
    m = g[:, :, None] * m + jnp.tanh(q[:, :, None] * k[:, :N][:, None])
    return (n + 1, m), (jnp.where(n > 2, jnp.einsum("bij,bi->bj", m, g), 0), n)


def weights(**shapes):
    return {name: 0.5 * normal(i, *shape) for i, (name, shape) in enumerate(shapes.items())}


def own(name, b=B):
    """(step, params, carry, xs) of a step that no method has seen."""
    e, x = 2, normal(13, T, b, N)
    state = lambda *shape: (normal(11, *shape), normal(12, *shape))
    if name == "peephole":
        p = weights(wx=(N, 4 * D), wh=(D, 4 * D), b=(4 * D,), pi=(D,), pf=(D,), po=(D,))
        return peephole, p, state(b, D), x
    if name in ("heads", "joined"):
        step = heads if name == "heads" else joined
        return step, weights(wx=(N, 3, 4 * e), wh=(3, e, 4 * e), b=(3, 4 * e)), state(b, 3, e), x
    if name == "normalised":
        return normalised, weights(wx=(N, D), wh=(D, D), scale=(D,)), normal(11, b, D), x
    carry = jnp.zeros((), int), normal(11, b, D, N)
    return counted, weights(wx=(N, 3 * D), wh=(D, 3 * D)), carry, x


def both(step, *args, method, **kwargs):
    """Outputs and gradients, in one program."""

    def loss(*args):
        out = scan(step, *args, method=method, **kwargs)
        return scalar(out), out

    return jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True, allow_int=True))(*args)


def compare(step, *args, tolerance=1e-11, **kwargs):
    reference = both(step, *args, method="reference", **kwargs)
    agree(both(step, *args, method=INTERPRETED, **kwargs), reference, tolerance)


@fixtures
@pytest.mark.parametrize(
    ("cell", "mask", "reverse"),
    [
        ("relu", "resets", True), ("lstm", "full", True), ("lstm", "both", False), ("gru", "both", True),
        ("gru_after", "lengths", False), ("min_gru", "both", True), ("original_lstm", "full", False),
    ],
)  # fmt: skip
def test_equals_the_reference(cell, mask, reverse):
    compare(CELLS[cell].step, *problem(CELLS[cell]), reverse=reverse, **MASKS[mask])


@fixtures
@pytest.mark.parametrize(
    ("name", "mask"),
    [("peephole", "full"), ("heads", "both"), ("joined", "full"), ("normalised", "full"), ("counted", "full")],
)
def test_a_cell_that_no_method_has_seen(name, mask):
    compare(*own(name), reverse=mask == "both", **MASKS[mask])


@fixtures
@pytest.mark.parametrize("length", [0, 1])
def test_no_steps_and_one_step(length):
    params, carry, xs = problem(CELLS["gru"])
    compare(CELLS["gru"].step, params, carry, xs[:length])


@fixtures
def test_collected_and_tapped():
    args = CELLS["lstm"].step, *problem(CELLS["lstm"])
    kwargs = {"collect": ("preactivation", "forget_gate"), "taps": {"c": normal(5, T, B, D)}}
    compare(*args, **kwargs)


@fixtures
def test_second_derivatives():
    args = problem(CELLS["tanh"])

    def penalty(p, method):
        inner = jax.grad(lambda p: scalar(scan(CELLS["tanh"].step, p, *args[1:], method=method)))
        return sum(jnp.sum(a**2) for a in jax.tree.leaves(inner(p)))

    found, true = (jax.jit(jax.grad(functools.partial(penalty, method=m)))(args[0]) for m in (INTERPRETED, "reference"))
    agree(found, true, 1e-10)


@pytest.mark.usefixtures("quick_compilation")
def test_single_and_half_precision():
    """float32 to 1e-5; bfloat16 operands are multiplied into float32, within rounding of the exact values."""
    step, *args = own("peephole")
    single, half = ([jax.tree.map(lambda a: a.astype(kind), a) for a in args] for kind in (jnp.float32, jnp.bfloat16))
    exact = both(step, *single, method="reference")
    agree(both(step, *single, method=INTERPRETED), exact, 1e-5)
    found = both(step, *half, method=INTERPRETED)
    assert {a.dtype for a in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}
    agree(jax.tree.map(lambda a: a.astype(jnp.float32), found), exact, 0.05)


# ----------------------------------------------------------------------------------------------------- what it is cut


def cut(step, params, carry, xs, block_b=2):
    """How many indices a program has of each axis that is cut."""
    traced = trace(step, params, carry, xs[0], taps={}, collect=[], active=None, reset=None)
    body = slice_early(traced.body, T)
    jaxpr, n = body.jaxpr, body.n_fixed
    axes = Axes(jaxpr, jaxpr.invars[n : n + body.n_carry])
    return sorted(axes.blocks(block_b).values())


@pytest.mark.parametrize(
    ("name", "blocks"), [("peephole", [2]), ("heads", [1, 2]), ("joined", [2]), ("normalised", []), ("counted", [1])]
)
def test_what_is_cut(name, blocks):
    """Rows in blocks, each head (or row, where each has a matrix) alone; nothing where rows meet."""
    assert cut(*own(name)) == blocks


def test_units_of_an_elementwise_cell_are_cut():
    step = lambda p, h, x: (jnp.tanh(p * h + x), h)
    assert cut(step, jnp.ones(D), jnp.ones((B, D)), jnp.ones((T, B, D))) == [2, 8]


MIXING = {
    "mean": lambda h: h.mean(0), "cumsum": lambda h: jnp.cumsum(h, 0), "flip": lambda h: h[::-1],
    "roll": lambda h: jnp.roll(h, 1, 0), "first": lambda h: h[:1], "sort": lambda h: jnp.sort(h, 0),
    "outer": lambda h: (h @ h.T) @ h, "gram": lambda h: h @ (h.T @ h), "take": lambda h: h[jnp.array([2, 0, 1])],
    "row": lambda h: jnp.arange(3.0)[:, None] * h, "argmax": lambda h: jnp.argmax(h, 0) * h,
    "softmax": lambda h: jax.nn.softmax(h, 0), "reshape": lambda h: h.reshape(D, B).T,
    "pad": lambda h: jax.lax.pad(h, 0.0, ((1, -1, 0), (0, 0, 0))),
    "norm": lambda h: h / jnp.linalg.norm(h),
    "cond": lambda h: jax.lax.cond(h[0, 0] > 0, lambda h: h, lambda h: -h, h),
}  # fmt: skip


@pytest.mark.parametrize("kind", MIXING)
def test_rows_that_meet_are_never_cut(kind):
    step = lambda p, h, x: ((h := jnp.tanh(MIXING[kind](h) + h @ p + x)), h)
    assert cut(step, jnp.ones((D, D)), jnp.ones((B, D)), jnp.ones((T, B, D))) == []


# -------------------------------------------------------------------------------------------------------------- a GPU


def lower(step, *args, backend="triton", **kwargs):
    """What a GPU would be given for the loss and its gradients: two kernels."""
    loss = lambda *args: scalar(scan(step, *args, method=Fused(interpret=False, backend=backend), **kwargs))
    with as_if_on_a_gpu():
        return jax.jit(jax.grad(loss, (0, 1, 2))).trace(*args).lower(lowering_platforms=("cuda",)).as_text()


def of_width(step, d, n=16, b=20, dtype=jnp.float32):
    """Arguments of a cell with dict of weights, as shapes."""
    cell = step if isinstance(step, cells.Cell) else None
    if cell:
        init = lambda: (cell.init(jax.random.key(0), n, d, dtype), cell.carry(b, d, dtype))
    elif step is peephole:
        init = lambda: (
            {"wx": jnp.zeros((n, 4 * d)), "wh": jnp.zeros((d, 4 * d)), "b": jnp.zeros(4 * d)}
            | dict.fromkeys(("pi", "pf", "po"), jnp.zeros(d)),
            (jnp.zeros((b, d)),) * 2,
        )
    else:
        init = lambda: (
            {"wx": jnp.zeros((n, 3, 4 * d)), "wh": jnp.zeros((3, d, 4 * d)), "b": jnp.zeros((3, 4 * d))},
            (jnp.zeros((b, 3, d)),) * 2,
        )
    xs = jax.ShapeDtypeStruct((T, b, n), dtype)
    return (cell.step if cell else step, *jax.tree.map(lambda a: a.update(dtype=dtype), jax.eval_shape(init)), xs)


LOWERED = {
    "tanh": cells.vanilla(), "relu": cells.vanilla(jax.nn.relu), "lstm": cells.lstm(), "gru": cells.gru(),
    "gru_after": cells.gru(reset_after=True), "min_gru": cells.min_gru(), "peephole": peephole, "heads": heads,
}  # fmt: skip


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", LOWERED)
def test_lowers_for_a_gpu(name, dtype):
    masks = {"lengths": np.arange(20) % 6, "resets": np.zeros((T, 20), bool)} if dtype == jnp.float32 else {}
    text = lower(*of_width(LOWERED[name], 32, dtype=dtype), **masks)
    assert text.count("stablehlo.custom_call @__gpu$xla.gpu.triton") == 2 and "while" not in text


@fixtures
def test_networks_side_by_side():
    """Under vmap, as seeds are trained: equal to one after the other, and two kernels still."""
    cell = cells.gru()
    args = [problem(cell, seed) for seed in (0, 1)]
    loss = lambda p, carry, xs, m: scalar(scan(cell.step, p, carry, xs, method=m))
    many = jax.tree.map(lambda *a: jnp.stack(a), *args)
    found = jax.vmap(lambda *a: jax.grad(loss)(*a, INTERPRETED))(*many)
    for i, one in enumerate(args):
        agree(jax.tree.map(lambda a, i=i: a[i], found), jax.grad(loss)(*one, "reference"), 1e-11)
    wide = of_width(cell, 32)
    step, *shapes = wide[0], *jax.tree.map(lambda a: jax.ShapeDtypeStruct((2, *a.shape), a.dtype), wide[1:])
    gradient = jax.vmap(jax.grad(lambda *a: scalar(scan(step, *a, method=Fused(interpret=False))), (0, 1, 2)))
    with as_if_on_a_gpu():
        text = jax.jit(gradient).trace(*shapes).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.custom_call @__gpu$xla.gpu.triton") == 2


def test_a_step_without_floats_is_no_error():
    step, types = lambda p, n, x: (n + x, n), jnp.zeros((2, 3), int)
    body = trace(step, None, types, jax.typeof(types), taps={}, collect=[], active=None, reset=None).body
    with as_if_on_a_gpu():
        assert isinstance(Fused(interpret=False).refuses(body), str)


# ----------------------------------------------------------------------------------------------------------- refusals


def noisy(p, carry, x):
    h, key = carry
    key, now = jax.random.split(key)
    h = jnp.tanh(h @ p + x + jax.random.normal(now, h.shape))
    return (h, key), h


def talking(p, h, x):
    jax.debug.print("{}", h[0, 0])
    return (h := jnp.tanh(h @ p + x)), h


def halves(p, h, x):
    h = jnp.tanh(jnp.concatenate([h[:, 16:], h[:, :16]], axis=-1) @ p + x)
    return h, h


simple = lambda p, h, x: ((h := jnp.tanh(h @ p + x)), h)


def refused(step, d, carry=None, dtype=jnp.float32, **options):
    carry = jnp.zeros((4, d), dtype) if carry is None else carry
    with as_if_on_a_gpu():
        return scan(step, jnp.ones((d, d), dtype), carry, jnp.ones((2, 4, d), dtype), method=Fused(**options))


@pytest.mark.parametrize(
    ("why", "call"),
    [
        ("random numbers from a key", lambda: refused(noisy, 4, (jnp.ones((4, 4)), jax.random.key(0)), interpret=True)),
        ("callbacks or prints", lambda: refused(talking, 4, interpret=True)),
        ("no complex numbers", lambda: refused(simple, 4, dtype=jnp.complex64, interpret=True)),
        ("288 KiB on the chip, 256 KiB of .* 227 KiB .* block-diag", lambda: refused(simple, 256, interpret=True)),
        ("powers of two.* float32\\[24,24\\]", lambda: refused(simple, 24, interpret=False)),
        ("at least 16 by 16, got \\[16, 8\\] by \\[8, 8\\]", lambda: refused(simple, 8, interpret=False)),
        ("does not compile .*(slice|concat)", lambda: refused(halves, 32, interpret=False)),
    ],
)  # fmt: skip
def test_what_is_refused(why, call):
    with pytest.raises(ValueError, match=f'^fused: .*{why}.*use method="deferred"'):
        call()


def test_heads_that_meet_are_refused_on_a_gpu():
    with pytest.raises(ValueError, match=r"got \[16, 3, 32\] by \[3, 32, 32\] \(heads are apart where no equation"):
        lower(*of_width(joined, 32))


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="there is a GPU here")
def test_without_a_gpu():
    with pytest.raises(ValueError, match=r'needs a GPU, and JAX runs on "cpu" .*Fused\(interpret=True\).*"deferred"'):
        refused(simple, 32)


def test_blocks_are_powers_of_two():
    with pytest.raises(ValueError, match="fused: block_b is a power of two, got 12"):
        Fused(block_b=12)
    with pytest.raises(ValueError, match=r"fused: num_warps is a power of two, got 2\.5"):
        Fused(num_warps=2.5)


# ---------------------------------------------------------------------------------------------------- by Mosaic GPU

modern = pytest.mark.skipif(jax.__version_info__ < (0, 10), reason="Mosaic is used as it is since JAX 0.10")


def shrunk(p, h, x):
    """Sums over units, a maximum, a count of steps, a choice, and an output of rows alone."""
    n, h = h
    a = x @ p["wx"] + h @ p["wh"]
    a = jnp.exp(a - a.max(-1, keepdims=True))
    h = jnp.where(x[:, :1] > 0, a / a.sum(-1, keepdims=True) + h, h * p["b"])
    return (n + 1, h), (h.sum(-1), n)


@modern
@pytest.mark.parametrize(
    ("name", "dtype", "mask"),
    [("peephole", jnp.float32, "full"), ("heads", jnp.bfloat16, "both"), ("shrunk", jnp.float32, "full")],
)
def test_mosaic_equals_the_reference(name, dtype, mask):
    """Its memory, barriers and copies are simulated: of float32 to 1e-5, of bfloat16 within rounding."""
    kwargs = MASKS[mask] | {"reverse": mask == "both"}
    if name == "shrunk":
        p, carry = weights(wx=(N, D), wh=(D, D), b=(D,)), (jnp.zeros(()), normal(11, B, D))
        step, args = shrunk, (p, carry, normal(13, T, B, N))
    else:
        step, *args = own(name)
    single, given = ([jax.tree.map(lambda a, k=k: a.astype(k), a) for a in args] for k in (jnp.float32, dtype))
    exact = both(step, *single, method="reference", **kwargs)
    found = both(step, *given, method=Fused(interpret=True, backend="mosaic"), **kwargs)
    agree(jax.tree.map(lambda a: a.astype(jnp.float32), found), exact, 1e-5 if dtype == jnp.float32 else 0.05)


@modern
@pytest.mark.parametrize(("name", "dtype"), [("gru", jnp.float32), ("peephole", jnp.bfloat16), ("heads", jnp.bfloat16)])
def test_mosaic_lowers_for_a_gpu(name, dtype):
    masks = {"lengths": np.arange(20) % 6, "resets": np.zeros((T, 20), bool)} if name == "heads" else {}
    text = lower(*of_width(LOWERED[name], 64, dtype=dtype), backend="mosaic", **masks)
    assert text.count("stablehlo.custom_call @mosaic_gpu_v2") == 2 and "while" not in text


refused_by_mosaic = functools.partial(refused, backend="mosaic", interpret=False)


centred = lambda p, h, x: ((h := jnp.tanh(h @ p) - h.mean(0)), h)
mixed = lambda p, h, x: ((h := jnp.tanh(jax.lax.dot(h.astype(jnp.bfloat16), p, preferred_element_type=h.dtype))), h)


def both_ways(p, h, x):
    """Heads [b 2 32], and the transposes of their weights."""
    p = p.reshape(2, 32, 64)[:, :, :32]
    h = jnp.tanh(jnp.einsum("bmj,mjk->bmk", h, p) + jnp.einsum("bmk,mjk->bmj", h, p))
    return h, h


@modern
@pytest.mark.parametrize(
    ("why", "call"),
    [
        ("blocks of 64 rows, and block_b is 32", lambda: refused_by_mosaic(simple, 64, block_b=32)),
        ("those of this step meet", lambda: refused_by_mosaic(centred, 64)),
        ("sums over both", lambda: refused_by_mosaic(both_ways, 64, jnp.zeros((4, 2, 32)))),
        ("of the type of what", lambda: refused_by_mosaic(mixed, 64)),
        ("has no slice", lambda: refused_by_mosaic(halves, 64)),
        ("1156 KiB on the chip", lambda: refused_by_mosaic(simple, 512)),
        ("asks for more", lambda: jax.default_matmul_precision("highest")(refused_by_mosaic)(simple, 64)),
    ],
)  # fmt: skip
def test_what_mosaic_refuses(why, call):
    with pytest.raises(ValueError, match=f'^fused: .*{why}.*use method="deferred"'):
        call()
