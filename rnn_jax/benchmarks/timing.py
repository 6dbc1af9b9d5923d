"""Timing on a shared machine: in turn, so that its drift meets every contender; ratios of neighbours, then medians."""

import time

import jax
import jax.numpy as jnp
import numpy as np


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


def layer_flops(gates: int, shape, backward: bool) -> float:
    """Of the matrix products of a layer b t n d with g gates: 2 b t (n + d) g d; three times that with gradients."""
    b, t, n, d = shape
    return 2.0 * b * t * (n + d) * gates * d * (3 if backward else 1)
