"""Long-lag and toy tasks: which cell remembers what, and for how long.

    python -m experiments.toy [--config=configs/toy/<task>_<paper>.py] [--config.cell=gru] [--config.seeds=20]

One study for every task of rnn_jax/tasks and every cell of rnn_jax/cells: a cell, a linear readout, batches made on the
device inside the training step. All seeds train as one vmapped program. A seed succeeds once an evaluation, on
config.tested sequences that it was not trained on, finds config.measure at config.success or below; the training ends
when all have. What is reported of a seed was measured at that evaluation (the last, if none), on as many other
sequences, so that it was not selected by it.

results.json, each the median over the seeds, and with _range [least, greatest] of them where there are several:
success_rate   share of the seeds that succeeded
error          the task's own, as its baseline is: squared error, nats, or the share of scored outputs that are wrong
accuracy       share of scored outputs that are right, where they are classes
wrong, tested  rows with an output further than config.tolerance off (0: of another class), of how many
sequences      shown until success, or in all where there was none
error_<test>, accuracy_<test>, wrong_<test>   the same at the other sizes of config.tests
baseline       the error of the best answer that ignores the inputs
parameters, seeds, seconds
"""

import copy
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx

from rnn_jax import METHODS, cells, data, plots, tasks, train
from rnn_jax.cells.initializers import redraw, uniform
from rnn_jax.models.sequence import SequenceModel
from rnn_jax.nn import functional
from rnn_jax.tasks import scoring
from rnn_jax.train.devices import over_models

MEASURES = ("error", "wrong")
CHUNK = 1000  # sequences that an evaluation holds in memory at once


def main(config: Any, workdir):
    task = tasks.make(config.task, **config.sizes)
    print(f"{task.name}: {config.cell}, {task.t} steps, baseline {task.baseline:.4g} ({task.error})", flush=True)
    found, rows = learn(config, workdir)
    draw(config, task, rows, workdir / "figures/error.png")
    out = summary(found)
    print(f"success {out['success_rate']:.0%} of {config.seeds} seeds; error {out['error']:.4g}", flush=True)
    return out | {"baseline": task.baseline, "tested": config.tested, "seeds": config.seeds}


def learn(config, workdir):
    """Trains every seed: (name -> value of each seed, or of the run; rows of the log)."""
    task = tasks.make(config.task, **config.sizes)
    start, apply = network(config, task)
    source, held_out = feeds(config, task)
    test = tester(config, apply, held_out)
    fresh = {"fresh": task} | {k: tasks.make(config.task, **sizes) for k, sizes in other_sizes(config).items()}

    def loss(params, carry, batch, key):
        inputs, targets, mask = task.batch(key, config.batch, **batch)
        outputs, scored = apply(params, inputs, mask)
        return scoring.loss(outputs, targets, scored, config.loss), (carry, {})

    def evaluate(params):
        """error, wrong, accuracy, by which success is judged; and what is reported of it, on other sequences."""
        key = jax.random.key(~config.seed)
        out = test(task, params, key)
        for i, (name, other) in enumerate(fresh.items(), 1):
            found = test(other, params, jax.random.fold_in(key, i)) if source is None else out
            out |= {f"{k}_{name}": v for k, v in found.items() if "_" not in k}
        return out

    result = train.fit(
        with_factors(config), workdir, params=train.over_seeds(start, config), loss=loss, batches=source,
        seeds=config.seeds, evaluate=evaluate, until=lambda rows: bool(np.all(successes(config, rows)[0])),
    )  # fmt: skip
    rows = [row for row in train.read_rows(workdir) if "error" in row]
    succeeded, at = successes(config, rows)
    found = {"success_rate": succeeded, "sequences": config.batch * np.array([rows[i]["step"] for i in at])}
    for name in (k for k in rows[-1] if k.startswith(("error_", "wrong_", "accuracy_"))):
        found[name.removesuffix("_fresh")] = np.array([rows[i][name][seed] for seed, i in enumerate(at)])
    found["parameters"] = sum(a.size for a in jax.tree.leaves(result.params)) // config.seeds
    return found | {"seconds": result.metrics["seconds"]}, rows


def with_factors(config):
    """The config whose optimiser knows the factors of this cell's parameters."""
    out = copy.deepcopy(config)
    if config.cell in config.factors:
        with out.unlocked():
            out.optimizer.factors = config.factors[config.cell]
    return out


def successes(config, rows):
    """(bool [seeds], the index of the row in which each succeeded, or of the last): what is reported of a seed is
    measured there, for the others train on."""
    values = np.array([row[config.measure] for row in rows if config.measure in row])
    good = values <= config.success
    return good.any(axis=0), np.where(good.any(axis=0), good.argmax(axis=0), len(values) - 1)


def other_sizes(config):
    """name -> sizes of each of config.tests."""
    return {name: config.sizes.to_dict() | sizes.to_dict() for name, sizes in config.tests.items()}


def network(config, task):
    """(start(key) -> params, apply(params, inputs, mask) -> outputs, and the mask of those of them that are scored)."""
    options = config.cells[config.cell].to_dict() if config.cell in config.cells else {}
    cell = getattr(cells, config.cell)(**options)
    squash = jax.nn.sigmoid if config.output == "sigmoid" else lambda a: a

    def model(rngs):
        sizes = {"layers": config.layers, "method": config.method}
        return SequenceModel(cell, task.n, config.width, task.m, **sizes, rngs=rngs)

    def start(key):
        params = functional(model(nnx.Rngs(key)))[0]
        return redraw(uniform(config.init_scale), params, jax.random.fold_in(key, 1)) if config.init_scale else params

    rebuild = functional(model(nnx.Rngs(0)))[1]

    def apply(params, inputs, mask):
        outputs = rebuild(params)(inputs, at=None if task.each_step else mask)[1]
        return squash(outputs), mask if task.each_step else None

    return start, apply


def tester(config, apply, held_out):
    """test(task, params, key) -> error [seeds], and wrong and accuracy where they can be told."""

    @partial(jax.jit, static_argnums=(0, 3))
    def part(task, params, key, b, fed):
        inputs, targets, mask = task.batch(key, b, **fed)

        def of_one(params):
            outputs, scored = apply(params, inputs, mask)
            out = {"error": scoring.error(outputs, targets, scored, task.error)}
            if task.discrete:
                out["accuracy"] = 1 - scoring.mistakes(outputs, targets, scored)
            if task.discrete or config.tolerance:
                out["wrong"] = scoring.wrong(outputs, targets, scored, config.tolerance).sum()
            return out

        return over_models(of_one, params)

    def test(task, params, key):
        sizes = [min(CHUNK, config.tested - start) for start in range(0, config.tested, CHUNK)]
        parts = [part(task, params, jax.random.fold_in(key, i), b, held_out(i, b)) for i, b in enumerate(sizes)]
        total = {k: np.array([found[k] for found in parts], np.float64) for k in parts[0]}
        return {k: v.sum(0) if k == "wrong" else np.average(v, axis=0, weights=sizes) for k, v in total.items()}

    return test


def feeds(config, task):
    """(batches for `fit`, (i, b) -> the i-th b held-out examples): pictures where the task has them, else nothing."""
    if task.name != "pixels":
        return None, lambda i, b: {}
    images, labels = data.mnist.read(config.data.root, config.data.tfds_dir, config.data.download, "train")
    tests = data.mnist.read(config.data.root, config.data.tfds_dir, config.data.download, "test")
    pick = lambda a, i, b: a[i * CHUNK : i * CHUNK + b]
    held_out = lambda i, b: {k: pick(a, i, b) for k, a in zip(("images", "labels"), tests, strict=True)}
    return data.mnist.batches(images, labels, config.batch, seed=config.seed), held_out


def summary(found):
    """Medians over the seeds, and ranges where there are several; lists become plain numbers."""
    out = {}
    for name, value in found.items():
        value = np.asarray(value, float)
        out[name] = float(value.mean() if name == "success_rate" else np.median(value))
        if value.size > 1 and name != "success_rate":
            out[f"{name}_range"] = [float(value.min()), float(value.max())]
    counts = ("sequences", "parameters", "wrong")
    return {k: int(v) if k in counts and v == int(v) else v for k, v in out.items()}


def draw(config, task, rows, path):
    """The task's error through training: the median of the seeds, their range, and the baseline."""
    figure, grid = plots.panels(title=f"{task.name}, {config.cell} of {config.width} units, {config.seeds} seeds")
    axes = grid[0, 0]
    errors = np.array([row["error"] for row in rows]).T
    plots.band(axes, [config.batch * row["step"] for row in rows], errors, label="error")
    axes.axhline(task.baseline, color="0.4", linestyle="--", label="baseline: the inputs ignored")
    unit = {"squared": "squared", "cross_entropy": "nats", "mistakes": "share of outputs"}[task.error]
    axes.set(xlabel="training sequences", ylabel=f"error ({unit})", ylim=(0, None))
    axes.legend(frameon=False)
    plots.save(figure, path)


def check(config):
    train.require(
        config,
        one_of={
            "cell": cells.known(), "loss": scoring.LOSSES, "output": ("linear", "sigmoid"), "method": METHODS,
            "measure": MEASURES,
        },
        at_least={1: "seeds width layers batch tested", 0: "tolerance"},
    )  # fmt: skip
    task = tasks.make(config.task, **config.sizes)
    for sizes in other_sizes(config).values():
        tasks.make(config.task, **sizes)
    if config.loss == "cross_entropy" and not task.discrete:
        raise ValueError(f"config.loss=cross_entropy needs classes, and {task.name} asks for numbers: want squared")
    if config.measure == "wrong" and not (task.discrete or config.tolerance):
        raise ValueError(f"config.measure=wrong: {task.name} asks for numbers; want error, or a config.tolerance too")
    jax.eval_shape(network(config, task)[0], jax.random.key(0))
    feeds(config, task)


if __name__ == "__main__":
    train.cli.run(main, study="toy", check=check)
