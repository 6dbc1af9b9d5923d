"""Trainings on the memory task, all seeds at once, with their gradients probed on the way; and curves of them."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnn_jax import gradients, plots, scan, train
from rnn_jax.cells import initializers
from rnn_jax.tasks import memory


def learn(config, workdir, cell, optimizer=None, *, rho=None):
    """The rows of a training of all seeds on the memory task. Each seed draws its own data, from its own key.

    rho: scale the recurrent matrices to this spectral radius at the start, and probe the gradients on the way.
    """
    sizes, d, b = config.task.to_dict(), config.width, config.batch
    n = memory.width(sizes["symbols"])

    def init(key):
        head = initializers.glorot()(key, (d, sizes["symbols"]))
        return {
            "cell": draw(cell, key, n, d, rho) if rho else cell.init(key, n, d),
            "head": head,
            "bias": jnp.zeros(sizes["symbols"]),
        }

    def energy(params, ys, targets, mask):
        logits = ys @ params["head"] + params["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
        right = jnp.argmax(logits, axis=-1) == targets
        return jnp.sum(losses * mask) / jnp.sum(mask), jnp.sum(right * mask) / jnp.sum(mask)

    def loss(params, carry, batch, key):
        inputs, targets, mask = memory.batch(key, b, **sizes)
        ys = scan(cell.step, params["cell"], cell.carry(b, d), inputs)[1]
        value, accuracy = energy(params, ys, targets, mask)
        return value, (carry, {"accuracy": accuracy})

    def probe_one(params, key):
        inputs, targets, mask = memory.batch(key, b, **sizes)
        args = cell.step, params["cell"], cell.carry(b, d), inputs
        last = lambda ys: energy(params, ys[-1:], targets[-1:], mask[-1:])[0]
        out = {"reach": gradients.influence(*args, last, name=None, rows=(-1,))[0]}
        for name, w in gradients.recurrent_matrices(*args).items():
            found = gradients.spectrum(w)
            out |= {f"radius {name}": found.radius.max(), f"sigma_max {name}": found.singular_values.max()}
            out[f"eigenvalues {name}"] = jnp.stack([found.eigenvalues.real, found.eigenvalues.imag])  # [2 gates d]
            out[f"singular_values {name}"] = found.singular_values  # [gates d]
        for name, ends in gradients.saturation(*args).items():
            out[f"saturated {name}"] = jnp.mean(ends["low"] + ends["high"])
        return out

    many = jax.jit(jax.vmap(probe_one, (0, None)))
    print(f"\n{workdir.parent.name}: {workdir.name}", flush=True)
    train.fit(
        with_optimizer(config, optimizer or {}), workdir, params=train.over_seeds(init, config), loss=loss,
        seeds=config.seeds, probe_every=config.probe_every,
        probes=[lambda params, carry, batch, key: many(params, key)] if rho else (),
    )  # fmt: skip
    return train.read_rows(workdir)


def draw(cell, key, n, d, rho):
    """Parameters with every gate's recurrent matrix scaled to the spectral radius rho."""
    params = cell.init(key, n, d)
    blocks = jnp.split(params["wh"], params["wh"].shape[1] // d, axis=1)
    return params | {"wh": jnp.concatenate([rho * w / gradients.spectrum(w).radius for w in blocks], axis=1)}


def radius_of(rho):
    """An initialiser: Gaussian, scaled to the spectral radius rho."""

    def init(key, shape, dtype=jnp.float32):
        w = jax.random.normal(key, shape, dtype)
        return rho * w / gradients.spectrum(w).radius

    return init


def with_optimizer(config, changes):
    """The config of a training: config.optimizer with some of its numbers changed."""
    config = copy.deepcopy(config)
    with config.unlocked():
        config.optimizer = dict(config.optimizer) | changes
    return config


def series(rows, key):
    """(steps, values [rows seeds ...])."""
    kept = [row for row in rows if key in row]
    return [row["step"] for row in kept], np.array([row[key] for row in kept], float)


def history(axes, rows, key, **line):
    steps, values = series(rows, key)
    return plots.band(axes, steps, values.T, **line)


def compare(part, runs, config, workdir, what):
    """Loss and gradient norm of several runs, one above the other."""
    figure, axes = plots.panels(2, 1, height=6.5, sharex=True, title=f"{what}; {about(config)}")
    for label, rows in runs.items():
        history(axes[0, 0], rows, "train_loss", label=label)
        history(axes[1, 0], rows, "grad_norm", label=label)
    axes[0, 0].axhline(np.log(config.task.symbols), color="k", linestyle=":", linewidth=1)
    axes[0, 0].set(ylabel="loss (nats); dotted: a guess", ylim=(0, None))
    axes[1, 0].set(ylabel="gradient norm before clipping", yscale="log", xlabel="updates")
    axes[0, 0].legend(frameon=False)
    plots.save(figure, workdir / f"figures/{part}.png")
    return accuracies(part, runs)


def about(config):
    task = config.task
    return f"memory of {task.length} of {task.symbols} symbols over {task.lag} steps, {config.seeds} seeds"


def accuracies(part, runs):
    return {f"accuracy_{part}/{name}": float(np.nanmean(rows[-1]["accuracy"])) for name, rows in runs.items()}


def share(rows):
    """Of the time of a run, what its probes took."""
    return round(sum(row.get("probe_seconds", 0.0) for row in rows) / rows[-1]["seconds"], 3)
