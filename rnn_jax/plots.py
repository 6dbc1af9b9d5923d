"""Figures of a run. Drawn on `matplotlib.figure.Figure` objects, with no global state and no display.

`panels` gives a figure and its axes, `save` writes it; the others are whole pictures. All are PNGs 1200 px wide.
"""

import textwrap
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


def attention(weights, source, target, path):
    """Attention weights [t s] between the words of two sentences: a column a source word (Bahdanau et al., Fig. 3)."""
    figure, grid = panels(height=1.5 + 0.3 * len(target))
    axes = grid[0, 0]
    axes.imshow(weights, cmap="gray", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(source)), source, rotation=60, ha="left")
    axes.set_yticks(range(len(target)), target)
    axes.xaxis.tick_top()
    return save(figure, path)


def contact_sheet(groups, path, columns=4):
    """Photographs with their captions below: groups of (name, list of (image [h w 3], text, log p)), so many a row."""
    rows = []
    for name, each in groups:
        below = [f"{_wrapped(text or '(nothing)', 116 // columns)}\n{logprob:.2f}" for _, text, logprob in each]
        shown = [(image, text) for (image, *_), text in zip(each, below, strict=True)]
        rows += [("" if i else f"{name} (log p)", shown[i : i + columns]) for i in range(0, len(shown), columns)]
    return _gallery(rows, columns, path, "lanczos", weight="bold")


def _wrapped(text, width):
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def _gallery(rows, columns, path, interpolation, **heading):
    """Rows of (text above, list of (image, text below)), each as high as its lines and its tallest image ask for."""
    from matplotlib.figure import Figure

    width, gap, line = 8, 0.07, 0.15  # inches
    side = (width - gap) / columns - gap
    tall = lambda image: side * image.shape[0] / image.shape[1]
    high = lambda text: line * len(text.splitlines())
    heights = [(high(above), max(tall(i) for i, _ in each), max(high(t) for _, t in each)) for above, each in rows]
    height = sum(map(sum, heights)) + 4 * gap * len(rows)
    figure, y = Figure(figsize=(width, height), dpi=150), height
    for (above, each), (head, body, foot) in zip(rows, heights, strict=True):
        y -= gap
        figure.text(gap / width, y / height, above, va="top", size=9, parse_math=False, **heading)
        y -= head + gap
        for i, (image, below) in enumerate(each):
            x, bottom = gap + i * (side + gap), y - tall(image)
            axes = figure.add_axes((x / width, bottom / height, side / width, tall(image) / height))
            axes.imshow(image, interpolation=interpolation, aspect="auto")
            axes.axis("off")
            at = (x + side / 2) / width, (bottom - gap / 2) / height
            figure.text(*at, below, ha="center", va="top", size=7.5, parse_math=False)
        y -= body + foot + 2 * gap
    return save(figure, path)


def attention_over(image, words, maps, path):
    """A photograph [h w 3], and for each word where attention looks, maps [t p q], laid over it (Xu et al., 2015,
    Fig. 3): bright where the weight is large, dark where all are alike. One scale for all words."""
    columns, most = 5, max(np.max(maps), 4 / maps[0].size)
    rows = -(-(len(words) + 1) // columns)
    side = image.shape[:2]
    figure, grid = panels(rows, columns, height=(8 / columns * side[0] / side[1] + 0.25) * rows)
    for axes in grid.flat:
        axes.axis("off")
    grid.flat[0].imshow(image, interpolation="lanczos")
    for axes, word, weights in zip(grid.flat[1:], words, maps, strict=False):
        axes.imshow(image.mean(-1), cmap="gray", interpolation="lanczos", vmin=0, vmax=255)
        # Each position lies over its part of the picture, and fades into the next.
        axes.imshow(
            weights, cmap="inferno", alpha=0.6, interpolation="bicubic", vmin=0, vmax=most,
            extent=(-0.5, side[1] - 0.5, side[0] - 0.5, -0.5),
        )  # fmt: skip
        axes.set_title(word, size=10, parse_math=False)
    return save(figure, path)


def frame_strip(clips, path, most=12):
    """Frames of clips, a row a clip: (frames [t h w 3], title); at most so many, evenly chosen."""
    columns = min(most, max(6, *(len(frames) for frames, _ in clips)))
    rows = []
    for frames, title in clips:
        chosen = np.linspace(0, len(frames) - 1, min(columns, len(frames))).round().astype(int)
        rows.append((_wrapped(title, 100), [(frames[i], "") for i in chosen]))
    return _gallery(rows, columns, path, "nearest")


def spikes(frames, posteriors, symbols, spoken, path, *, seconds, ticks, title=None):
    """What a network trained with CTC hears and writes: log-mel frames [f bands] above, the softmax over the symbols at
    each step, posteriors [t symbols], below (Graves et al., 2006, Fig. 1). symbols: names, the blank's first.

    spoken: (word, (begin, end)), in seconds. seconds: from one frame to the next. ticks: label -> band.
    """
    figure, grid = panels(2, 1, height=5.2, title=title, sharex=True, gridspec_kw={"height_ratios": (3, 2)})
    above, below = grid[:, 0]
    length = len(frames) * seconds
    above.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=(0, length, -0.5, frames.shape[1] - 0.5))
    above.set_yticks(list(ticks.values()), list(ticks))
    above.set_ylabel("frequency (mel bands)")
    above.grid(False)
    for word, (begin, end) in spoken:
        for axes in (above, below):
            axes.axvline(begin, color="0.6", linewidth=0.6)
            axes.axvline(end, color="0.6", linewidth=0.6)
        above.annotate(word, ((begin + end) / 2, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    times = (np.arange(len(posteriors)) + 0.5) * length / len(posteriors)
    below.plot(times, posteriors[:, 0], color="k", linestyle=":", linewidth=1, label=symbols[0])
    for i, symbol in enumerate(symbols[1:], 1):
        if posteriors[:, i].max() > 0.05:
            (line,) = below.plot(times, posteriors[:, i], linewidth=1.6, color=f"C{i - 1}", label=symbol)
            below.fill_between(times, posteriors[:, i], color=line.get_color(), alpha=0.2, linewidth=0)
    below.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.05), xlim=(0, length))
    below.legend(frameon=False, ncols=len(symbols), loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.0)
    return save(figure, path)


def loss_curve(rows, path, *, unit="nats", title=None):
    """Draws every *loss over training steps (of several models their mean), into a PNG 1200 px wide.

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
        points = [(row["step"], np.mean(row[name])) for row in rows if name in row]
        drawn += [y for _, y in points]
        label = name.removesuffix("_loss").replace("_", " ")
        marker = "o" if len(points) < 40 else None
        axes.plot(*zip(*points, strict=True), label=label, linewidth=1.6, marker=marker, markersize=4)
    if min(drawn) > 0 and max(drawn) > 30 * min(drawn):
        axes.set_yscale("log")  # a loss that falls by decades is a vertical line on a linear axis
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.legend(frameon=False)
    return save(figure, path)
