"""Gradients four ways, in float64: BPTT by hand, autodiff of both methods of `rnn_jax.scan`, central differences.

    python -m experiments.gradient_check

E = sum dys * ys + sum dcarry * h_T with fixed random dys, dcarry: each way sees the same cotangents. Every array of
(dparams, dcarry0, dxs) is compared with autodiff of method "reference": error = max |a - b| / max |b|, b the reference.

results.json: max_rel_error_bptt, max_rel_error_deferred, max_rel_error_numeric, the worst over cells, masks and arrays;
cases (cells x masks); seconds. Exit code 1, and no results, if one is over its limit.
"""

import contextlib
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu, sigmoid

from rnn_jax import bptt, cells, scan, train

CELLS = {  # name -> the cell, its function in rnn_jax.bptt, the keywords of that
    "tanh": (cells.vanilla(), "vanilla", {}),
    "sigmoid": (cells.vanilla(sigmoid), "vanilla", {"activation": sigmoid}),
    "relu": (cells.vanilla(relu), "vanilla", {"activation": relu}),
    "irnn": (cells.irnn(), "vanilla", {"activation": relu}),
    "lstm": (cells.lstm(), "lstm", {}),
    "gru": (cells.gru(), "gru", {}),
    "gru_after": (cells.gru(reset_after=True), "gru", {"reset_after": True}),
}
MASKS = ("full", "lengths", "resets", "both", "reverse", "reverse both")
LIMITS = {"bptt": 1e-10, "deferred": 1e-10, "numeric": 1e-6}


class Disagreement(Exception):
    """Two ways to the same gradient differ: the program has failed, not its user."""

    exit_code = 1


def main(config: Any, workdir):
    del workdir  # results.json is all there is to keep
    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    where = "every mask" if set(config.numeric_masks) == set(MASKS) else ", ".join(config.numeric_masks)
    print(f"max |a - b| / max |b|, b by autodiff of the reference; central differences (numeric) for {where}")
    errors = {}  # (way, cell, masks, array) -> error
    with table("cell", "masks", *LIMITS, "") as row:
        for name in config.cells:
            for masks, kwargs in all_masks(config).items():
                found = compare(name, kwargs, config, numeric=masks in config.numeric_masks)
                worst = {way: np.max(list(e.values())) for way, e in found.items()}  # a NaN stays one
                fine = all(worst[way] <= LIMITS[way] for way in worst)
                shown = [f"{worst[way]:.1e}" if way in worst else "-" for way in LIMITS]
                row(name, masks, *shown, "" if fine else "DISAGREES")
                errors |= {(way, name, masks, array): e for way in found for array, e in found[way].items()}
    over = {k: e / LIMITS[k[0]] for k, e in errors.items() if not e <= LIMITS[k[0]]}
    if over:
        way, name, masks, array = at = max(over, key=lambda k: np.nan_to_num(over[k], nan=np.inf))
        raise Disagreement(
            f"{name} with masks {masks!r}: {array} by {way} is off by {errors[at]:.1e}, allowed {LIMITS[way]:.0e}; "
            f"{len({k[:3] for k in over})} comparisons over their limits"
        )
    out = {f"max_rel_error_{way}": max(e for k, e in errors.items() if k[0] == way) for way in LIMITS}
    cases = len({k[1:3] for k in errors})
    return out | {"cases": cases, "seconds": round(time.perf_counter() - began, 1)}


def compare(name, masks, config, *, numeric):
    """way -> array -> error."""
    cell, by_hand, kwargs = CELLS[name]
    args, dys, dcarry = problem(cell, config)

    def energy(method):
        def E(args):
            out = scan(cell.step, *args, method=method, **masks)  # carry, ys
            pairs = zip(jax.tree.leaves(out), jax.tree.leaves((dcarry, dys)), strict=True)
            return sum(jnp.vdot(u, v) for u, v in pairs)

        return E

    @jax.jit
    def gradients(args):
        return {
            "bptt": getattr(bptt, by_hand)(*args, dys, dcarry, **kwargs, **masks),
            "deferred": jax.grad(energy("deferred"))(args),
            "reference": jax.grad(energy("reference"))(args),
        }

    found = gradients(args)
    if numeric:  # one chunk where it fits: the remainder of a last chunk would be compiled again
        size = sum(a.size for a in jax.tree.leaves(args))
        found["numeric"] = bptt.numeric_gradient(energy("reference"), args, config.eps, chunk=min(size, 1024))
    want = found.pop("reference")
    return {way: relative_errors(got, want) for way, got in found.items()}


def problem(cell, config):
    """(params, carry, xs), dys, dcarry. The params are the cell's own plus noise, so that no bias is zero."""
    rng = np.random.default_rng(config.seed)
    normal = lambda *shape: jnp.asarray(rng.normal(size=shape))
    params = cell.init(jax.random.key(config.seed), config.n, config.d, jnp.float64)
    params = jax.tree.map(lambda a: a + 0.1 * normal(*a.shape), params)
    carry, dcarry = (jax.tree.map(lambda a: normal(*a.shape), cell.carry(config.b, config.d)) for _ in range(2))
    args = params, carry, normal(config.t, config.b, config.n)
    return args, normal(config.t, config.b, config.d), dcarry


def all_masks(config):
    """masks -> keywords of `scan` and of `bptt`. Lengths go from 0 to t; marks stand anywhere, past a length too."""
    rng = np.random.default_rng(config.seed)
    lengths = {"lengths": np.linspace(0, config.t, config.b).astype(int)}
    resets = {"resets": rng.random((config.t, config.b)) < 0.2}
    reverse = {"reverse": True}
    kwargs = {}, lengths, resets, lengths | resets, reverse, lengths | resets | reverse
    return dict(zip(MASKS, kwargs, strict=True))


def relative_errors(got, want):
    """array -> max |a - b| / max |b|. Of args and of gradients the order is params, carry, xs."""
    names = ("dparams", "dcarry0", "dxs")
    got, want = (dict(zip(names, tree, strict=True)) for tree in (got, want))

    def error(a, b):
        a, b = np.asarray(a), np.asarray(b)
        return float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0)) if a.shape == b.shape else np.inf

    errors = jax.tree_util.tree_leaves_with_path(jax.tree.map(error, got, want))
    return {jax.tree_util.keystr(path, simple=True, separator="."): e for path, e in errors}


@contextlib.contextmanager
def table(*heads):
    """with table("a", "b") as row: row("1", "2"). It grows on a terminal; elsewhere, plain lines."""
    if sys.stdout.isatty():
        from rich.live import Live
        from rich.table import Table

        shown = Table(*heads)
        with Live(shown):
            yield shown.add_row
    else:
        row = lambda *values: print(" ".join(f"{v:12}" for v in values).rstrip(), flush=True)
        row(*heads)
        yield row


def check(config):
    some_of = {"cells": CELLS, "numeric_masks": MASKS}
    train.require(config, some_of=some_of, at_least={1: "t n d", 2: "b"})  # b: lengths go from 0 to t
    if not config.eps > 0:
        raise ValueError(f"config.eps={config.eps}: want a step above 0, such as 1e-5")


if __name__ == "__main__":
    train.cli.run(main, study="gradient_check", check=check)
