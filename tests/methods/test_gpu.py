"""Every method on the GPU itself, against "reference" there.

    JAX_PLATFORMS=cuda python -m pytest tests/methods/test_gpu.py

The other tests run on a CPU: they interpret or replace the kernels, and cannot see what a GPU makes of them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_problems import agree, relative, scalar

from rnn_jax import cells, scan
from rnn_jax.methods import Fused, Newton

if jax.default_backend() != "gpu":
    pytest.skip("needs a GPU, and JAX_PLATFORMS=cuda", allow_module_level=True)

T, B, N, D = 37, 20, 32, 64  # 20: the last block of "fused" has rows of padding
LENGTHS = np.random.default_rng(0).integers(0, T + 1, B)
CELLS = {
    "vanilla": cells.vanilla(), "lstm": cells.lstm(), "gru": cells.gru(), "peephole_lstm": cells.peephole_lstm(),
    "heads_lstm": cells.heads_lstm(head=32), "min_gru": cells.min_gru(), "lru": cells.lru(),
}  # fmt: skip
CASES = [
    *((cell, "deferred") for cell in CELLS), *((cell, "fused") for cell in list(CELLS)[:6]),
    *((cell, "newton") for cell in ("vanilla", "lstm", "gru")), ("lstm", "cudnn"), ("min_gru", "associative"),
    ("lru", "associative"), ("lstm", "chunked"), ("lstm", "checkpointed"), ("lstm", "auto"),
]  # fmt: skip


def problem(cell, dtype=jnp.float32, t=T):
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.tree.map(lambda a: a.astype(dtype) if dtype != jnp.float32 else a, cell.init(keys[0], N, D))
    return params, cell.carry(B, D, dtype), jax.random.normal(keys[1], (t, B, N), dtype)


def gradients(cell, args, method, **kwargs):
    def loss(*args):
        out = scan(cell.step, *args, method=method, **kwargs)
        return scalar(out), out

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*args)


@pytest.mark.parametrize("masks", [{}, {"lengths": LENGTHS}], ids=["full", "lengths"])
@pytest.mark.parametrize(("cell", "method"), CASES)
def test_equals_the_reference(cell, method, masks):
    with jax.default_matmul_precision("highest"):
        both = [gradients(CELLS[cell], problem(CELLS[cell]), each, **masks) for each in (method, "reference")]
    agree(*both, tolerance=2e-5)


@pytest.mark.parametrize("cell", ["lstm", "heads_lstm", "gru"])
@pytest.mark.parametrize("method", ["deferred", "fused"])
def test_bfloat16_is_as_near_to_float32_as_the_reference(cell, method):
    cell, run = CELLS[cell], lambda *a: jax.tree.leaves(gradients(*a))
    rounded = problem(cell, jnp.bfloat16)
    with jax.default_matmul_precision("highest"):
        exact = run(cell, jax.tree.map(lambda a: a.astype(jnp.float32), rounded), "reference")
    own, plain = (
        [relative(a.astype(jnp.float32), b) for a, b in zip(run(cell, rounded, each), exact, strict=True)]
        for each in (method, "reference")
    )
    assert np.mean(own) <= 1.2 * np.mean(plain) + 1e-3 and max(own) <= 2 * max(plain) + 1e-3


@pytest.mark.parametrize("masks", [{}, {"lengths": LENGTHS}], ids=["full", "lengths"])
@pytest.mark.parametrize("cell", ["vanilla", "gru", "heads_lstm", "min_gru"])
def test_mosaic_in_bfloat16(cell, masks):
    """By the other backend of "fused", whose kernels are for a Hopper; 64 units a head, as its tiles are."""
    cell = cells.heads_lstm(head=64) if cell == "heads_lstm" else CELLS[cell]
    args, run = problem(cell, jnp.bfloat16), lambda *a: jax.tree.leaves(gradients(*a, **masks))
    with jax.default_matmul_precision("highest"):
        exact = run(cell, jax.tree.map(lambda a: a.astype(jnp.float32), args), "reference")
    for a, b in zip(run(cell, args, Fused(backend="mosaic")), exact, strict=True):
        assert relative(a.astype(jnp.float32), b) <= 0.05


def test_newton_over_thousands_of_steps():
    cell = CELLS["gru"]
    with jax.default_matmul_precision("highest"):
        args = problem(cell, t=3000)
        (carry, ys), (same, expected) = (scan(cell.step, *args, method=each) for each in (Newton(), "reference"))
    agree((carry, ys), (same, expected), tolerance=1e-6)
