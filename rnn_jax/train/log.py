"""What a run says: metrics.jsonl (one object a line), TensorBoard events, and a progress bar or plain lines.

A row is {"step", means of the training metrics since the last row, evaluation metrics, "steps_per_second", "seconds"}.
Only the last two, and probe_seconds, depend on the machine's mood: they are what a resumed run may differ in. Where
several models train at once a metric is a list; TensorBoard and the terminal show its mean. What a probe finds may have
more axes: it stands in the row alone.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

TIMES = ("steps_per_second", "seconds", "probe_seconds")


def mean_of(value) -> float:
    """A metric as one number: the mean over the models whose value is finite."""
    values = np.asarray(value, np.float64)
    finite = np.isfinite(values)
    return float(np.mean(values[finite] if finite.any() else values))


def read_rows(path) -> list[dict]:
    """The rows of a metrics.jsonl (or of a workdir). A line cut short by a kill is left out."""
    path = Path(path)
    path = path / "metrics.jsonl" if path.is_dir() else path
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


class Log:
    """with Log(workdir, steps, start, seconds) as log: log.tick(i, loss), log.row(i, metrics).

    start: the step a resumed run begins after; rows beyond it are dropped, so that each step's row stands once.
    seconds: what the run took up to there.
    """

    def __init__(self, workdir, steps, start=0, seconds=0.0):
        self.path, self.steps, self.start = Path(workdir) / "metrics.jsonl", steps, start
        self.rows = [row for row in read_rows(self.path) if row["step"] <= start]
        self.began = time.monotonic() - seconds
        self.last = (start, time.monotonic())
        self.drawn = 0.0

    @property
    def seconds(self):
        return time.monotonic() - self.began

    def __enter__(self):
        from tensorboardX import SummaryWriter

        write_atomically(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
        self.file = self.path.open("a")
        self.board = SummaryWriter(str(self.path.parent), purge_step=self.start + 1 if self.start else None)
        self.bar = self._bar() if sys.stdout.isatty() else None
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()
        self.board.close()
        self.file.close()

    def tick(self, step, loss):
        """Moves the bar; ten times a second at most, since drawing costs more than a small model's step."""
        now = time.monotonic()
        if self.bar and (now - self.drawn > 0.1 or step == self.steps):
            self.drawn = now
            speed = (step - self.last[0]) / max(now - self.last[1], 1e-9)
            self.bar.update(self.task, completed=step, loss=f"{loss:.4f}", speed=f"{speed:.3g}")

    def row(self, step, metrics, quiet=False):
        now = time.monotonic()
        speed = (step - self.last[0]) / max(now - self.last[1], 1e-9)
        self.last = (step, now)
        row = {"step": step, **metrics, "steps_per_second": round(speed, 4), "seconds": round(self.seconds, 3)}
        self.rows.append(row)
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        scalars = {k: mean_of(v) for k, v in metrics.items() if np.ndim(v) < 2}
        for name, value in {**scalars, "steps_per_second": speed}.items():
            self.board.add_scalar(name, value, step)
        shown = "".join(f"{k} {v:.4g}  " for k, v in scalars.items())
        line = f"step {step}/{self.steps}  {shown}{speed:.3g} steps/s"
        if self.bar is None:
            print(line, flush=True)
        elif not quiet:
            self.bar.console.print(line, highlight=False)

    def _bar(self):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            MofNCompleteColumn(), BarColumn(), TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} steps/s"), TimeRemainingColumn(), TextColumn("left"),
        )  # fmt: skip
        self.task = bar.add_task("", total=self.steps, completed=self.start, loss="-", speed="-")
        bar.start()
        return bar


def write_atomically(path, text):
    """The file at `path` is the old one or the new one, whenever the process dies."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
