"""Figures of a run. Drawn on `matplotlib.figure.Figure` objects, with no global state and no display."""

from pathlib import Path


def loss_curve(rows, path, *, unit="nats", title=None):
    """Draws every *loss over training steps, into a PNG 1200 px wide.

    rows: a list of log rows, a metrics.jsonl, or a workdir. unit: what the loss is measured in (nats per character,
    squared error, ...). Returns the path.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    if isinstance(rows, str | Path):
        from rnn_jax.train.log import read_rows

        rows = read_rows(rows)
    names = sorted({k for row in rows for k in row if k.endswith("loss")}, key=lambda k: (k != "train_loss", k))
    if not names:
        raise ValueError(f"loss_curve: no *loss among the {len(rows)} rows; log one first")
    figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
    axes = figure.add_subplot(xlabel="training step (updates)", ylabel=f"loss ({unit})")
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
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    if title:
        axes.set_title(title)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
