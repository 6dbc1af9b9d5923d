"""The recurrent matrices of a step, their spectra, and the safe bound on the gradient that they give.

For h_t = s(W h_{t-1} + ...), ||dh_t/dh_k|| <= (sigma_max(W) gamma)^(t-k) with gamma = max s': 1 for tanh, 1/4 for the
logistic sigmoid (Pascanu, Mikolov & Bengio, 2013). The safe bound is on the largest singular value, not the eigenvalue.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from rnn_jax.gradients import flat
from rnn_jax.tracing import inner_jaxprs, live

GAMMA = {"tanh": 1.0, "logistic": 0.25, "relu": 1.0}  # the largest derivative
UNSTRETCHED = {"name", "neg", "transpose", "reshape", "squeeze", "convert_element_type"}  # of norm 1


class Spectrum(NamedTuple):
    eigenvalues: jax.Array  # [... d], complex, in no order
    singular_values: jax.Array  # [... d], descending
    radius: jax.Array  # [...], the largest |eigenvalue|


def spectrum(w) -> Spectrum:
    """Eigenvalues, singular values and spectral radius of square matrices w [... d d]; under jit and vmap everywhere.

    Raises ValueError: w is not square.
    """
    w = jnp.asarray(w)
    if w.ndim < 2 or w.shape[-1] != w.shape[-2]:
        raise ValueError(f"spectrum: needs square matrices [... d d], got the shape {w.shape}")
    if jax.default_backend() == "cpu":
        eigenvalues = jnp.linalg.eigvals(w)
    else:  # JAX has the eigenvalues of a general matrix on the CPU only
        out = jax.ShapeDtypeStruct(w.shape[:-1], jnp.result_type(w, jnp.complex64))
        numpy = lambda a: np.linalg.eigvals(np.asarray(a)).astype(out.dtype)
        eigenvalues = jax.pure_callback(numpy, out, w, vmap_method="broadcast_all")
    return Spectrum(eigenvalues, jnp.linalg.svd(w, compute_uv=False), jnp.max(jnp.abs(eigenvalues), axis=-1))


def recurrent_matrices(step: Callable, params, carry, xs) -> dict[str, jax.Array]:
    """The weights that multiply the state on its way to the next state, in blocks: dict path -> [g d d], e.g. "wh".

    Found in the step's equations: a leaf of params, or a slice, split or transpose of one, in a matrix product with a
    value that depends on the carry. A leaf [d g*d] is g gates side by side, [g*d d] one above the other. A weight that
    the step closes over is "closed-over/0". A weight made by other means (a sum, an exponential) is not a leaf.
    Raises ValueError: a leaf that is not made of blocks d x d, d the width of a leaf of the carry; NaN.
    """
    me = "recurrent_matrices"
    params, carry, xs = flat.as_arrays(params, carry, xs)
    problem, paths = _problem(me, step, params, carry, xs, 1)
    widths = {a.shape[-1] for a in flat.floats(problem.carry) if a.ndim}
    return {paths[i]: _blocks(me, paths[i], problem.fixed[i], widths) for i in sorted(_weights(problem))}


def local_bound(step: Callable, params, carry, xs) -> jax.Array:
    """log10(sigma_max(W) gamma), so that log10 ||dh_t/dh_k|| <= (t - k) * bound: below 0 gradients surely vanish.

    For a step whose carry is one array, and goes through ONE matrix and at most one tanh (gamma = 1), logistic (1/4) or
    relu (1), each of a sum with what does not depend on it. Raises ValueError for any other step, naming what it found,
    for t < 2 and for NaN. `jacobian_product_log10norms` measures what this bounds, for any step.
    """
    me = "local_bound"
    params, carry, xs = flat.as_arrays(params, carry, xs)
    problem, paths = _problem(me, step, params, carry, xs, 2)

    def refuse(found):
        raise ValueError(
            f"{me}: needs one recurrent matrix and one nonlinearity on the way of the carry, found {found}; "
            "for this step use jacobian_product_log10norms"
        )

    if len(problem.carry) != 1:
        refuse(f"{len(problem.carry)} carry leaves")
    leaf, gamma = _chain(problem, paths, refuse)
    return jnp.log10(jnp.linalg.svd(problem.fixed[leaf], compute_uv=False)[0] * gamma)


def _problem(caller, step, params, carry, xs, least):
    t, _ = flat.check(caller, step, params, carry, xs, least)
    problem = flat.flatten(step, params, carry, xs, t)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    paths = [f"closed-over/{i}" for i in range(len(problem.fixed) - len(leaves))]
    return problem, paths + [jax.tree_util.keystr(p, simple=True, separator="/") or "params" for p, _ in leaves]


def _marks(problem: flat.Flat):
    """Of the body's inputs: origins var -> index of its leaf in fixed, and the variables that depend on the carry."""
    jaxpr, n = problem.body.jaxpr, problem.body.n_fixed
    return {v: i for i, v in enumerate(jaxpr.invars[:n])}, set(jaxpr.invars[n : n + problem.body.n_carry])


def _weights(problem: flat.Flat) -> set[int]:
    """The leaves of fixed in a matrix product with a carry-dependent value that the next carry depends on."""
    found = set()

    def walk(eqns, origins, moving):
        for eqn in eqns:
            args = [None if isinstance(a, core.Literal) else a for a in eqn.invars]
            depends = any(a in moving for a in args)
            if eqn.primitive.name == "dot_general" and depends:
                found.update(origins[a] for a in args if a in origins)
            if eqn.primitive.name in flat.PARTS and args[0] in origins:
                origins |= dict.fromkeys(eqn.outvars, origins[args[0]])
            for inner in inner_jaxprs(eqn):  # of a checkpoint, cond, scan: its last inputs are the equation's
                pairs = list(zip(reversed(inner.invars), reversed(args), strict=False))
                marks = {v: origins[a] for v, a in pairs if a in origins}, {v for v, a in pairs if a in moving}
                walk(inner.eqns, *marks)
            if depends:
                moving |= set(eqn.outvars)

    jaxpr = problem.body.jaxpr
    walk(live(jaxpr.eqns, jaxpr.outvars[: problem.body.n_carry]), *_marks(problem))
    return found


def _blocks(caller, path, w, widths):
    d = min(w.shape) if w.ndim == 2 else 0
    if d not in widths or any(size % d for size in w.shape):
        raise ValueError(
            f"{caller}: {path!r} of the shape {w.shape} is not made of square blocks [d d] with d the width of the "
            f"carry ({sorted(widths)}); take its square part yourself and pass it to `spectrum`"
        )
    return w.reshape(d, -1, d).swapaxes(0, 1) if w.shape[0] == d else w.reshape(-1, d, d)


def _chain(problem: flat.Flat, paths, refuse) -> tuple[int, float]:
    """The matrix, as a leaf, and gamma on the one way from the carry to the next carry."""
    origins, moving = _marks(problem)
    jaxpr = problem.body.jaxpr
    matrices: list[Any] = []
    functions: list[str] = []
    for eqn in live(jaxpr.eqns, jaxpr.outvars[:1]):
        kind, inputs = eqn.primitive.name, [a for a in eqn.invars if not isinstance(a, core.Literal)]
        if kind in flat.PARTS and inputs and inputs[0] in origins:
            origins |= dict.fromkeys(eqn.outvars, origins[inputs[0]])
        through = [a for a in inputs if a in moving]
        if not through:
            continue
        moving |= set(eqn.outvars)
        if len(through) > 1:
            refuse(f"an equation {kind!r} of two values that depend on the carry")
        if kind == "dot_general":
            (w,) = [a for a in inputs if a not in through]
            contracted, batched = eqn.params["dimension_numbers"]
            plain = w in origins and len(contracted[0]) == 1 and not batched[0]
            if not plain or w.aval.shape != problem.fixed[origins[w]].shape:
                refuse("a product with a matrix that is not a whole leaf of params")
            matrices.append(origins[w])
        elif function := flat.function_of(eqn):
            functions.append(function)
        elif kind not in UNSTRETCHED and kind not in ("add", "sub"):
            refuse(f"an equation {kind!r}")
    if len(matrices) != 1:
        refuse("no matrix" if not matrices else "the matrices " + ", ".join(paths[i] for i in matrices))
    shape = problem.fixed[matrices[0]].shape
    if len(shape) != 2 or shape[0] != shape[1]:
        refuse(f"{paths[matrices[0]]!r} of the shape {shape}, which is not square")
    if len(functions) > 1:
        refuse("the nonlinearities " + ", ".join(functions))
    return matrices[0], GAMMA[functions[0]] if functions else 1.0
