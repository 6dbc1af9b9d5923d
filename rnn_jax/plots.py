"""Figures of a run. Drawn on `matplotlib.figure.Figure` objects, with no global state and no display.

`panels` gives a figure and its axes, `save` writes it; the others are whole pictures. All are PNGs 1200 px wide.
"""

from pathlib import Path

import numpy as np

MARKERS = "osD^v<>ph"


def panels(rows=1, columns=1, *, height=4.8, title=None, **axes):
    """(figure, axes [rows columns]), 1200 px wide; `axes` as for matplotlib's subplots (sharex, subplot_kw, ...)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), dpi=150, layout="constrained")
    if title:
        figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False, **axes)
    for each in grid.flat:
        if each.name == "rectilinear":
            each.grid(alpha=0.3)
            each.spines[["top", "right"]].set_visible(False)
    return figure, grid


def save(figure, path):
    """Writes the figure, and returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def band(axes, x, values, **line):
    """The median of values [seeds, x] over the seeds as a line, their range as a band (NaN: a seed that is lost)."""
    values = np.atleast_2d(np.asarray(values, float))
    middle, low, high = _over_seeds(np.nanmedian, values), *(_over_seeds(f, values) for f in (np.nanmin, np.nanmax))
    (drawn,) = axes.plot(x, middle, linewidth=1.6, **line)
    if len(values) > 1:
        axes.fill_between(x, low, high, color=drawn.get_color(), alpha=0.18, linewidth=0)
    return drawn


def _over_seeds(f, values):
    """f over the seeds; NaN, with no warning, where none is left."""
    return np.array([f(column) if not np.isnan(column).all() else np.nan for column in values.T])


def lines(x, series, path, *, title, xlabel, ylabel, ylim=None):
    """Draws series, dict label -> values over x, one marked line each. Returns the path."""
    figure, grid = panels(title=title)
    axes = grid[0, 0]
    # Lines that lie on one another are told apart: each later one is thinner and its marker smaller.
    for i, ((label, values), marker) in enumerate(zip(series.items(), MARKERS, strict=False)):
        size = len(series) - i
        axes.plot(x, values, label=label, marker=marker, markersize=5 + 2 * size, linewidth=1 + size, alpha=0.85)
    axes.set(xlabel=xlabel, ylabel=ylabel, xticks=list(x), ylim=ylim)
    axes.legend(frameon=False)
    return save(figure, path)


def medians(series, path, *, title, ylabel, yscale="linear"):
    """The same values over several x axes, side by side: medians and ranges over the seeds. Returns the path.

    series: dict name of the x axis -> dict label -> (x, values [seeds x]), the same labels in each, a color each.
    """
    figure, grid = panels(1, len(series), height=4, title=title, sharey=True)
    for axes, (xlabel, drawn) in zip(grid[0], series.items(), strict=True):
        for i, (label, (x, values)) in enumerate(drawn.items()):
            band(axes, x, values, label=label, color=f"C{i}")
        axes.set(xlabel=xlabel, title=f"over {xlabel}", yscale=yscale)
    grid[0, 0].set_ylabel(ylabel)
    grid[0, 0].legend(frameon=False)
    return save(figure, path)


def maps(values, path, *, titles, axes, title, low=-3, high=1):
    """Heat maps with their numbers in them, values [rows columns y x] and titles [rows columns]. Returns the path.

    axes: dict name -> labels of the ticks, of x then of y. low, high: log10 of the darkest and the brightest value.
    """
    (xlabel, xs), (ylabel, ys) = axes.items()
    figure, grid = panels(*values.shape[:2], height=0.8 + 2 * len(values), title=title)
    for at, each in np.ndenumerate(grid):
        each.imshow(np.log10(np.maximum(values[at], 1e-6)), vmin=low, vmax=high, cmap="magma", aspect="auto")
        for (y, x), value in np.ndenumerate(values[at]):
            each.text(x, y, f"{value:.3f}", ha="center", va="center", color="w", fontsize="small")
        each.grid(False)
        each.set_xticks(range(len(xs)), xs)
        each.set_yticks(range(len(ys)), ys)
        each.set(title=titles[at[0]][at[1]], xlabel=xlabel, ylabel=ylabel)
    return save(figure, path)


def loss_curve(rows, path, *, unit="nats", title=None):
    """Draws every *loss over training steps, into a PNG 1200 px wide.

    rows: a list of log rows, a metrics.jsonl, or a workdir. unit: what the loss is measured in (nats per character,
    squared error, ...). Returns the path.
    """
    from matplotlib.ticker import EngFormatter

    if isinstance(rows, str | Path):
        from rnn_jax.train.log import read_rows

        rows = read_rows(rows)
    names = sorted({k for row in rows for k in row if k.endswith("loss")}, key=lambda k: (k != "train_loss", k))
    if not names:
        raise ValueError(f"loss_curve: no *loss among the {len(rows)} rows; log one first")
    figure, grid = panels(title=title)
    axes = grid[0, 0]
    axes.set(xlabel="training step (updates)", ylabel=f"loss ({unit})")
    drawn = []
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        drawn += [y for _, y in points]
        label = name.removesuffix("_loss").replace("_", " ")
        marker = "o" if len(points) < 40 else None
        axes.plot(*zip(*points, strict=True), label=label, linewidth=1.6, marker=marker, markersize=4)
    if min(drawn) > 0 and max(drawn) > 30 * min(drawn):
        axes.set_yscale("log")  # a loss that falls by decades is a vertical line on a linear axis
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False)
    return save(figure, path)
