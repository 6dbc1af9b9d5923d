"""Problems for `rnn_jax.scan` and its methods: cells, masks, and how to compare outputs and gradients."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import cells, scan

T, B, N, D = 6, 3, 4, 5
CELLS = {
    "tanh": cells.vanilla(), "sigmoid": cells.vanilla(jax.nn.sigmoid), "relu": cells.vanilla(jax.nn.relu),
    "irnn": cells.irnn(),
    "lstm": cells.lstm(), "gru": cells.gru(), "gru_after": cells.gru(reset_after=True),
    "diagonal": cells.diagonal(), "min_gru": cells.min_gru(), "min_lstm": cells.min_lstm(), "lru": cells.lru(),
    "original_lstm": cells.original_lstm(block=D), "cayley": cells.orthogonal("cayley"),
}  # fmt: skip
MASKS = {
    "full": {},
    "lengths": {"lengths": np.array([6, 0, 3])},
    "resets": {"resets": np.random.default_rng(0).random((T, B)) < 0.3},
    "both": {"lengths": np.array([5, 0, 4]), "resets": np.random.default_rng(1).random((T, B)) < 0.4},
}


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def problem(cell, seed=0):
    params = cell.init(jax.random.key(seed), N, D, jnp.float64)
    params = jax.tree.map(lambda a: a + 0.1 * normal(seed + 1, *a.shape), params)
    turn = lambda a: 1 + 1j if jnp.iscomplexobj(a) else 1
    carry = jax.tree.map(lambda a: turn(a) * normal(seed + 2, *a.shape), cell.carry(B, D, jnp.float64))
    return params, carry, normal(seed + 3, T, B, N)


def scalar(tree):
    """A loss with a gradient of its own in every float entry of a tree."""
    leaves = [a for a in jax.tree.leaves(tree) if jnp.issubdtype(a.dtype, jnp.inexact)]
    weight = lambda a: 1 + jnp.arange(a.size).reshape(a.shape) / a.size
    return sum(jnp.sum(jnp.real(jnp.sin(a + i)) * weight(a) + jnp.imag(a)) for i, a in enumerate(leaves))


def relative(a, b):
    a, b = (np.asarray(v, np.complex128) for v in (a, b))
    return np.max(np.abs(a - b), initial=0) / (np.max(np.abs(b), initial=0) or 1.0)


def agree(a, b, tolerance=1e-12):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        if x.dtype != jax.dtypes.float0:
            assert relative(x, y) <= tolerance


def gradients(step, params, carry, xs, **kwargs):
    """Outputs, and gradients with respect to everything that is float."""
    run = lambda *args: scan(step, *args, **kwargs)
    both = lambda *args: (run(*args), jax.grad(lambda *args: scalar(run(*args)), (0, 1, 2), allow_int=True)(*args))
    return jax.jit(both)(params, carry, xs)  # one program is sooner compiled than its parts


def as_if_on_a_gpu():
    """Newer versions of JAX ask which GPU a kernel is lowered for."""
    if jax.__version_info__ < (0, 11):
        return contextlib.nullcontext()
    device = jax.sharding.AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")
    return jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), (), abstract_device=device))
