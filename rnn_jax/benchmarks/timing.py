"""Timing on a shared machine: in turn, so that its drift meets every contender; ratios of neighbours, then medians."""

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax.cells.base import Cell
from rnn_jax.tracing import inner_jaxprs


def alternate(calls, repeats: int, seconds: float, at_least=5):
    """Seconds of each call of each function, in turn: dict name -> list. `repeats` rounds after one that compiles, and
    no new round after `seconds`, once there were `at_least`. Each round has another order: who comes after torch, whose
    threads still spin when it has returned, would pay for it every time."""
    order, random = list(calls), np.random.default_rng(0)
    for f in calls.values():
        f()
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for i in range(repeats):
        if i >= at_least and time.perf_counter() - began > seconds:
            break
        for name in random.permutation(order):
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
    return times


def ratio(times, name, over) -> float:
    """The median of the ratios of neighbours: what one took over what the other took beside it."""
    return float(np.median(np.divide(times[name], times[over])))


def gemm_peak(dtype=jnp.float32, sizes=(512, 1024, 2048), repeats=7) -> float:
    """The best GFLOP/s that a square matrix product reaches here."""
    best = 0.0
    for n in sizes:
        a = jnp.ones((n, n), dtype)
        product = jax.jit(lambda a: a @ a)
        times = alternate({"": lambda: jax.block_until_ready(product(a))}, repeats, 2.0)[""]
        best = max(best, 2 * n**3 / min(times) / 1e9)
    return best


def layer_flops(cell: Cell, shape, backward: bool) -> float:
    """Of the matrix products of a layer b t n d, as the equations of its step have them: 2 b t (n + d) 4 d for an LSTM;
    three times that with gradients."""
    b, t, n, d = shape
    params = jax.eval_shape(lambda: cell.init(jax.random.key(0), n, d))
    carry, x = jax.eval_shape(lambda: (cell.carry(b, d), jnp.zeros((b, n))))
    step = jax.make_jaxpr(cell.step)(params, carry, x)

    def flops(jaxpr) -> int:
        total = sum(flops(inner) for eqn in jaxpr.eqns for inner in inner_jaxprs(eqn))
        for eqn in jaxpr.eqns:
            if eqn.primitive.name == "dot_general" and (along := eqn.params["dimension_numbers"][0][0]):
                summed = math.prod(eqn.invars[0].aval.shape[i] for i in along)
                total += 2 * math.prod(eqn.outvars[0].aval.shape) * summed
        return total

    return float(t * flops(step.jaxpr) * (3 if backward else 1))
