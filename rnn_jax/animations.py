"""Animated GIFs: predictions through training, gates and states over a sequence.

Drawn on `matplotlib.figure.Figure` objects, as `rnn_jax.plots` does: no global state. All take plain arrays.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_jax import plots


def gif(figure, draw, frames: int, path, *, still=None, fps=5, hold=2.0, dpi=100):
    """Writes `figure` as draw(0), draw(1), ... draw(frames - 1) leave it, and returns the path.

    still  a path: the last frame as a PNG besides
    fps    frames a second; the last one stays for `hold` seconds, then all begins again
    dpi    at 100 an 8 inch figure is 800 px wide
    """
    from PIL import Image

    def frame(i):
        draw(i)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi)
        return Image.open(buffer).convert("RGB").quantize(128)

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(frames - 1)
    if still:
        plots.save(figure, still)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out anew in each frame, the axes would tremble
    first, *others = (frame(i) for i in range(frames))
    seconds = [1 / fps] * (frames - 1) + [hold]
    first.save(path, save_all=True, append_images=others, duration=[1000 * s for s in seconds], loop=0)
    return path


class Panel(NamedTuple):
    """Predictions of several models at k evaluations."""

    titles: Sequence[str]  # [k]
    read: np.ndarray  # [context]
    truth: np.ndarray  # [forecast]
    shown: np.ndarray  # [k models forecast]
    best: int  # the model that stands out


def predictions(rows, headings, path, *, ylim=(-1.5, 1.5), fps=3, **options):
    """A GIF of predictions against the truth, a frame for each evaluation. rows: lists of `Panel`; headings [k]."""
    height = 0.9 + 1.9 * len(rows)
    figure, axes = plots.panels(len(rows), max(map(len, rows)), height=height, sharex=True, sharey=True)
    heading, drawn = figure.suptitle(" "), []
    for row, across in zip(rows, axes, strict=True):
        for panel, each in zip(row, across, strict=False):
            before = len(panel.read)
            x = np.arange(1, before + len(panel.truth) + 1)
            each.axvspan(0.5, before + 0.5, color="0.92", label="read")
            each.plot(x[:before], panel.read, "k.", markersize=3)
            each.plot(x[before:], panel.truth, "k--", linewidth=1, label="truth")
            thin = [each.plot(x[before:], y, color="C1", linewidth=0.5, alpha=0.4)[0] for y in panel.shown[0]]
            (bold,) = each.plot(x[before:], panel.truth, color="C3", linewidth=1.6, label="prediction, median seed")
            thin[0].set_label("other seeds")
            each.set(ylim=ylim, xlim=(0.5, x[-1] + 0.5))
            drawn.append((panel, each.set_title(" ", fontsize="medium"), thin, bold))
    for each in axes[-1]:
        each.set_xlabel("point")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)

    def draw(i):
        heading.set_text(headings[i])
        for panel, title, thin, bold in drawn:
            title.set_text(panel.titles[i])
            bold.set_ydata(panel.shown[i, panel.best])
            for line, y in zip(thin, panel.shown[i], strict=True):
                line.set_ydata(y)

    return gif(figure, draw, len(headings), path, fps=fps, **options)


def texts(read, truth, shown, labels, headings, path, *, fps=3, **options):
    """The same of characters: strings read and truth; shown [k][models] strings, right characters green, others red."""
    figure, axes = plots.panels(height=1.2 + 0.3 * len(labels))
    heading, axes = figure.suptitle(" "), axes[0, 0]

    def draw(i):
        heading.set_text(headings[i])
        axes.clear()
        letters(axes, 0, read + truth, ["0.6"] * len(read) + ["k"] * len(truth))
        for row, predicted in enumerate(shown[i], 1):
            letters(axes, row, read + predicted, ["0.6"] * len(read) + right(predicted, truth))
        axes.set(xlim=(0, len(read + truth) + 1), ylim=(len(labels) + 0.6, -0.6), xlabel="character")
        axes.set_yticks(range(len(labels) + 1), ["truth", *labels])

    return gif(figure, draw, len(headings), path, fps=fps, **options)


def right(predicted, truth):
    """A color for each predicted character."""
    return ["C2" if p == t else "C3" for p, t in zip(predicted, truth, strict=False)]


def letters(axes, y, text, colors, first=1):
    """Characters in a row at y, x = first, first + 1, ...; a space as an open box."""
    for x, (letter, color) in enumerate(zip(text, colors, strict=True), first):
        letter = letter.replace(" ", "\N{OPEN BOX}").replace("$", r"\$")
        axes.text(x, y, letter, color=color, family="monospace", ha="center", va="center")


def traces(values, path, *, title=" ", above=None, mark=0, xlabel="step", fps=5, **options):
    """A GIF of named values that move over a sequence: heat maps [unit, step], shown up to the present step.

    values  "<layer>/<name>" -> [t d], as a stack of layers collects them: a row of maps a layer, a column a name. What
            stays in 0 ... 1 is drawn from 0 to 1, other values about 0
    above   (axes, i) -> None draws what stands above the maps at step i, on axes that were cleared
    mark    steps after which a vertical line stands (0: none)
    """
    import matplotlib
    from matplotlib.figure import Figure

    values = {k: np.asarray(v, float) for k, v in values.items()}
    layers, names = (list(dict.fromkeys(k.split("/")[i] for k in values)) for i in (0, 1))
    t = len(next(iter(values.values())))
    figure = Figure(figsize=(8, 1.2 * len(layers) + (3 if above else 1.2)), dpi=150, layout="constrained")
    figure.suptitle(title, fontsize="medium")
    mosaic: Any = [["above"] * len(names)] * bool(above) + [[f"{l}/{k}" for k in names] for l in layers]
    axes = figure.subplot_mosaic(mosaic, height_ratios=[1.4] * bool(above) + [1] * len(layers))
    images, cursors = {}, []
    for name in names:
        column = np.concatenate([values[f"{l}/{name}"].ravel() for l in layers])
        gate, top = column.min() >= 0 and column.max() <= 1, np.abs(column).max() or 1.0
        cmap = matplotlib.colormaps["viridis" if gate else "RdBu_r"].resampled(15)  # few colors: a smaller file
        for l in layers:
            key = f"{l}/{name}"
            extent = (0.5, t + 0.5, values[key].shape[1] + 0.5, 0.5)
            images[key] = axes[key].imshow(
                values[key].T, aspect="auto", interpolation="nearest", extent=extent, cmap=cmap,
                vmin=0 if gate else -top, vmax=1 if gate else top,
            )  # fmt: skip
            if mark:
                axes[key].axvline(mark + 0.5, color="k", linewidth=1)
            cursors.append(axes[key].axvline(1, color="r", linewidth=1))
            axes[key].tick_params(labelbottom=l == layers[-1], labelleft=name == names[0])
        axes[f"{layers[0]}/{name}"].set_title(name.replace("_", " "), fontsize="medium")
        axes[f"{layers[-1]}/{name}"].set_xlabel(xlabel)
        column = [axes[f"{l}/{name}"] for l in layers]
        figure.colorbar(images[f"{layers[-1]}/{name}"], ax=column, orientation="horizontal", aspect=25)
    for l in layers:
        axes[f"{l}/{names[0]}"].set_ylabel(f"layer {l}, unit")

    def draw(i):
        for key, image in images.items():
            shown = values[key].T.copy()
            shown[:, i + 1 :] = np.nan
            image.set_data(shown)
        for line in cursors:
            line.set_xdata([i + 1, i + 1])
        if above:
            axes["above"].clear()
            above(axes["above"], i)

    return gif(figure, draw, t, path, fps=fps, **options)


def so_far(read, truth, own, *, ylim=(-2.1, 1.4)):
    """The `above` of `traces` for a model that reads k points, then its own predictions; of points or of strings.

    At step i: what is read by then, and the predictions made by then, the newest of which follows from the maps.
    """
    k, end = len(read), len(read) + len(truth)

    def above(axes, i):
        now, made = min(i + 1, k), max(i + 2 - k, 0)
        if isinstance(read, str):
            letters(axes, 0, truth, ["0.6"] * len(truth), k + 1)
            letters(axes, 1, read[:now], ["k"] * now)
            letters(axes, 1, own[:made], right(own[:made], truth), k + 1)
            axes.set(xlim=(0.5, end + 0.5), ylim=(1.6, -0.6), yticks=(0, 1), yticklabels=("truth", "model"))
        else:
            axes.plot(range(k + 1, end + 1), truth, "k--", linewidth=1, label="truth")
            axes.plot(range(1, now + 1), read[:now], "k.", label="read")
            axes.plot(range(k + 1, k + made + 1), own[:made], "C3.-", label="its own predictions")
            axes.set(xlim=(0.5, end + 0.5), ylim=ylim)
            axes.legend(loc="lower left", ncols=3, fontsize="small")

    return above
