"""Speed of the methods of `rnn_jax.scan` on the gradient of one layer, alternating in one process: medians and ratios.

results.json: <method>_ms/<cell>/<b>x<t>x<n>x<d>/fwdbwd/float32 (median), <method>_over_reference/<cell>/<shape>,
device; and for config.seeds tanh networks in one vmapped program under "auto": seeds_over_one/vanilla/<shape>, over the
time of one under "reference", and seeds_over_in_turn/vanilla/<shape>, over that of as many runs in turn under "auto".
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import METHODS, cells, scan, train
from rnn_jax.train.devices import over_models


def main(config: Any, workdir):
    out = {"device": f"{jax.device_count()} x {jax.devices()[0].device_kind} ({jax.devices()[0].platform})"}
    print(
        f"{'cell':8} {'b x t x n x d':>16} " + "".join(f"{m + ' ms':>14}" for m in config.methods) + "   over reference"
    )
    for shape in config.shapes:
        for name in config.cells:
            times = measure(getattr(cells, name)(), parse(shape), config)
            medians = {m: 1e3 * float(np.median(v)) for m, v in times.items()}
            # Repeats alternate, so each is divided by its neighbour: drift of a shared machine cancels.
            ratios = {m: float(np.median(np.divide(times[m], times["reference"]))) for m in times}
            out |= {f"{m}_ms/{name}/{shape}/fwdbwd/float32": round(v, 3) for m, v in medians.items()}
            out |= {f"{m}_over_reference/{name}/{shape}": round(v, 3) for m, v in ratios.items() if m != "reference"}
            row = "".join(f"{v:14.2f}" for v in medians.values())
            ends = "  ".join(f"{m} {v:.2f}" for m, v in ratios.items() if m != "reference")
            print(f"{name:8} {shape:>16} {row}   {ends}", flush=True)
    for shape in config.seed_shapes:
        times = measure_seeds(cells.vanilla(), parse(shape), config)
        over = {k: float(np.median(np.divide(times["many"], times[k]))) for k in ("one", "in turn")}
        out |= {f"seeds_over_{k.replace(' ', '_')}/vanilla/{shape}": round(v, 3) for k, v in over.items()}
        shown = f"{over['one']:.1f} x one under reference, {over['in turn']:.2f} x {config.seeds} in turn"
        print(f"{config.seeds} networks of vanilla {shape} in one vmapped program: {shown}", flush=True)
    return out


def measure(cell, shape, config):
    """Seconds of each repeat of each method: dict method -> list."""
    params, xs, gradient = problem(cell, shape, config)
    return alternate({m: lambda f=jax.jit(gradient(m)): f(params, xs) for m in config.methods}, config)


def measure_seeds(cell, shape, config):
    """The same with config.seeds networks in one vmapped program (many), with one (one), and with as many in turn."""
    params, xs, gradient = problem(cell, shape, config)
    stack = lambda a: jnp.stack([a] * config.seeds)
    every, every_xs = jax.tree.map(stack, params), stack(xs)
    one, auto, many = (
        jax.jit(gradient("reference")),
        jax.jit(gradient("auto")),
        jax.jit(lambda *a: over_models(lambda m: gradient("auto")(*m), a)),
    )
    calls = {
        "one": lambda: one(params, xs),
        "many": lambda: many(every, every_xs),
        "in turn": lambda: [auto(params, xs) for _ in range(config.seeds)],
    }
    return alternate(calls, config)


def problem(cell, shape, config):
    """(params, xs, method -> gradient function) of a layer and a random linear loss."""
    b, t, n, d = shape
    keys = jax.random.split(jax.random.key(config.seed), 3)
    params, carry = cell.init(keys[0], n, d), cell.carry(b, d)
    xs, weight = jax.random.normal(keys[1], (t, b, n)), jax.random.normal(keys[2], (t, b, d))

    def gradient(method):
        loss = lambda p, xs: jnp.sum(weight * scan(cell.step, p, carry, xs, method=method)[1])
        return jax.grad(loss, (0, 1))

    return params, xs, gradient


def alternate(calls, config):
    """Seconds of each call of each function, in turn, so that drift of a shared machine meets all: dict -> list."""
    for f in calls.values():
        jax.block_until_ready(f())  # compiles
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    for i in range(config.repeats):
        if i >= 5 and time.perf_counter() - began > config.seconds_per_shape:
            break
        for name, f in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(f())
            times[name].append(time.perf_counter() - start)
    return times


def parse(shape):
    try:
        b, t, n, d = (int(s) for s in shape.split("x"))
    except ValueError:
        raise ValueError(f"config.shapes: {shape!r}; want b x t x n x d, such as 20x200x6x50") from None
    return b, t, n, d


def check(config):
    for shape in (*config.shapes, *config.seed_shapes):
        parse(shape)
    if unknown := [c for c in config.cells if not callable(getattr(cells, c, None))]:
        raise ValueError(f"config.cells: {unknown[0]!r} is not in rnn_jax.cells")
    if unknown := [m for m in config.methods if m not in (*METHODS, "auto")]:
        raise ValueError(f"config.methods: {unknown[0]!r}; want some of auto, {', '.join(METHODS)}")
    if "reference" not in config.methods or config.repeats < 1 or config.seeds < 1:
        raise ValueError("config.methods must hold reference, to compare with; config.repeats and seeds at least 1")


if __name__ == "__main__":
    train.cli.run(main, study="speed", check=check)
