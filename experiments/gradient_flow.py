"""Why recurrent gradients vanish and explode: cells, recurrent scales, lags, training, clipping, optimisers, inits.

    python -m experiments.gradient_flow [--config.parts="('initial',)"] [--config.init_from=RUN/training/tanh]

Each part writes its picture to figures/<part>.png. Seeds run together in one vmapped program: lines are medians, bands
the range over seeds.

    linear      ||dh_t/dh_0|| of the tanh network at h = 0, x = 0, against spectral_radius^t; the same, driven by noise
    partials    the sum form of BPTT: immediate partials add up to autodiff's gradient, for every cell, in float64
    initial     the gradient of a loss at the last step against the lag, cells x recurrent scales, untrained
    training    the memory task: what the gradient's reach, the recurrent matrices' eigenvalues and singular values, and
                the gates do while it is learned (figures training and eigenvalues)
    clipping    the history of the gradient's norm, unclipped, clipped by value and by norm
    optimizers  SGD, momentum, Adagrad, RMSProp, Adam        inits   Glorot, He, orthogonal, identity

results.json: log10_slope_error_max (absolute, between lags 100 and 200), log10_norm_rho<r>_lag200,
immediate_partials_error_max (relative), accuracy_<part>/<run> (mean over seeds), probe_share/<run>, seeds, seconds.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import relu, sigmoid

from experiments.memory_runs import about, accuracies, compare, draw, history, learn, radius_of, series, share
from rnn_jax import cells, gradients, plots, scan, train
from rnn_jax.cells import initializers
from rnn_jax.checking import double_precision
from rnn_jax.gradients import pictures

gaussian = initializers.normal(1.0)  # then scaled to a spectral radius
CELLS = {
    "tanh": cells.vanilla(wh_init=gaussian),
    "orthogonal tanh": cells.vanilla(wh_init=initializers.orthogonal()),
    "sigmoid": cells.vanilla(sigmoid, wh_init=gaussian),
    "relu": cells.vanilla(relu, wh_init=gaussian),
    "irnn": cells.irnn(),
    "lstm": cells.lstm(forget_bias=0.0, wh_init=gaussian),
    "lstm forget bias 1": cells.lstm(forget_bias=1.0, wh_init=gaussian),
    "gru": cells.gru(wh_init=gaussian),
}
INITS = {
    "glorot": initializers.glorot(), "he": initializers.he(), "orthogonal": initializers.orthogonal(),
    "identity": initializers.identity(),
}  # fmt: skip


def main(config: Any, workdir):
    began, out = time.perf_counter(), {}
    for name in config.parts:
        print(f"\n{name}", flush=True)
        out |= PARTS[name](config, workdir)
    return out | {"seeds": config.seeds, "seconds": round(time.perf_counter() - began, 1)}


# -------------------------------------------------------------------------------------------------- at initialisation


def linear(config, workdir):
    """At h = 0 the Jacobian is W itself: its products grow by the spectral radius a step, in the long run."""
    cell, t, out = CELLS["tanh"], config.lag, {}
    figure, axes = plots.panels(1, 2, sharey=True, title=f"Products of Jacobians, tanh, {config.width} units")
    drive = config.drive * jax.random.normal(jax.random.key(config.seed), (t, 1, config.width))
    probe = lambda p, xs: gradients.jacobian_product_log10norms(cell.step, p, cell.carry(1, config.width), xs)[:, 0]
    probe = jax.jit(jax.vmap(probe, (0, None)))
    base = train.over_seeds(lambda key: draw(cell, key, config.width, config.width, 1.0), config)
    for colour, rho in zip(shades(config.scales), config.scales, strict=True):
        params = base | {"wh": rho * base["wh"]}
        norms = {
            "linear": np.asarray(probe(params, 0 * drive)),
            "driven": np.asarray(probe(params, drive)),
        }  # [seeds t]
        out[f"log10_norm_rho{rho:g}_lag{t}"] = float(np.median(norms["linear"][:, -1]))
        slope = (norms["linear"][:, 199] - norms["linear"][:, 99]) / 100 if t >= 200 else np.nan
        out[f"log10_slope_error/rho{rho:g}"] = float(np.max(np.abs(slope - np.log10(rho))))
        for ax, values in zip(axes[0], norms.values(), strict=True):
            plots.band(ax, np.arange(1, t + 1), values, color=colour, label=f"{rho:g}")
    lags = np.arange(1, t + 1)
    for rho in config.scales:
        axes[0, 0].plot(lags, lags * np.log10(rho), "k:", linewidth=0.8)
    axes[0, 0].set(title="$h = 0$: dotted, (spectral radius)$^l$", xlabel="lag $l$ (steps)")
    axes[0, 0].set_ylabel(r"$\|\partial h_l / \partial h_0\|_2$")
    axes[0, 1].set(title=f"inputs N(0, {config.drive:g}$^2$): saturation", xlabel="lag $l$ (steps)")
    axes[0, 1].legend(frameon=False, title="spectral radius", fontsize="small")
    pictures.powers(axes[0, 0].yaxis)
    plots.save(figure, workdir / "figures/linear.png")
    errors = [v for k, v in out.items() if k.startswith("log10_slope_error/")]
    return out | {"log10_slope_error_max": max(errors)}


def partials(config, workdir):
    """dE/dw = sum_k dE/dh_k d+h_k/dw, against autodiff; relative to the largest entry of each array."""
    del workdir
    worst = 0.0
    every = CELLS | {"gru reset after": cells.gru(reset_after=True)}
    with double_precision():
        for name, cell in every.items():
            params = cell.init(jax.random.key(config.seed), 3, 8, jnp.float64)
            xs = jax.random.normal(jax.random.key(1), (30, 4, 3), jnp.float64)
            target = jax.random.normal(jax.random.key(2), (30, 4, 8), jnp.float64)
            carry, loss = cell.carry(4, 8, jnp.float64), lambda ys, target=target: jnp.mean((ys - target) ** 2)

            def both(params, step=cell.step, carry=carry, xs=xs, loss=loss):
                energy = lambda p: loss(scan(step, p, carry, xs)[1])
                return gradients.immediate_partials(step, params, carry, xs, loss), jax.grad(energy)(params)

            terms, want = jax.jit(both)(params)
            error = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a.sum(0) - b)) / jnp.max(jnp.abs(b))), terms, want)
            worst = max(worst, *jax.tree.leaves(error))
            print(f"{name:20} sum of immediate partials against autodiff {max(jax.tree.leaves(error)):.1e}", flush=True)
    return {"immediate_partials_error_max": worst}


def initial(config, workdir):
    """||dE_T/dh_k|| for E_T = <v, y_T> with a random v, from T back to T - lag; h_k the whole state.

    A line ends where the gradient is exactly 0: no ReLU is on.
    """
    t, d, n = config.lag + 1, config.width, 6
    xs = config.drive * jax.random.normal(jax.random.key(config.seed), (t, 1, n))
    v = jax.random.normal(jax.random.key(config.seed + 1), (1, d))
    columns = 4
    rows = -(-len(config.cells) // columns)
    title = f"Gradient against lag at initialisation, {config.seeds} seeds, inputs N(0, {config.drive:g}$^2$)"
    figure, axes = plots.panels(rows, columns, height=2.7 * rows + 0.8, sharex=True, sharey=True, title=title)
    for ax, name in zip(axes.flat, config.cells, strict=False):
        cell = CELLS[name]
        probe = lambda p, cell=cell: gradients.influence(
            cell.step, p, cell.carry(1, d), xs, lambda ys: jnp.vdot(v, ys[-1]), name=None, rows=(-1,)
        )
        probe = jax.jit(jax.vmap(probe))
        base = train.over_seeds(lambda key, cell=cell: draw(cell, key, n, d, 1.0), config)
        for colour, rho in zip(shades(config.scales), config.scales, strict=True):
            back = np.asarray(probe(base | {"wh": rho * base["wh"]}))[:, 0, ::-1]  # [seeds lag]
            sizes = np.where(np.isfinite(back), back - back[:, :1], np.nan)
            plots.band(ax, np.arange(t), sizes, color=colour, label=f"{rho:g}")
        ax.set_title(name, fontsize="medium")
    axes[0, 0].set_ylim(-40, 40)
    pictures.powers(axes[0, 0].yaxis)
    for ax in axes.flat[len(config.cells) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("lag (steps)")
    for ax in axes[:, 0]:
        ax.set_ylabel("relative size")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, title="recurrent scale", loc="outside lower center", ncols=len(labels), frameon=False
    )
    plots.save(figure, workdir / "figures/initial.png")
    return {}


# --------------------------------------------------------------------------------------------------- through training


def training(config, workdir):
    """Four rows: the loss, the reach of the last output's gradient, the recurrent matrices, the saturated share."""
    runs = {n: learn(config, workdir / "training" / n, CELLS[n], rho=config.train_scale) for n in config.train_cells}
    title = f"recurrent scale {config.train_scale:g}, {about(config)}"
    figure, axes = plots.panels(4, len(runs), height=9.5, sharex=True, sharey="row", title=title)
    images = []
    for column, (name, rows) in zip(axes.T, runs.items(), strict=True):
        loss, reach, spectra, gates = column
        history(loss, rows, "train_loss")
        loss.axhline(np.log(config.task.symbols), color="k", linestyle=":", linewidth=1)
        loss.set(title=name, ylim=(0, None))
        steps, sizes = series(rows, "reach")  # [rows seeds k]
        sizes = np.median(sizes[..., ::-1], axis=1).T  # [lag rows], median over seeds
        images.append(reach.pcolormesh(steps, np.arange(len(sizes)), sizes, vmin=-6, vmax=1, shading="nearest"))
        reach.grid(False)
        for ax, kinds in {spectra: ("radius", "sigma_max"), gates: ("saturated",)}.items():
            for key in [k for k in rows[-1] if k.startswith(kinds)]:
                history(ax, rows, key, label=key.removeprefix("saturated ").replace("_", " "))
            ax.legend(frameon=False, fontsize="x-small", handlelength=1, loc="upper left")
        gates.set(xlabel="updates")
    labels = "loss (nats)", "lag (steps)", "radius, $\\sigma_{max}$", "share saturated"
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)
    bar = figure.colorbar(images[0], ax=list(axes[1]), extend="both", label=r"$\|\partial E_T/\partial h_{T-l}\|$")
    pictures.powers(bar.ax.yaxis)
    plots.save(figure, workdir / "figures/training.png")
    eigenvalues(runs, workdir / "figures/eigenvalues.png")
    return accuracies("training", runs) | {f"probe_share/{n}": share(rows) for n, rows in runs.items()}


def eigenvalues(runs, path):
    """Of the recurrent matrices at the first and at the last probe, all seeds and gates; and their singular values."""
    figure, axes = plots.panels(2, len(runs), height=6.5, title="Recurrent matrices: eigenvalues, singular values")
    for (plane, bars), (name, rows) in zip(axes.T, runs.items(), strict=True):
        probed = [row for row in rows if "reach" in row]
        moments = {f"update {row['step']}": row for row in (probed[0], probed[-1])}
        found = {k: np.concatenate([np.array(v) for n, v in row.items() if n.startswith("eigenvalues")], axis=-1)
                 for k, row in moments.items()}  # fmt: skip
        pictures.plane(plane, {k: v[:, 0] + 1j * v[:, 1] for k, v in found.items()})
        pictures.histogram(bars, {k: row["singular_values wh"] for k, row in moments.items()})
        plane.set(title=name, xlabel="", ylabel="")
        plane.get_legend().remove()  # the histogram's says it
        bars.set(title="", ylabel="")
    axes[0, 0].set_ylabel("imaginary against real part")
    axes[1, 0].set_ylabel("share")
    plots.save(figure, path)


def clipping(config, workdir):
    runs = {}
    for kind in ("none", "value", "norm"):
        optimizer = dict(config.clipping) | {"clip": kind}
        cell = cells.vanilla(wh_init=radius_of(config.clipping_scale))
        label = "unclipped" if kind == "none" else f"by {kind} {config.clipping.threshold:g}"
        runs[label] = learn(config, workdir / "clipping" / kind, cell, optimizer)
    return compare("clipping", runs, config, workdir, f"SGD, tanh, spectral radius {config.clipping_scale:g}")


def optimizers(config, workdir):
    runs = {}
    for name, optimizer in config.optimizers.items():
        runs[f"{name} {optimizer.rate:g}"] = learn(
            config, workdir / "optimizers" / name, CELLS["orthogonal tanh"], dict(optimizer) | {"name": name}
        )
    return compare("optimizers", runs, config, workdir, "orthogonal tanh")


def inits(config, workdir):
    runs = {}
    for name, init in INITS.items():
        runs[name] = learn(config, workdir / "inits" / name, cells.vanilla(wh_init=init))
    return compare("inits", runs, config, workdir, f"tanh, {config.optimizer.name}")


def shades(values):
    """Blue below 1, black at 1, red above: the farther, the lighter."""
    from matplotlib import colormaps

    far = max(abs(np.log(v)) for v in values) or 1.0
    colour = lambda x: "black" if abs(x) < 1e-9 else colormaps["Reds" if x > 0 else "Blues"](0.95 - 0.5 * abs(x))
    return [colour(np.log(v) / far) for v in values]


PARTS = {f.__name__: f for f in (linear, partials, initial, training, clipping, optimizers, inits)}


def check(config):
    train.require(
        config,
        some_of={"parts": PARTS, "cells": CELLS, "train_cells": CELLS},
        at_least={1: "seeds batch lag task.length task.lag", 2: "width task.symbols", 0: "probe_every"},
    )
    if "linear" in config.parts and config.lag < 200:
        raise ValueError(f"config.lag={config.lag}: the slope is taken between lags 100 and 200, want at least 200")
    if min(config.scales) <= 0:
        raise ValueError(f"config.scales={config.scales}: want spectral radii above 0")


if __name__ == "__main__":
    train.cli.run(main, study="gradient_flow", check=check)
