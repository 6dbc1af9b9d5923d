"""The wall in the error surface of a one-unit network, and what clipping does there (Pascanu et al., 2013, Fig. 6).

    python -m experiments.error_wall

x_t = w s(x_{t-1}) + b, s the logistic function, x_0 = 0.5; E = (s(x_50) - 0.7)^2 as a function of (w, b), in float64.
Where the state is about to leave one attractor for another, 50 steps multiply a small change of b by thousands: E has a
wall. Gradient descent walks down the valley in front of it; the first point that falls on the wall throws an unclipped
step far away, and a clipped one on by rate * threshold.

A trajectory "stays" if every point of it lies in the window of the grid and its last error is below config.solved;
it "leaves" if a point lies outside the window.

results.json: max_gradient, argmax_w, argmax_b (largest gradient norm on the grid, and where), share_above_one (of the
grid's gradient norms), median_gradient, error_min, error_max, clipped_stays, unclipped_leaves, and over a grid of other
starts: starts, share_clipped_stays, share_unclipped_leaves; seconds.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import sigmoid

from rnn_jax import plots, scan, train
from rnn_jax.checking import double_precision
from rnn_jax.gradients import pictures


def main(config: Any, workdir):
    began = time.perf_counter()
    with double_precision():
        w, b, error, norm = surface(config)
        at = np.unravel_index(np.argmax(norm), norm.shape)
        start = jnp.array([config.start])
        paths = {clip: np.asarray(descend(config, start, clip))[0] for clip in ("norm", "none")}
        ends = {clip: float(energy(jnp.asarray(path[-1]), config)) for clip, path in paths.items()}
        shares = robustness(config)
    out = {
        "max_gradient": float(norm.max()), "argmax_w": float(w[at[0]]), "argmax_b": float(b[at[1]]),
        "share_above_one": float(np.mean(norm > 1)), "median_gradient": float(np.median(norm)),
        "error_min": float(error.min()), "error_max": float(error.max()),
        "clipped_stays": bool(inside(config, paths["norm"]).all() and ends["norm"] < config.solved),
        "unclipped_leaves": bool(not inside(config, paths["none"]).all()),
        "clipped_error": ends["norm"], "unclipped_error": ends["none"],
    }  # fmt: skip
    draw_map(config, w, b, error, norm, paths, workdir / "figures/map.png")
    draw_surface(config, w, b, error, paths, workdir / "figures/surface.png")
    for k, v in (out | shares).items():
        print(f"{k:24} {v:.6g}" if not isinstance(v, bool) else f"{k:24} {v}", flush=True)
    return out | shares | {"seconds": round(time.perf_counter() - began, 1)}


def step(params, x, _):
    w, b = params
    return w * sigmoid(x) + b, None


def energy(params, config):
    x = scan(step, params, jnp.asarray(0.5, params.dtype), length=config.unroll)[0]
    return (sigmoid(x) - 0.7) ** 2


def surface(config):
    """(w, b, E, |dE/d(w, b)|) on the grid: [w], [b], [w b], [w b]."""
    w, b = (np.linspace(low, high, n) for (low, high), n in zip((config.w, config.b), config.grid, strict=True))
    points = jnp.stack(jnp.meshgrid(w, b, indexing="ij"), axis=-1).reshape(-1, 2)
    error, gradient = jax.jit(jax.vmap(jax.value_and_grad(lambda p: energy(p, config))))(points)
    shape = len(w), len(b)
    return w, b, np.asarray(error).reshape(shape), np.linalg.norm(gradient, axis=-1).reshape(shape)


def descend(config, starts, clip):
    """Gradient descent from each start [s 2]: points [s steps + 1, 2]. clip: "norm" (Algorithm 1) or "none"."""
    clipper = train.optim.CLIPS[clip](config.threshold)

    def update(p, _):
        gradient, _ = clipper.update(jax.grad(lambda p: energy(p, config))(p), clipper.init(p))
        p = p - config.rate * gradient
        return p, p

    def path(p):
        return jnp.concatenate([p[None], jax.lax.scan(update, p, length=config.steps)[1]])

    return jax.jit(jax.vmap(path))(starts)


def inside(config, points):
    """Whether each point [... 2] lies in the window."""
    low, high = (np.array([config.w[i], config.b[i]]) for i in (0, 1))
    return np.all((points >= low) & (points <= high), axis=-1)


def robustness(config):
    """The same verdicts from a grid of starts over the window: one start proves little."""
    windows = zip((config.w, config.b), config.starts, strict=True)
    inner = [np.linspace(low, high, count + 2)[1:-1] for (low, high), count in windows]
    starts = jnp.stack(jnp.meshgrid(*inner, indexing="ij"), axis=-1).reshape(-1, 2)
    clipped, free = (np.asarray(descend(config, starts, clip)) for clip in ("norm", "none"))
    ends = np.asarray(jax.vmap(lambda p: energy(p, config))(jnp.asarray(clipped[:, -1])))
    stays = inside(config, clipped).all(axis=1) & (ends < config.solved)
    leaves = ~inside(config, free).all(axis=1)
    shares = {"share_clipped_stays": float(stays.mean()), "share_unclipped_leaves": float(leaves.mean())}
    return {"starts": len(starts)} | shares


# ------------------------------------------------------------------------------------------------------------ pictures


def draw_map(config, w, b, error, norm, paths, path):
    figure, grid = plots.panels(height=6, title=f"One unit, {config.unroll} steps: the wall, and gradient descent")
    axes = grid[0, 0]
    clipped, last = paths["norm"], first_outside(config, paths["none"])
    zoom = axes.inset_axes((0.56, 0.53, 0.42, 0.44))
    for ax, shown in ((axes, widest(norm)), (zoom, norm)):
        image = ax.pcolormesh(b, w, np.log10(np.maximum(shown, 1e-6)), vmin=-3, vmax=3.5, cmap="magma", rasterized=True)
        ax.plot(clipped[:, 1], clipped[:, 0], "-", color="lime", linewidth=1, label="norm clipped: stays")
        free = clip_to_window(config, paths["none"][: last + 1])
        ax.plot(free[:, 1], free[:, 0], "o-", color="deepskyblue", linewidth=2, markersize=4, label="unclipped")
        ax.plot(*config.start[::-1], "wo", markersize=9, markeredgecolor="black", label="start")
        ax.plot(*clipped[-1][::-1], "*", color="lime", markersize=14, markeredgecolor="black", label="end, clipped")
        ax.grid(False)
    pictures.powers(figure.colorbar(image, ax=axes, label="gradient norm $|dE/d(w, b)|$", extend="min").ax.yaxis)
    axes.set(xlim=config.b, ylim=config.w, xlabel="bias $b$", ylabel="weight $w$")
    (w0, b0), (w1, b1) = clipped.min(axis=0) - 0.05, clipped.max(axis=0) + 0.05
    zoom.set(xlim=(b0, b1), ylim=(w0, w1), xticks=[], yticks=[])
    for spine in zoom.spines.values():
        spine.set(color="white", visible=True)
    axes.indicate_inset_zoom(zoom, edgecolor="white")
    i, j = np.unravel_index(np.argmax(norm), norm.shape)
    arrow = {"arrowstyle": "->", "color": "white"}
    axes.annotate(f"largest on the grid: {norm[i, j]:.0f}", (b[j], w[i]), (0.03, 0.45), textcoords="axes fraction",
                  color="white", arrowprops=arrow)  # fmt: skip
    if last < len(paths["none"]) - 1:
        to_w, to_b = paths["none"][last]
        axes.annotate(f"update {last}: to ({to_w:.1f}, {to_b:.1f})", free[-1][::-1], (0.68, 0.12), color="deepskyblue",
                      textcoords="axes fraction", arrowprops=arrow | {"color": "deepskyblue"})  # fmt: skip
    axes.legend(loc="lower left", fontsize="small")
    plots.save(figure, path)


def widest(norm):
    """The largest of each point and its eight neighbours: drawn, the wall is thinner than a dot."""
    padded = np.pad(norm, 1, mode="edge")
    rows, columns = norm.shape
    return np.max([padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)


def first_outside(config, points):
    """The index of the first point outside the window; of the last point, if none is."""
    out = np.flatnonzero(~inside(config, points))
    return int(out[0]) if out.size else len(points) - 1


def draw_surface(config, w, b, error, paths, path):
    figure, grid = plots.panels(height=6, title="Error surface $E(w, b)$", subplot_kw={"projection": "3d"})
    axes: Any = grid[0, 0]
    skip = max(1, len(w) // 250)
    look = {"cmap": "viridis", "alpha": 0.75, "linewidth": 0, "antialiased": False, "rcount": 250, "ccount": 250}
    axes.plot_surface(*np.meshgrid(b[::skip], w[::skip]), error[::skip, ::skip], **look)
    last = first_outside(config, paths["none"])
    for clip, colour, label in (("norm", "lime", "norm clipped"), ("none", "red", "unclipped: leaves the window")):
        points = paths[clip] if clip == "norm" else paths[clip][: last + 1]
        heights = np.array([(sigmoid_numpy(unrolled(p, config)) - 0.7) ** 2 for p in points]) + 0.004
        if clip == "none":  # the last leg only up to the edge of the window
            points = clip_to_window(config, points)
            heights[-1] = error[-1, -1] + 0.004 if last < len(paths[clip]) - 1 else heights[-1]
        axes.plot(points[:, 1], points[:, 0], heights, ".-", color=colour, label=label, zorder=10, markersize=5)
    axes.plot(*config.start[::-1], heights[0], "wo", markersize=8, markeredgecolor="black", label="start", zorder=11)
    axes.set(xlabel="bias $b$", ylabel="weight $w$", zlabel="error $E$", zlim=(0, 0.5))
    axes.view_init(elev=38, azim=-65)
    axes.legend(loc="upper left")
    plots.save(figure, path)


def clip_to_window(config, points):
    """The path with its last point, which lies outside, pulled back along the last leg to the window's edge."""
    low, high = (np.array([config.w[i], config.b[i]]) for i in (0, 1))
    a, leg = points[-2], points[-1] - points[-2]
    if inside(config, points[-1]):
        return points
    with np.errstate(divide="ignore"):
        reach = np.where(leg > 0, (high - a) / leg, np.where(leg < 0, (low - a) / leg, np.inf)).min()
    return np.vstack([points[:-1], a + min(1.0, reach) * leg])


def unrolled(p, config):
    x = 0.5
    for _ in range(config.unroll):
        x = p[0] * sigmoid_numpy(x) + p[1]
    return x


def sigmoid_numpy(x):
    return 1 / (1 + np.exp(-x))


def check(config):
    for key in ("w", "b"):
        if len(config[key]) != 2 or not config[key][0] < config[key][1]:
            raise ValueError(f"config.{key}={config[key]}: want (low, high), low < high")
    for key, least in {"grid": 2, "starts": 1}.items():
        if len(config[key]) != 2 or min(config[key]) < least:
            raise ValueError(f"config.{key}={config[key]}: want two counts of at least {least}, of w and of b")
    for key in ("rate", "threshold", "solved"):
        if not 0 < config[key] < np.inf:
            raise ValueError(f"config.{key}={config[key]}: want a finite number above 0")
    train.require(config, at_least={1: "unroll steps"})
    if len(config.start) != 2 or not inside(config, np.array(config.start)):
        raise ValueError(f"config.start={config.start}: want (w, b) inside the window")


if __name__ == "__main__":
    train.cli.run(main, study="error_wall", check=check)
