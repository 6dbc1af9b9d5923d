"""The training loop, the only one in the tree. It takes functions and knows no model.

What one step is, with state = {params, opt_state, carry, step}:

    (value, (carry, metrics)), g = value_and_grad(loss)(params, carry, batch, fold_in(key(seed), step))
    params = params + optimizer(g)                     step = 1, 2, ..., config.steps

With `seeds` that step is vmapped over as many models, model i with the key of config.seed + i: one program
(`devices.over_models`), and each model trains as a run of its own would.

A run that is killed at any step and started again ends with the bits of one that was not: the checkpoint holds the
whole state, the position in the data and the sums of the metrics that no row has reported yet.
"""

import math
import signal
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnn_jax.train import devices, optim
from rnn_jax.train.checkpoints import Checkpoints, load_params
from rnn_jax.train.errors import Interrupted, NotFinite, UserError
from rnn_jax.train.keys import require
from rnn_jax.train.log import Log, mean_of
from rnn_jax.train.stream import generate

MEANINGS = {  # of the keys that `fit` reads; an optimizer's: optim.meanings
    "seed": "of the initial weights, the order of the data, dropout",
    "steps": "how long it trains: updates, or what config.unit says",
    "log_every": "updates between rows of metrics.jsonl",
    "eval_every": "how often it is evaluated, counted as steps are; 0: only at the end",
    "save_every": "how often it is saved, counted as steps are; 0: only at the end",
    "keep": "checkpoints",
    "parallel": "auto: the batch is cut over all devices; or pmap",
    "init_from": "a run's folder: start from its weights",
    "optimizer": "",
}


class Result(NamedTuple):
    params: Any
    carry: Any
    step: int
    metrics: dict  # the last value of each metric, best_* (the least) of each evaluation *loss, and seconds


def check(config):
    """UserError unless `config` holds what `fit` reads, with values that make sense. Writes nothing."""
    missing = [k for k in MEANINGS if k not in config]
    if missing:
        raise UserError(f"the config has no {', '.join(missing)}, which training reads: add it to the config file")
    units = {"unit": ("step", "epoch")} if "unit" in config else {}  # of those that a study turns into steps
    seed = "seed" if "seed" in config else ""
    try:
        require(
            config,
            one_of=units | {"parallel": ("auto", "pmap")},
            at_least={0: f"steps eval_every save_every {seed}", 1: "log_every keep"},
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    if config.init_from and not (Path(config.init_from) / "checkpoints").is_dir():
        raise UserError(f"config.init_from={config.init_from}: no run there (a folder that holds checkpoints/)")
    optim.build(config)


def fit(
    config, workdir, *, params, loss=None, gradient=None, batches=None, carry=None, evaluate=None, until=None,
    probes=(), probe_every=0, seeds=0, meta=None,
) -> Result:  # fmt: skip
    """Trains to config.steps, from the newest checkpoint of `workdir` if there is one.

    loss:     (params, carry, batch, key) -> (scalar, (carry, metrics)); metrics a dict of scalars, averaged over the
              steps of a row beside train_loss and grad_norm (the norm before clipping)
    gradient: in place of loss, what value_and_grad(loss, has_aux=True) would be: a gradient that is not that of a value
    batches:  an iterator with get_state and set_state (Grain's, or `train.generate`) over dicts of arrays [b ...]; or
              None, where the loss draws its data from its key: the batch is then an empty dict
    carry:    any pytree of [b ...] leaves, handed from one step to the next (the state of truncated BPTT); or None
    evaluate: params -> dict of floats, every config.eval_every steps (0: never) and at the end
    until:    the rows of the log so far -> bool, asked after each evaluation: True ends the training there
    probes:   functions (params, carry, batch, key) -> dict of floats, called with what that step's loss is given, just
              before the step, every `probe_every` steps (0: at the steps that are evaluated). They change no number of
              the training; what they cost stands in each row as probe_seconds, and is printed at the end.
    seeds:    how many models train at once: the leaves of params (see `over_seeds`) and carry are [seeds ...], the loss
              is still that of one, and every metric is a list [seeds]. All see the same batch: draw data of its own for
              each in the loss, from its key; probes get the first model's. One device. A model whose loss stops being
              finite stays so; the others go on.
    meta:     JSON kept with each checkpoint, for `load_params` (a vocabulary)

    Reads of config: MEANINGS above; 0 for eval_every or save_every means only at the end. Raises NotFinite,
    Interrupted, UserError; none of them costs a checkpoint.
    """
    check(config)
    optimizer = optim.build(config)
    batches = generate(lambda i: {}) if batches is None else batches
    batches = batches if hasattr(batches, "__next__") else iter(batches)
    if gradient is None:
        if loss is None:
            raise ValueError("fit: give a loss, or a gradient in its place")
        gradient = jax.value_and_grad(loss, has_aux=True)

    def update_one(state, batch, key, mean):
        step = state["step"] + 1
        (value, (carry, metrics)), grads = gradient(
            state["params"], state["carry"], batch, jax.random.fold_in(key, step)
        )
        _same("carry", state["carry"], carry)
        grads, metrics = mean((grads, {"train_loss": value, **metrics}))
        metrics = {"train_loss": metrics.pop("train_loss"), "grad_norm": optim.norm(grads), **metrics}
        updates, opt_state = optimizer.update(grads, state["opt_state"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "opt_state": opt_state, "carry": carry, "step": step}, metrics

    key = jax.random.key(config.seed)
    start_optimizer = jax.vmap(optimizer.init) if seeds else optimizer.init

    def update_alone(state, batch, mean):
        return update_one(state, batch, key, mean)

    def update_many(state, batch, mean):
        step, models = state["step"], {k: v for k, v in state.items() if k != "step"}

        def one(model_and_key):
            new, metrics = update_one(model_and_key[0] | {"step": step}, batch, model_and_key[1], mean)
            return {k: new[k] for k in models}, metrics

        keys = jnp.stack([jax.random.key(config.seed + i) for i in range(seeds)])
        models, metrics = devices.over_models(one, (models, keys))
        return models | {"step": step + 1}, metrics

    Path(workdir).mkdir(parents=True, exist_ok=True)
    with Checkpoints(workdir, config.keep) as checkpoints:
        state = {"params": params, "opt_state": start_optimizer(params), "carry": carry, "step": jnp.int32(0)}
        # Copies, each leaf its own buffer: a step donates the state, and the caller's arrays must outlive it.
        state = jax.tree.map(lambda x: jnp.array(x, copy=True), state)
        saved = checkpoints.restore(state)
        seen = {"sums": {}, "count": 0, "seconds": 0.0, "finite": None, "probes": 0.0, "ended": False}
        if saved:
            state, position, seen = saved[0], saved[1], seen | saved[2]["seen"]
            _seek(batches, position, workdir)
        elif config.init_from:
            state["params"] = load_params(config.init_from, state["params"])[0]
        start = int(state["step"])
        with Log(workdir, config.steps, start, seen["seconds"]) as log, Signals() as signals:
            goes_on = start < config.steps and not seen["ended"]
            if goes_on:
                run = _Run(config, log, checkpoints, signals, seen, meta or {}, bool(seeds))
                update = update_many if seeds else update_alone
                state = run.steps(start, state, update, batches, evaluate, until, probes, probe_every, key)
            rows = log.rows
            seconds = log.seconds if goes_on else seen["seconds"]
    state = jax.device_put(state, jax.local_devices()[0])
    times = {"seconds": round(seconds, 3)}
    if probes:
        times["probe_seconds"] = round(seen["probes"], 3)
        share = seen["probes"] / max(seconds, 1e-9)
        print(f"probes took {seen['probes']:.2f} s of {seconds:.2f} s ({share:.1%})", flush=True)
    return Result(state["params"], state["carry"], int(state["step"]), _summary(rows) | times)


def over_seeds(init, config):
    """init(key) of each of config.seeds models: leaves [seeds ...], model i with the key of config.seed + i."""
    keys = jnp.stack([jax.random.key(config.seed + i) for i in range(config.seeds)])
    return jax.jit(lambda keys: jax.lax.map(init, keys))(keys)  # in turn: dozens of QR at once can hang a CPU


class _Run(NamedTuple):
    config: Any
    log: Log
    checkpoints: Checkpoints
    signals: "Signals"
    seen: dict  # sums and count of the metrics since the last row; the last finite (step, loss, norm); seconds
    meta: dict
    seeds: bool

    def steps(self, start, state, update, batches, evaluate, until, probes, probe_every, key):
        config, last = self.config, self.config.steps
        batch = self.take(batches, start + 1)
        layout = devices.layout(config.parallel, 1 if self.seeds else _batch_size(batch))
        state = layout.put(state)
        step = layout.compile(update, state)
        waiting = None  # metrics of the step before, fetched only when the next one is under way
        for i in range(start + 1, last + 1):
            if i > start + 1:
                batch = self.take(batches, i)
            extra, evaluates = {}, i == last or _every(config.eval_every, i)
            if probes and (_every(probe_every, i) if probe_every else evaluates):
                now = jax.block_until_ready(layout.get(state))
                began = time.monotonic()
                for probe in probes:
                    extra |= _plain(probe(now["params"], now["carry"], batch, jax.random.fold_in(key, i)))
                extra["probe_seconds"] = time.monotonic() - began
                self.seen["probes"] += extra["probe_seconds"]
            state, metrics = step(state, layout.feed(batch))
            if waiting:
                self.absorb(i - 1, layout.scalars(waiting))
            waiting = metrics
            saves = i == last or _every(config.save_every, i) or self.signals.stop
            if evaluates or saves or extra:
                fetched, waiting = layout.scalars(waiting), None
                if evaluates and evaluate and np.isfinite(fetched["train_loss"]).any():
                    extra |= _plain(evaluate(layout.get(state)["params"]))
                self.absorb(i, fetched, extra)
                self.seen["ended"] = bool(evaluates and until and until(self.log.rows))
            if saves or self.seen["ended"]:
                self.save(i, layout.get(state), batches)
            if self.seen["ended"]:
                break
            if self.signals.stop and i < last:
                raise Interrupted(f"saved step {i} of {last}; the same command goes on from there")
        return layout.get(state)

    def take(self, batches, i):
        try:
            return next(batches)
        except StopIteration:
            remedy = "repeat the data set or lower config.steps"
            raise UserError(f"the data ended before step {i} of {self.config.steps}: {remedy}") from None

    def absorb(self, i, metrics, extra=None):
        """Adds step i's metrics to the sums; writes a row where one is due."""
        seen, value, norm = self.seen, mean_of(metrics["train_loss"]), mean_of(metrics["grad_norm"])
        if not math.isfinite(value):
            self.fail(f"step {i}: the loss is {value}", norm)
        seen["finite"] = [i, value, norm]
        seen["sums"] = _plain({k: np.add(seen["sums"].get(k, 0.0), v) for k, v in metrics.items()})
        seen["count"] += 1
        self.log.tick(i, value)
        row = {}
        if i == self.config.steps or i % self.config.log_every == 0:
            names = dict.fromkeys(["train_loss", "grad_norm", *seen["sums"]])
            row = _plain({k: np.divide(seen["sums"][k], seen["count"]) for k in names})
            seen["sums"], seen["count"] = {}, 0
        if row or extra:
            self.log.row(i, row | (extra or {}), quiet=not extra)

    def save(self, i, state, batches):
        if not self.seeds and not _finite(state):
            self.fail(f"after step {i} the parameters are not finite", self.seen["finite"][2])
        position = batches.get_state()
        position = {"bytes": position.decode()} if isinstance(position, bytes) else position
        self.seen["seconds"] = self.log.seconds
        self.checkpoints.save(i, state, position, {"seen": self.seen, "extra": self.meta})

    def fail(self, what, norm):
        before = "no step before it had a finite loss"
        if self.seen["finite"]:
            step, value, last_norm = self.seen["finite"]
            before = f"last finite loss {value:.6g} at step {step} (gradient norm {last_norm:.6g})"
        kept = self.checkpoints.latest()
        kept = "no checkpoint yet" if kept is None else f"the checkpoint of step {kept} is kept"
        raise NotFinite(f"{what}, gradient norm {norm:.6g}; {before}; {kept}")


class Signals:
    """with Signals() as s: the first SIGINT or SIGTERM sets s.stop; a second one ends the process at once."""

    def __init__(self):
        self.stop = False

    def __enter__(self):
        # Python delivers signals to the main thread alone; elsewhere there is nothing to install.
        main = threading.current_thread() is threading.main_thread()
        self.before = {s: signal.signal(s, self.first) for s in (signal.SIGINT, signal.SIGTERM)} if main else {}
        return self

    def first(self, number, frame):
        del number, frame
        self.stop = True
        for s in self.before:
            signal.signal(s, signal.SIG_DFL)

    def __exit__(self, *_):
        for s, handler in self.before.items():
            signal.signal(s, handler)


def _every(n, i):
    return n > 0 and i % n == 0


def _plain(values):
    """As JSON has them: floats, and lists where there is a value for each of several models."""
    return {k: np.asarray(v, np.float64).tolist() for k, v in values.items()}


def _batch_size(batch):
    sizes = {name: x.shape[0] for name, x in batch.items() if np.ndim(x)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"a batch is a dict of arrays that share a leading axis b; got {sizes}")
    return next(iter(sizes.values()), 1)  # an empty batch: the loss draws its data from its key


def _same(part, before, after):
    """A carry that comes out with other shapes or dtypes than it went in would make the second step another program."""
    before, after = (jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", tree) for tree in (before, after))
    if before != after:
        raise ValueError(f"the loss was given a {part} of {before} and returns one of {after}")


def _seek(batches, position, workdir):
    try:
        batches.set_state(position["bytes"].encode() if set(position) == {"bytes"} else position)
    except Exception as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"the data are not those that {workdir} was trained on ({why[:160]})") from error


@jax.jit
def _all_finite(tree):
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in tree]))


@jax.jit
def _no_nan(tree):
    return ~jnp.any(jnp.stack([jnp.any(jnp.isnan(x)) for x in tree]))


def _finite(state):
    """Parameters and optimiser finite, carry free of NaN (a running maximum may well start at -inf)."""

    def floats(tree):
        return [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]

    hard, soft = floats((state["params"], state["opt_state"])), floats(state["carry"])
    return bool(not hard or _all_finite(hard)) and bool(not soft or _no_nan(soft))


def _summary(rows):
    out = {}
    for row in rows:
        out |= {k: v for k, v in row.items() if k != "step"}
    for k in [k for k in out if k.endswith("loss") and k != "train_loss"]:
        out[f"best_{k}"] = np.fmin.reduce([row[k] for row in rows if k in row]).tolist()
    return out
