"""Truncated BPTT: what the three kinds learn, how far their gradient is from the full one, and what they cost.

    python -m experiments.truncation [--config.cell=gru] [--config.kinds="('windows',)"]

A stream of `trials` memory trials (rnn_jax/tasks/memory.py), one after another: each shows `length` random symbols, and
asks for them after a silence, so that a symbol and its recall lie within `span` = length + lag steps, both counted.
Kinds I and II (rnn_jax/truncated.py) are scored at every recall, III, many-to-one, at those of the last trial alone.
A kind at one k trains all its seeds as one vmapped program, until each recalls everything or for config.steps updates.

results.json, <kind> one of chunks, windows, last, and full_bptt, whose k is t, the length of the stream:
accuracy_<kind>_<k>            share of recalls that are right, of each seed, over fresh streams; the state is carried
                               through all of a stream, except that chunks start anew as they do in training
carried_chunks_<k>             the same of chunks, if the state is carried after all
bias_<kind>_<k>                |g_k - g| / |g| at initialisation, g the gradient of full BPTT of the same loss
cosine_<kind>_<k>              of the angle between g_k and g there
bias_trained_<...>, cosine_trained_<...>   the same after the training by full BPTT; all four are means over seeds
cost_<kind>_<k>                time of that gradient of all seeds over full BPTT's: median of neighbours in one process
equals_full_bptt_error         max |a - b| / max |b|, float64, of the three kinds without a cut against plain autodiff
lag, span, t, seeds, seconds
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnn_jax import cells, scan, train, truncated
from rnn_jax.checking import double_precision
from rnn_jax.tasks import memory

KINDS = {"chunks": "I, chunks", "windows": "II, windows", "last": "III, last steps"}


def main(config: Any, workdir):
    began = time.perf_counter()
    t, span = steps_of(config)
    out: dict[str, Any] = {"equals_full_bptt_error": equality(config)}
    print(f"t = {t}, a symbol and its recall within {span} steps; {config.cell}, {config.seeds} seeds")
    print(f"without a cut, against full BPTT in float64: {out['equals_full_bptt_error']:.1e}")

    start = every_seed(config)
    trained, recalled = learn(config, "full_bptt", t, start, workdir / "full_bptt")
    learned = {("full_bptt", t): recalled}
    for kind, k in cases(config):
        learned[kind, k] = learn(config, kind, k, start, workdir / f"{kind}_{k}")[1]
    measured = measure(config, {"": start, "_trained": trained})
    measured = {case: found | measured.get(case, {}) for case, found in learned.items()}

    print(f"{'kind':12} {'k':>4} {'recalled':>9} {'bias':>7} {'cosine':>7} {'trained':>8} {'cosine':>7} {'cost':>6}")
    for (kind, k), found in measured.items():
        out |= {f"{what}_{kind}_{k}": value for what, value in found.items()}
        shown = [found.get(w, np.nan) for w in ("bias", "cosine", "bias_trained", "cosine_trained", "cost")]
        row = "{:7.3f} {:7.3f} {:8.3f} {:7.3f} {:6.2f}".format(*shown) if "cost" in found else ""
        print(f"{kind:12} {k:4} {np.mean(found['accuracy']):9.1%} {row}".rstrip(), flush=True)
    draw(config, measured, workdir / "figures/truncation.png")
    return out | {"lag": config.lag, "span": span, "t": t, "seeds": config.seeds, "seconds": since(began)}


# -------------------------------------------------------------------------------------------------- task and gradient


def steps_of(config):
    """(steps of the stream, steps from a symbol to its recall, both counted)."""
    return config.trials * (2 * config.length + config.lag - 1), config.length + config.lag


def stream(key, config, b):
    """(inputs [t b symbols+2], targets [t b], mask [t b]) of `trials` memory trials in a row."""
    one = lambda k: memory.batch(k, b, symbols=config.symbols, length=config.length, lag=config.lag)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), jax.vmap(one)(jax.random.split(key, config.trials)))


def every_seed(config, dtype=jnp.float32):
    """Fresh params [seeds ...]: a cell of rnn_jax.cells and a linear readout."""

    def init(key):
        kc, ky = jax.random.split(key)
        wy = jax.random.normal(ky, (config.width, config.symbols), dtype) / config.width**0.5
        cell = getattr(cells, config.cell)().init(kc, memory.width(config.symbols), config.width, dtype)
        return {"cell": cell, "wy": wy, "by": jnp.zeros(config.symbols, dtype)}

    return train.over_seeds(init, config)


def runner(config, kind, k):
    """scan or its truncation of kind and k: (step, params, carry, xs) -> (carry, ys)."""
    if kind == "full_bptt":
        return scan
    if kind == "windows":
        return lambda *args: truncated.windows(*args, k1=config.k1, k2=k)
    return lambda *args: getattr(truncated, kind)(*args, k)


def loss(config, kind, k, params, key, *, b, only_last=False):
    """(cross-entropy of the recalls, share of them that are right) of b streams, or of their last trials alone."""
    inputs, targets, mask = stream(key, config, b)
    if only_last:
        mask = mask & (jnp.arange(len(mask)) >= len(mask) // config.trials * (config.trials - 1))[:, None]
    cell = getattr(cells, config.cell)()
    run: Any = runner(config, kind, k)
    _, ys = run(cell.step, params["cell"], cell.carry(b, config.width), inputs)
    logits = ys @ params["wy"] + params["by"]
    mean = lambda a: jnp.sum(a * mask) / jnp.sum(mask)
    value = mean(optax.softmax_cross_entropy_with_integer_labels(logits, targets))
    return value, mean(jnp.argmax(logits, axis=-1) == targets)


def learn(config, kind, k, params, workdir):
    """Trains every seed: (params, name -> share of recalls that are right, of each)."""
    print(f"\n{kind}, k = {k}", flush=True)

    def of_one(params, carry, batch, key):
        del batch  # drawn from the key, so that each seed has its own
        value, accuracy = loss(config, kind, k, params, key, b=config.batch, only_last=kind == "last")
        return value, (carry, {"train_accuracy": accuracy})

    def accuracy(way):
        fresh = jax.random.key(~config.seed)
        return jax.jit(jax.vmap(lambda p: loss(config, way, k, p, fresh, b=config.fresh)[1]))

    ways = {"accuracy": accuracy("full_bptt")}
    if kind == "chunks":
        ways = {"accuracy": accuracy("chunks"), "carried": accuracy("full_bptt")}
    result = train.fit(
        config, workdir, params=params, loss=of_one, seeds=config.seeds,
        evaluate=lambda params: {name: f(params) for name, f in ways.items()},
        until=lambda rows: min(rows[-1]["accuracy"]) >= 1.0,
    )  # fmt: skip
    return result.params, {name: result.metrics[name] for name in ways}


# ------------------------------------------------------------------------------------------------------- measurements


def cases(config):
    return [(kind, k) for kind in config.kinds for k in config.k]


def measure(config, points):
    """(kind, k) -> bias, cosine, cost. points: suffix of the name -> params [seeds ...]; the cost is at the last."""
    key, out = jax.random.key(~config.seed - 1), {}

    def gradient(kind, k, only_last):
        of_one = lambda p: loss(config, kind, k, p, key, b=config.batch, only_last=only_last)[0]
        return jax.jit(jax.vmap(jax.grad(of_one)))

    t, _ = steps_of(config)
    full = {only: gradient("full_bptt", t, only) for only in (False, True)}
    wanted = {only: {name: full[only](p) for name, p in points.items()} for only in full}
    for kind, k in cases(config):
        only = kind == "last"
        cut = gradient(kind, k, only)
        found = {name: compare(cut(p), wanted[only][name]) for name, p in points.items()}
        out[kind, k] = {f"bias{name}": v[0] for name, v in found.items()}
        out[kind, k] |= {f"cosine{name}": v[1] for name, v in found.items()}
        p, ratios = [*points.values()][-1], []
        for _ in range(config.repeats):  # neighbours in time, so that a shared machine's mood cancels
            ratios.append(seconds(cut, p) / seconds(full[only], p))
        out[kind, k]["cost"] = float(np.median(ratios))
    return out


def seconds(f, params):
    began = time.perf_counter()
    jax.block_until_ready(f(params))
    return time.perf_counter() - began


def compare(cut, full):
    """(|cut - full| / |full|, cosine of their angle), means over seeds; the norm is that of all params together."""
    cut, full = (np.concatenate([np.asarray(a, np.float64).reshape(len(a), -1) for a in jax.tree.leaves(tree)], axis=1)
                 for tree in (cut, full))  # fmt: skip
    norm = lambda a: np.linalg.norm(a, axis=1)
    cosine = np.sum(cut * full, axis=1) / np.maximum(norm(cut) * norm(full), 1e-300)
    return float(np.mean(norm(cut - full) / norm(full))), float(np.mean(cosine))


def equality(config):
    """Max relative error of each kind at k >= t against `lax.scan` and plain autodiff, in float64."""
    t, _ = steps_of(config)
    with double_precision():
        params = jax.tree.map(lambda a: a[0], every_seed(config, jnp.float64))
        cell = getattr(cells, config.cell)()
        inputs, *_ = stream(jax.random.key(config.seed), config, config.batch)
        inputs = inputs.astype(jnp.float64)
        start = cell.carry(config.batch, config.width, jnp.float64)
        weights = jax.random.normal(jax.random.key(config.seed + 1), (t, config.batch, config.width), jnp.float64)

        def gradients(run):
            energy = lambda p, carry, xs: jnp.sum(weights * jnp.sin(run(cell.step, p, carry, xs)[1]))
            return jax.tree.leaves(jax.jit(jax.grad(energy, (0, 1, 2)))(params["cell"], start, inputs))

        want = gradients(lambda *args: scan(*args, method="reference"))
        got = [gradients(runner(config, kind, t)) for kind in KINDS]
        relative = lambda a, b: float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0))
        return max(relative(np.asarray(a), np.asarray(b)) for g in got for a, b in zip(g, want, strict=True))


def since(began):
    return round(time.perf_counter() - began, 1)


# ------------------------------------------------------------------------------------------------------------- figure


def draw(config, measured, path):
    """Three panels over k: recalled, bias of the gradient, cost of the gradient."""
    from matplotlib.figure import Figure

    t, span = steps_of(config)
    figure = Figure(figsize=(8, 4.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {
        "Learned": "recalls that are right (share)",
        "Bias of the gradient": "|$g_k$ - g| / |g|",
        "Cost of the gradient": "time over that of full BPTT",
    }
    for axes, (title, ylabel) in zip(panels, titles.items(), strict=True):
        axes.set(title=title, ylabel=ylabel, xlabel="k (steps)", xscale="log")
        ticks = sorted({*config.k, t})
        axes.set_xticks(ticks, [str(k) for k in ticks], fontsize=8, rotation=45)
        axes.minorticks_off()
        axes.set_xlim(0.9 * ticks[0], 1.1 * t)
        axes.axvline(span, color="0.4", linestyle=":", label=f"symbol to recall, {span} steps")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for kind, marker in zip(config.kinds, "sov", strict=False):
        ks = sorted(config.k)
        values = [[measured[kind, k][what] for k in ks] for what in ("accuracy", "bias", "cost")]
        (line,) = panels[0].plot(ks, np.mean(values[0], axis=1), marker=marker, label=KINDS[kind])
        low, high = np.min(values[0], axis=1), np.max(values[0], axis=1)
        panels[0].fill_between(ks, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        for axes, v in zip(panels[1:], values[1:], strict=True):
            axes.plot(ks, v, marker=marker, color=line.get_color())
        trained = [measured[kind, k]["bias_trained"] for k in ks]
        panels[1].plot(
            ks, trained, marker=marker, color=line.get_color(), linestyle="--", linewidth=1, fillstyle="none"
        )
    for axes, full in ((panels[0], np.mean(measured["full_bptt", t]["accuracy"])), (panels[2], 1.0)):
        axes.plot([t], [full], "k*", markersize=9, linestyle="none", label="full BPTT", clip_on=False)
        axes.set_ylim(bottom=0)
    panels[1].set_yscale("log")
    panels[1].plot([], [], "k-", label="at initialisation")
    panels[1].plot([], [], "k--", linewidth=1, label="trained by full BPTT")
    panels[1].legend(handles=panels[1].get_lines()[-2:], fontsize=7, loc="lower left", edgecolor="none", framealpha=1)
    panels[0].axhline(1 / config.symbols, color="0.6", linestyle="--", label="chance")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    figure.suptitle(f"Truncated BPTT, {config.cell}, width {config.width}, lag {config.lag}, k1 = {config.k1}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def check(config):
    train.require(
        config,
        one_of={"cell": cells.known()},
        some_of={"kinds": KINDS},
        at_least={1: "seeds width batch fresh steps trials length lag k1 repeats", 2: "symbols"},
    )
    t, _ = steps_of(config)
    if not config.k or min(config.k) < 1:
        raise ValueError(f"config.k={config.k}: want numbers of steps of at least 1")
    if "chunks" in config.kinds and (wrong := [k for k in config.k if t % k]):
        raise ValueError(f"config.k: {wrong[0]} does not divide the {t} steps of the stream, which chunks needs")
    if "windows" in config.kinds and t % config.k1:
        raise ValueError(f"config.k1={config.k1} does not divide the {t} steps of the stream, which windows needs")
    if "windows" in config.kinds and min(config.k) < config.k1:
        raise ValueError(f"config.k: {min(config.k)} is below config.k1={config.k1}; windows needs k2 >= k1")


if __name__ == "__main__":
    train.cli.run(main, study="truncation", check=check)
