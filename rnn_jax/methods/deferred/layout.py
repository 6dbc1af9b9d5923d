"""In which layout the loop multiplies by a weight.

    rows      z   = h @ W       W [k m] as it is        dh   = dz @ W^T    W^T [m k], laid out before the loop
    columns   z^T = W^T @ h^T   W^T [m k]               dh^T = W @ dz^T    W [k m] as it is

Rows are the rule; W^T is laid out because XLA:CPU takes 1.3 times as long where both operands are summed over their
last axis. Columns are for few rows and a large weight on a CPU, where the same product then takes 0.4 to 0.9 of the
time, with h^T and z transposed back. Measured 2026-11-25, jax 0.10.2, an LSTM's h @ W [d 4d] and its gates, in us a
step, rows / columns:

              b   8           16          32           64
    2 cores   d = 256   102 / 85    147 / 128   253 / 277    472 / 518
              d = 512   230 / 155   382 / 286   809 / 622    1061 / 1073
    1 core    d = 256   105 / 74    205 / 146   333 / 248    536 / 494
              d = 512   438 / 261   723 / 422   1895 / 960   2082 / 1932

On 2 cores 971 / 586 at b = 16, d = 768 and 5129 / 2421 at b = 32, d = 1024. Not where b is no multiple of 8 (345 / 562
at b = 10, d = 512), nor at 128 rows (2460 / 2807). That was an Intel with AVX-512 and AMX. On an AMD of 2026-11-27 (Zen
5) rows take this much of the gradient's time with columns, at d = 512 with n = 256 (n = 512 where b = 8), and at 768:

    b           8      16     32     64     16, n = d = 768
    LSTM 4d     0.97   0.97   0.95   0.98   1.01
    GRU  3d     1.00   0.94   0.88   0.83   0.93
    tanh d      0.81   0.83   0.66   0.76   0.82

So columns are for at most 32 rows and weights that are WIDE: there the Intel gains (measured at 4d) more than the AMD
loses.
"""
# pyright: reportAttributeAccessIssue=false, reportPrivateImportUsage=false, reportOptionalMemberAccess=false
# (the types of jaxprs, and of jax.config, are not in JAX's annotations)

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from rnn_jax.methods.deferred.placement import size
from rnn_jax.methods.deferred.rewriting import spliced

ROWS, LARGE, WIDE = range(8, 33, 8), 2**20, 3  # rows on one device; bytes of a weight, its longer side over the other
LONG = 4096  # numbers in a sum over a leading axis


def is_matrix_product(eqn) -> bool:
    if eqn.primitive.name != "dot_general" or [a.aval.ndim for a in eqn.invars] != [2, 2]:
        return False
    contract, batch = eqn.params["dimension_numbers"]
    return len(contract[0]) == 1 and not batch[0]


def by_columns(eqn, w: int) -> bool:
    """Is this product with the weight at operand w better taken as columns?"""
    if not is_matrix_product(eqn) or jax.default_backend() != "cpu" or eqn.outvars[0].aval.dtype != jnp.float32:
        return False
    rows = eqn.outvars[0].aval.shape[w - 1]  # of [r m] where W is the second operand, of [m r] where it is the first
    short, long = sorted(eqn.invars[w].aval.shape)
    large = size(eqn.invars[w]) >= LARGE and long >= WIDE * short
    return large and rows % jax.device_count() == 0 and rows // jax.device_count() in ROWS


def is_turned(eqn, w: int) -> bool:
    """Does `multiply` want the transpose of the weight?"""
    return is_matrix_product(eqn) and eqn.params["dimension_numbers"][0][w] == ((0,) if by_columns(eqn, w) else (1,))


def turn(weight):
    """The transpose, in memory: without the barrier XLA would undo it."""
    return lax.optimization_barrier(weight.T)


def multiply(eqn, w: int, operand, weight):
    """The matrix product of an equation, its weight transposed where `is_turned` says so."""
    (contract, _), hold = eqn.params["dimension_numbers"], lax.optimization_barrier
    kwargs = {k: eqn.params[k] for k in ("precision", "preferred_element_type")}
    if by_columns(eqn, w):
        columns = operand if contract[1 - w] == (0,) else hold(operand.T)
        product = hold(lax.dot_general(weight, columns, (((1,), (0,)), ((), ())), **kwargs))
        return product if w == 0 else hold(product.T)
    c = contract[1 - w]
    one, two, dims = (operand, weight, (c, (0,))) if w == 1 else (weight, operand, ((0,), c))
    return lax.dot_general(one, two, (dims, ((), ())), **kwargs)


def turn_products(jaxpr: core.Jaxpr, weights):
    """The jaxpr with every product with one of its inputs `weights` as `multiply` has it.

    Returns it, the transposes it wants as its last invars, and the values in `weights` (a dict) that these are of.
    """
    eqns, turned = [], {}
    for eqn in jaxpr.eqns:
        known = [not isinstance(a, core.Literal) and a in weights for a in eqn.invars]
        w = known.index(True) if known.count(True) == 1 and is_matrix_product(eqn) else None
        if w is None or not (by_columns(eqn, w) or is_turned(eqn, w)):
            eqns.append(eqn)
            continue
        weight = eqn.invars[w]
        if is_turned(eqn, w):
            weight = turned.setdefault(weight, core.Var(weight.aval.update(shape=weight.aval.shape[::-1])))
        eqns += spliced(lambda *a, eqn=eqn, w=w: multiply(eqn, w, *a), [eqn.invars[1 - w], weight], eqn.outvars[0])
    return jaxpr.replace(eqns=eqns, invars=[*jaxpr.invars, *turned.values()]), [weights[a] for a in turned]


def sum_by_product(jaxpr: core.Jaxpr):
    """The jaxpr with sums over a leading axis, [s b d] -> [b d], as products with ones: on a CPU XLA takes 1.2 to 34
    times as long for the sum where the result is large (3.19 ms, not 0.21, from 49 x 64 x 384; 182, not 5.3, from
    256 x 64 x 2048; 2026-11-28, jax 0.10.2, an Intel)."""
    if jax.default_backend() != "cpu":
        return jaxpr
    eqns = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "reduce_sum" and eqn.params["axes"] == (0,) and by_product(eqn.invars[0].aval):
            eqns += spliced(lambda a: sum_over_time(a, a.dtype), eqn.invars, eqn.outvars[0])
        else:
            eqns.append(eqn)
    return jaxpr.replace(eqns=eqns)


def by_product(a) -> bool:
    """Is the sum over the leading axis sooner had as a product?"""
    return jax.default_backend() == "cpu" and a.dtype == jnp.float32 and a.ndim > 2 and a.size >= LONG * a.shape[0] > 0


def sum_over_time(a, dtype):
    """The sum over the leading axis."""
    return jnp.tensordot(jnp.ones(len(a), a.dtype), a, 1) if by_product(a) else jnp.sum(a, 0, dtype=dtype)
