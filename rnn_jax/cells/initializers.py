"""Initialisers of recurrent weights: init(key, shape, dtype) -> array. `gates` applies one of them per gate block.

A packed weight [n, g*d] holds g gate matrices side by side. Orthogonality, Glorot's fan-out and the spectral radius are
properties of one gate's matrix, so they must be applied to each block: flax's OptimizedLSTMCell orthogonalises the
whole [d, 4d] matrix, whose d x d blocks are then not orthogonal.
"""

import jax
import jax.numpy as jnp

glorot = jax.nn.initializers.glorot_uniform  # U(-a, a), a = sqrt(6 / (fan_in + fan_out)); Glorot & Bengio, 2010
lecun = jax.nn.initializers.lecun_normal  # N(0, 1 / fan_in), truncated; LeCun et al., 1998
he = jax.nn.initializers.he_normal  # N(0, 2 / fan_in), truncated; He et al., 2015
normal = jax.nn.initializers.normal  # N(0, stddev); argument stddev


def orthogonal(scale=1.0):
    """scale * Q with Q^T Q = I (Saxe et al., 2014). Computed in float32 at least: no QR exists in half precision."""

    def init(key, shape, dtype=jnp.float32):
        wide = jnp.promote_types(dtype, jnp.float32)
        return jax.nn.initializers.orthogonal(scale)(key, shape, wide).astype(dtype)

    return init


def gates(init, g):
    """`init` on each of the g blocks of a packed weight [n, g*d], with independent keys."""

    def packed(key, shape, dtype=jnp.float32):
        if shape[-1] % g:
            raise ValueError(f"gates: the last axis of {shape} does not hold {g} blocks of equal width")
        block = (*shape[:-1], shape[-1] // g)
        return jnp.concatenate([init(k, block, dtype) for k in jax.random.split(key, g)], axis=-1)

    return packed


def uniform(scale):
    """U(-scale, scale): char-rnn (0.08), Zaremba et al. 2014 (0.1, 0.05, 0.04)."""

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -scale, scale)

    return init


def between(low, high):
    """U(low, high)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, low, high)


def identity(scale=1.0):
    """scale * I for a square block (IRNN: Le et al., 2015)."""

    def init(key, shape, dtype=jnp.float32):
        del key
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(
                f"identity: needs a square matrix, got {shape}; use gates(identity(), g) for packed weights"
            )
        return scale * jnp.eye(shape[0], dtype=dtype)

    return init


def sparse(nonzero=15, scale=1.0, spectral_radius=None):
    """`nonzero` entries N(0, scale^2) in each row, the rest 0; then scaled to `spectral_radius` if one is given.

    Martens (2010), and "smart tanh" of Pascanu et al. (2013): 15 per row, spectral radius 0.95. The radius needs
    eigenvalues of a general matrix, which JAX computes on the CPU only: not under a jit for an accelerator.
    """

    def init(key, shape, dtype=jnp.float32):
        rows, cols = shape
        kw, kp = jax.random.split(key)
        w = scale * jax.random.normal(kw, shape, jnp.promote_types(dtype, jnp.float32))
        rank = jnp.argsort(jax.random.uniform(kp, shape), axis=-1)
        w = jnp.where(rank < min(nonzero, cols), w, 0)
        if spectral_radius is None:
            return w.astype(dtype)
        if rows != cols:
            raise ValueError(f"sparse: a spectral radius needs a square matrix, got {shape}")
        return (w * spectral_radius / radius(w)).astype(dtype)

    return init


def rotations(low=-jnp.pi, high=jnp.pi, *, cayley=False):
    """S [d d] of which exp(S - S^T) rotates the units (0, 1), (2, 3), ... by angles U(low, high) (Henaff et al., 2016).

    cayley: S of which (I + A)^{-1} (I - A), A = S - S^T, does; it holds tan(angle / 2), which has no value at pi.
    """

    def init(key, shape, dtype=jnp.float32):
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"rotations: needs a square matrix, got {shape}")
        angle = jax.random.uniform(key, (shape[0] // 2,), minval=low, maxval=high)
        if cayley:
            angle = -jnp.tan(jnp.clip(angle, -3.1, 3.1) / 2)
        first = 2 * jnp.arange(shape[0] // 2)
        return jnp.zeros(shape, dtype).at[first, first + 1].set(angle.astype(dtype))

    return init


def redraw(init, params, key):
    """params with every matrix drawn anew by `init`, with independent keys; vectors stay."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    return tree.unflatten([init(k, w.shape, w.dtype) if w.ndim > 1 else w for k, w in zip(keys, leaves, strict=True)])


def radius(w):
    """Spectral radius max |eigenvalue| of a square matrix [d d], computed on the CPU."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        return jnp.max(jnp.abs(jnp.linalg.eigvals(jax.device_put(w, jax.local_devices(backend="cpu")[0]))))


def chrono(t_max):
    """Chrono initialisation of an LSTM bias [4d] (Tallec & Ollivier, 2018): b_f ~ log U(1, t_max - 1), b_i = -b_f.

    Gates i f g o. The units' memories 1/(1-f) then spread over 1 ... t_max steps.
    Use: params["b"] = chrono(t_max)(key, (4*d,)).
    """

    def init(key, shape, dtype=jnp.float32):
        if len(shape) != 1 or shape[0] % 4:
            raise ValueError(f"chrono: needs the shape (4*d,) of an LSTM bias, got {shape}")
        d = shape[0] // 4
        f = jnp.log(jax.random.uniform(key, (d,), dtype, 1.0, max(t_max - 1.0, 1.0 + 1e-6)))
        return jnp.concatenate([-f, f, jnp.zeros((2 * d,), dtype)])

    return init
