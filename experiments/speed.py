"""Speed of the methods of `rnn_jax.scan` on the gradient of one layer, alternating in one process: medians and ratios.

results.json: <method>_ms/<cell>/<b>x<t>x<n>x<d>/fwdbwd/float32 (median), <method>_over_reference/<cell>/<shape>,
device.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import METHODS, cells, scan, train


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
    return out


def measure(cell, shape, config):
    """Seconds of each repeat of each method: dict method -> list."""
    b, t, n, d = shape
    keys = jax.random.split(jax.random.key(config.seed), 3)
    params, carry = cell.init(keys[0], n, d), cell.carry(b, d)
    xs, weight = jax.random.normal(keys[1], (t, b, n)), jax.random.normal(keys[2], (t, b, d))

    def gradient(method):
        loss = lambda p, xs: jnp.sum(weight * scan(cell.step, p, carry, xs, method=method)[1])
        return jax.jit(jax.grad(loss, (0, 1)))

    steps = {m: gradient(m) for m in config.methods}
    for f in steps.values():
        jax.block_until_ready(f(params, xs))  # compiles
    times: dict[str, list[float]] = {m: [] for m in steps}
    began = time.perf_counter()
    for i in range(config.repeats):
        if i >= 5 and time.perf_counter() - began > config.seconds_per_shape:
            break
        for m, f in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(f(params, xs))
            times[m].append(time.perf_counter() - start)
    return times


def parse(shape):
    try:
        b, t, n, d = (int(s) for s in shape.split("x"))
    except ValueError:
        raise ValueError(f"config.shapes: {shape!r}; want b x t x n x d, such as 20x200x6x50") from None
    return b, t, n, d


def check(config):
    for shape in config.shapes:
        parse(shape)
    if unknown := [c for c in config.cells if not callable(getattr(cells, c, None))]:
        raise ValueError(f"config.cells: {unknown[0]!r} is not in rnn_jax.cells")
    if unknown := [m for m in config.methods if m not in (*METHODS, "auto")]:
        raise ValueError(f"config.methods: {unknown[0]!r}; want some of auto, {', '.join(METHODS)}")
    if "reference" not in config.methods or config.repeats < 1:
        raise ValueError("config.methods must hold reference, to compare with; config.repeats at least 1")


if __name__ == "__main__":
    train.cli.run(main, study="speed", check=check)
