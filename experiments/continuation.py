"""Function continuation: a network reads a few points, and goes on with its own predictions (the exploRNN study).

    python -m experiments.continuation [--config=configs/continuation/<run>.py] [--config.function=saw]

Training (many to one): from a window of `context` points, x_1 ... x_k, the next one, x_{k+1}, without its noise.
Continuation: y_1 from the window; then the window loses its oldest point, gains y_1, and so on for `forecast` points.
Each window is read from the zero state, as in training. The error of a continuation is that of all its points against
the noiseless truth, on `fresh` sequences that the network was not trained on and whose first points have the noise of
its training. Input "function": points (rnn_jax/tasks/functions.py), tanh on the output, squared error. Input "text":
characters of a snippet that repeats, one-hot, cross-entropy; the most likely character is fed back.

An epoch is `sequences` windows, drawn anew: sequences / batch updates. A comparison of batch sizes at equal epochs thus
compares numbers of updates as well, so they are compared at an equal number of updates too, at the middle rate. What
was found: per epoch the smallest batch is best, per update the worst (configs/continuation/default.py).

results.json, <error> being mse (function) or wrong (text: the share of characters), each the median over the seeds, and
with _range [least, greatest] of them:
<error>_<rate>_<batch>_<noise>_<epoch>
<error>_updates_<batch>                  after updates_equal updates; middle rate, first noise
order_rate, order_batch, order_noise     their values from the best to the worst at the last of the epochs, the other
                                         two being the middle rate, the middle batch and the first noise
<error>_constant, <error>_repeat         of the best constant, and of repeating the last point that was read
seeds, seconds
"""

import copy
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import animations, cells, data, plots, scan, train
from rnn_jax.models.sequence import SequenceModel
from rnn_jax.nn import functional
from rnn_jax.tasks import functions, scoring

VARIED = ("rate", "batch", "noise")


def main(config: Any, workdir):
    began = time.perf_counter()
    source = SOURCES[config.input](config)
    init, rebuild = network(config, source)
    start = train.over_seeds(init, config)
    train_all = partial(learn, config, source, rebuild, start, tester(config, source, rebuild))
    out = baselines(config, source)
    grid, equal = {}, {}
    for rate, b in product(config.rates, config.batches):
        per = config.sequences // b
        print(f"\nrate {rate:g}, batch {b}: {per} updates an epoch", flush=True)
        grid[rate, b] = train_all(rate, b, config.noises, per * config.steps, workdir / f"{rate:g}_{b}")
    for b in config.batches if len(config.batches) > 1 else ():
        equal[b] = grid[middle(config.rates), b]
        if equal[b].updates[-1] != config.updates_equal:
            print(f"\nbatch {b} for {config.updates_equal} updates", flush=True)
            folder = workdir / f"updates_{b}"
            equal[b] = train_all(middle(config.rates), b, config.noises[:1], config.updates_equal, folder)
    out |= report(config, source, grid, equal)
    draw(config, source, rebuild, grid, equal, out, workdir / "figures")
    return out | {"seeds": config.seeds, "seconds": round(time.perf_counter() - began, 1)}


# ---------------------------------------------------------------------------------------------------- what is continued


class Source(NamedTuple):
    error: str
    draw: Callable  # (key, b, t, noise) -> (inputs [t b n], targets [t b ...]), a target being the next input
    answer: Callable  # output of the network -> what the loss sees
    feed: Callable  # answer -> next input
    loss: Callable  # (answers, targets) -> what is trained
    measure: Callable  # (answers, targets) -> the error of a continuation
    show: Callable  # answers -> what is drawn of them: a number, or the index of a symbol
    constant: Any  # the best answer that reads nothing [n]
    symbols: str = ""  # of text


def of_function(config):
    def points(key, b, t, noise):
        sizes = {k: config[k] for k in ("function", "step", "low", "high")}
        return functions.batch(key, b, t, noise=noise, **sizes)[:2]

    same, squared = lambda y: y, partial(scoring.loss, kind="squared")
    return Source("mse", points, jnp.tanh, same, squared, squared, lambda y: y[..., 0], jnp.zeros(1))


def of_text(config):
    vocabulary = data.Vocabulary.of(config.text)
    snippet, v = vocabulary.encode(config.text), len(vocabulary)

    def windows(key, b, t, noise):
        del noise
        start = jax.random.randint(key, (b,), 0, len(snippet))
        tokens = jnp.asarray(snippet)[(start + jnp.arange(t + 1)[:, None]) % len(snippet)]
        return jax.nn.one_hot(tokens[:-1], v), tokens[1:]

    symbol = lambda y: jnp.argmax(y, axis=-1)
    commonest = jax.nn.one_hot(np.bincount(snippet).argmax(), v)
    return Source(
        "wrong", windows, lambda y: y, lambda y: jax.nn.one_hot(symbol(y), v), scoring.loss, scoring.mistakes, symbol,
        commonest, vocabulary.symbols,
    )  # fmt: skip


SOURCES = {"function": of_function, "text": of_text}


# ------------------------------------------------------------------------------------------------- network and training


class Trained(NamedTuple):
    """A network for each noise and seed; k evaluations, the first one before training."""

    params: Any  # [noises * seeds ...]
    updates: np.ndarray  # [k]
    errors: np.ndarray  # [k noises seeds]
    shown: np.ndarray  # [k noises seeds forecast], the continuation of the first fresh sequence


def network(config, source):
    """(init(key) -> params, rebuild): recurrent layers and a linear readout."""
    options = config.cells[config.cell].to_dict() if config.cell in config.cells else {}
    cell, n = getattr(cells, config.cell)(**options), source.constant.size
    build = lambda key: SequenceModel(cell, n, config.width, n, layers=config.layers, rngs=nnx.Rngs(key))
    return lambda key: functional(build(key))[0], functional(build(jax.random.key(0)))[1]


def learn(config, source, rebuild, start, test, rate, b, noises, updates, workdir):
    """Trains config.seeds networks from `start` [seeds ...] for each noise, all in one program."""
    start = jax.tree.map(lambda a: jnp.concatenate([a] * len(noises)), start)
    levels = jnp.repeat(jnp.array(noises, jnp.float32), config.seeds)

    def loss(params, noise, batch, key):
        """Of one network. Its noise is its carry, handed on unchanged: what each has of its own beside params."""
        del batch
        inputs, targets = source.draw(key, b, config.context, noise)
        answer = source.answer(rebuild(params)(inputs)[1][-1])
        return source.loss(answer, targets[-1]), (noise, {})

    config = copy.deepcopy(config)
    config.eval_every = config.log_every = updates // evaluations(config)
    config.steps, config.optimizer.rate = updates, rate
    evaluate = lambda params: test(params, levels)
    result = train.fit(
        config, workdir, params=start, loss=loss, carry=levels, seeds=len(levels), evaluate=evaluate
    )  # fmt: skip
    rows = [{"step": 0, **evaluate(start)}, *train.read_rows(workdir)]
    every = lambda key: np.array([np.reshape(r[key], (len(noises), config.seeds, *np.shape(r[key])[1:])) for r in rows])
    return Trained(result.params, np.array([r["step"] for r in rows]), every("error"), every("shown"))


def continuation(config, source, rebuild, params, window, collect=()):
    """Answers [forecast b n] to a window [context b n], each fed back; and the values `collect` of each window."""

    def one(params, window, _):
        _, ys, *seen = rebuild(params)(window, collect=collect)
        answer = source.answer(ys[-1])
        return jnp.concatenate([window[1:], source.feed(answer)[None]]), (answer, *seen)

    return scan(one, params, window, length=config.forecast, method="reference")[1]


def fresh(config, source, noise, b=None):
    """(windows [context b n], their true continuations [forecast b ...])."""
    t = config.context + config.forecast - 1
    inputs, targets = source.draw(jax.random.key(~config.seed), b or config.fresh, t, noise)
    return inputs[: config.context], targets[config.context - 1 :]


def tester(config, source, rebuild):
    """test(params [models ...], noises [models]) -> error [models], shown [models forecast]."""

    def one(params, noise):
        window, truth = fresh(config, source, noise)
        (answers,) = continuation(config, source, rebuild, params, window)
        return {"error": source.measure(answers, truth), "shown": source.show(answers[:, 0])}

    return jax.jit(jax.vmap(one))


def evaluations(config):
    return config.steps // config.eval_every


def middle(values):
    return values[len(values) // 2]


# -------------------------------------------------------------------------------------------------------------- numbers


def settings(config):
    """What exploRNN compares: name -> (rate, batch, noise) for each value, the others middle, middle and first."""
    usual = dict(zip(VARIED, (middle(config.rates), middle(config.batches), config.noises[0]), strict=True))
    values = dict(zip(VARIED, (config.rates, config.batches, config.noises), strict=True))
    return {k: [tuple((usual | {k: v}).values()) for v in values[k]] for k in VARIED}


def of_setting(config, grid, setting):
    """(evaluations [k] in epochs, errors [k seeds], shown [k seeds forecast])."""
    rate, b, noise = setting
    found, at = grid[rate, b], list(config.noises).index(noise)
    return found.updates * b // config.sequences, found.errors[:, at], found.shown[:, at]


def baselines(config, source):
    window, truth = fresh(config, source, 0.0, 1000)
    constant = jnp.broadcast_to(source.constant, (config.forecast, 1000, source.constant.size))
    repeat = jnp.broadcast_to(window[-1], constant.shape)
    out = {
        f"{source.error}_{k}": float(source.measure(a, truth)) for k, a in (("constant", constant), ("repeat", repeat))
    }
    print(", ".join(f"{k} {v:.4g}" for k, v in out.items()), flush=True)
    return out


def report(config, source, grid, equal):
    out: dict[str, Any] = {}

    def note(name, seeds):
        out[f"{source.error}_{name}"] = float(np.median(seeds))
        out[f"{source.error}_{name}_range"] = [float(seeds.min()), float(seeds.max())]

    for rate, b, noise in product(config.rates, config.batches, config.noises):
        epochs, errors, _ = of_setting(config, grid, (rate, b, noise))
        for epoch in config.epochs:
            note(f"{rate:g}_{b:g}_{noise:g}_{epoch}", errors[list(epochs).index(epoch)])
    for b, found in equal.items():
        note(f"updates_{b}", found.errors[-1, 0])
    print(f"\n{'median of ' + source.error:24}" + "".join(f"{f'epoch {e}':>12}" for e in config.epochs))
    for i, (name, compared) in enumerate(settings(config).items()):
        found = [[out[f"{source.error}_{r:g}_{b:g}_{n:g}_{e}"] for e in config.epochs] for r, b, n in compared]
        for setting, row in zip(compared, found, strict=True):
            print(f"{name + f' {setting[i]:g}':24}" + "".join(f"{v:12.4f}" for v in row))
        out[f"order_{name}"] = [compared[j][i] for j in np.argsort([row[-1] for row in found])]
    for b in equal:
        print(f"batch {b}, {config.updates_equal} updates: {out[f'{source.error}_updates_{b}']:.4f}", flush=True)
    return out


# ------------------------------------------------------------------------------------------------------------- pictures


def draw(config, source, rebuild, grid, equal, out, folder):
    compared = settings(config)
    middling = compared["rate"][len(config.rates) // 2]
    epochs, errors, shown = of_setting(config, grid, middling)
    name = f"{config.layers} x {config.width} {config.cell}"
    files = {"path": folder / "training.gif", "still": folder / "continuation.png"}
    if config.input == "function":
        rows = {k: v for k, v in compared.items() if len(v) > 1} or {"rate": [middling]}
        panels = [[panel(config, source, grid, s, f"{k} {s[VARIED.index(k)]:g}") for s in v] for k, v in rows.items()]
        animations.predictions(panels, [f"{config.function}, {name}, epoch {e}" for e in epochs], **files)
    else:
        read, truth, *_ = first_sequence(config, source, 0.0)
        strings = [[write(source, row) for row in models] for models in shown]
        heads = [f"{name}, epoch {e}: {np.median(w):.0%} wrong (median)" for e, w in zip(epochs, errors, strict=True)]
        seeds = [f"seed {config.seed + i}" for i in range(config.seeds)]
        animations.texts(write(source, read), write(source, truth), strings, seeds, heads, **files)
    curves(config, source, grid, equal, folder / "error.png")
    if len(grid) > 1:
        heat(config, source, out, folder / "grid.png")
    gates(config, source, rebuild, grid, middling, folder)


def write(source, symbols):
    return "".join(source.symbols[int(i)] for i in symbols)


def typical(errors):
    """The seed whose last error is the median."""
    return int(np.argsort(errors[-1])[(errors.shape[1] - 1) // 2])


def first_sequence(config, source, noise):
    """What is drawn of what is read, [context], and of the truth after it, [forecast]."""
    window, truth = fresh(config, source, noise)
    return np.asarray(source.show(window[:, 0])), np.asarray(truth[:, 0]).reshape(config.forecast)


def panel(config, source, grid, setting, name):
    _, errors, shown = of_setting(config, grid, setting)
    titles = [f"{name}: {source.error} {np.median(e):.3f}" for e in errors]
    return animations.Panel(titles, *first_sequence(config, source, setting[2]), shown, typical(errors))


def curves(config, source, grid, equal, path):
    """The error of each batch size at the middle rate and the first noise, over epochs and over updates."""
    at = [(middle(config.rates), b, config.noises[0]) for b in config.batches]
    found = {f"batch {s[1]}": of_setting(config, grid, s) for s in at}
    series = {"epochs": {label: (epochs, errors.T) for label, (epochs, errors, _) in found.items()}}
    if equal:
        series["updates"] = {f"batch {b}": (run.updates, run.errors[:, 0].T) for b, run in equal.items()}
    title = f"Median and range of {config.seeds} seeds, rate {middle(config.rates):g}"
    what, scale = {"mse": ("mean squared error", "log"), "wrong": ("share of characters wrong", "linear")}[source.error]
    plots.medians(series, path, title=title, ylabel=what, yscale=scale)


def heat(config, source, out, path):
    """The whole grid: a map of rate x batch for each noise and epoch."""
    over = config.epochs, config.noises, config.rates, config.batches
    values = [out[f"{source.error}_{r:g}_{b:g}_{n:g}_{e}"] for e, n, r, b in product(*over)]
    titles = [[f"noise {n:g}, epoch {e}" for n in config.noises] for e in config.epochs]
    axes = {"batch": config.batches, "rate": [f"{r:g}" for r in config.rates]}
    title = f"{source.error} of the continuation, median of {config.seeds} seeds"
    plots.maps(np.reshape(values, [len(v) for v in over]), path, titles=titles, axes=axes, title=title)


def gates(config, source, rebuild, grid, setting, folder):
    """The values config.views of each layer: through the window that is read, then at the end of each later window."""
    rate, b, noise = setting
    model = list(config.noises).index(noise) * config.seeds + typical(of_setting(config, grid, setting)[1])
    params = jax.tree.map(lambda a: a[model], grid[rate, b].params)
    names = [f"{layer}/{view}" for layer in range(config.layers) for view in config.views]
    window = fresh(config, source, noise)[0][:, :1]
    answers, seen = jax.jit(lambda p, w: continuation(config, source, rebuild, p, w, names))(params, window)
    values = {name: np.concatenate([seen[name][0, :, 0], seen[name][1:, -1, 0]]) for name in names}
    shown = *first_sequence(config, source, noise), np.asarray(source.show(answers[:, 0]))
    above = animations.so_far(*(shown if config.input == "function" else [write(source, a) for a in shown]))
    title = f"Reads to the line, then its own predictions (rate {rate:g}, batch {b}, noise {noise:g})"
    files = {"path": folder / "gates.gif", "still": folder / "gates.png"}
    animations.traces(values, title=title, above=above, mark=config.context, xlabel="newest point read", **files)


# ---------------------------------------------------------------------------------------------------------------- check


def check(config):
    counts = "seeds context forecast fresh layers width sequences updates_equal steps eval_every"
    train.require(
        config,
        one_of={"input": SOURCES, "cell": cells.known(), "function": (*functions.FUNCTIONS, "mixed")},
        at_least={1: counts},
    )
    for key, least in {"rates": 1e-12, "batches": 1, "noises": 0, "epochs": 0}.items():
        if not config[key] or min(config[key]) < least or len(set(config[key])) < len(config[key]):
            raise ValueError(f"config.{key}={tuple(config[key])}: want values of at least {least:g}, each once")
    if config.input == "text" and len(set(config.text)) < 2:
        raise ValueError(f"config.text={config.text!r}: want a snippet of at least two different characters")
    if config.input == "text" and any(config.noises):
        raise ValueError(f"config.noises={tuple(config.noises)}: text has no noise; want (0.0,)")
    if wrong := [b for b in config.batches if config.sequences % b]:
        raise ValueError(f"config.batches: {wrong[0]} does not divide the {config.sequences} sequences of an epoch")
    if config.steps % config.eval_every:
        raise ValueError(f"config.eval_every={config.eval_every} does not divide config.steps={config.steps} (epochs)")
    if config.updates_equal % evaluations(config):
        raise ValueError(
            f"config.updates_equal={config.updates_equal}: want a multiple of {evaluations(config)}, the evaluations "
            "of a run (steps / eval_every)"
        )
    if wrong := [e for e in config.epochs if e > config.steps or e % config.eval_every]:
        raise ValueError(f"config.epochs: {wrong[0]}; want multiples of {config.eval_every} up to {config.steps}")
    source = SOURCES[config.input](config)
    init, rebuild = network(config, source)
    names = [f"0/{view}" for view in config.views]
    both = lambda key: continuation(config, source, rebuild, init(key), fresh(config, source, 0.0)[0], names)
    jax.eval_shape(both, jax.random.key(0))  # what the task and the cell refuse, before anything is written


if __name__ == "__main__":
    train.cli.run(main, study="continuation", check=check)
