"""Temporal order at growing length: gradient descent, with clipping, with clipping and the Omega regulariser.

    python -m experiments.temporal_order [--config=configs/temporal_order/<run>.py] [--config.init=basic_tanh]

The study of Pascanu, Mikolov & Bengio (2013), section 4.1. A network a_t = W_h^T s(a_{t-1}) + W_x^T x_t + b, as the
paper writes it, reads symbols; the softmax of W_y^T s(a_T) + b_y says in which order A and B came. A seed succeeds if
at one of its evaluations it errs on less than 1 % of 10,000 sequences that it was not trained on. All seeds of a length
and method train as one vmapped program.

results.json: success_<sgd|c|cr>_<T> (share of the seeds, 0 to 1), best_error_<...>, updates_<...> (the updates after
which each seed had succeeded; null if never), seeds, seconds.
"""

import copy
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.nn import sigmoid

from rnn_jax import plots, scan, train
from rnn_jax.cells import initializers, name
from rnn_jax.gradients.omega import omega
from rnn_jax.tasks import temporal_order as task

METHODS = {"sgd": "SGD", "c": "SGD, clipped", "cr": "SGD, clipped, Omega"}
INITS = {  # name -> activation, scale of W_x and of the output weights, initialiser of W_h
    "sigmoid": (sigmoid, 0.01, initializers.normal(0.01)),
    "basic_tanh": (jnp.tanh, 0.1, initializers.normal(0.1)),
    "smart_tanh": (jnp.tanh, 0.01, initializers.sparse(15, 0.01, spectral_radius=0.95)),
}


def main(config: Any, workdir):
    out, seconds = {}, 0.0
    for t in config.lengths:
        for method in config.methods:
            print(f"\nT = {t}, {METHODS[method]}, {config.init}", flush=True)
            errors, steps, took = learn(config, method, t, workdir / f"{method}_{t}")
            seconds += took
            solved = np.nanmin(errors, axis=0) < config.success
            first = np.argmax(errors < config.success, axis=0)
            out[f"success_{method}_{t}"] = float(solved.mean())
            out[f"best_error_{method}_{t}"] = np.nanmin(errors, axis=0).tolist()
            out[f"updates_{method}_{t}"] = [int(steps[i]) if s else None for i, s in zip(first, solved, strict=True)]
            print(f"T = {t}, {METHODS[method]}: {solved.sum()} of {config.seeds} seeds succeed", flush=True)
    shares = {METHODS[m]: [out[f"success_{m}_{t}"] for t in config.lengths] for m in config.methods}
    title = f"Temporal order, {config.init}: {config.seeds} seeds, at most {config.steps:,} updates"
    plots.lines(
        config.lengths, shares, workdir / "figures/success.png", title=title,
        xlabel="sequence length T (steps)", ylabel="share of seeds under 1 % error",
    )  # fmt: skip
    return out | {"seeds": config.seeds, "seconds": round(seconds, 1)}


def learn(config, method, t, workdir):
    """Trains every seed at once: (error [evaluations, seeds], the update of each evaluation, seconds)."""
    config = copy.deepcopy(config)
    config.optimizer.clip = "none" if method == "sgd" else "norm"
    step, read = network(config.init)
    params = [init(jax.random.key(config.seed + i), config.init, config.width) for i in range(config.seeds)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)

    def gradient(params, carry, batch, key):
        """The gradient of E, plus alpha times that of Omega, which treats dE/da as constant."""
        inputs, targets, _ = task.batch(key, config.batch, t)
        start = jnp.zeros((config.batch, config.width))

        def energy(params, taps):
            a = scan(step, params, start, inputs, taps={"a": taps})[1]
            return optax.softmax_cross_entropy_with_integer_labels(read(params, a[-1]), targets).mean(), a

        taps = jnp.zeros((t, config.batch, config.width))
        (value, a), (grads, da) = jax.value_and_grad(energy, (0, 1), has_aux=True)(params, taps)
        metrics = {}
        if method == "cr":
            states = jnp.concatenate([start[None], a[:-1]])
            metrics["omega"], push = jax.value_and_grad(lambda p: omega(step, p, states, inputs, da))(params)
            grads = jax.tree.map(lambda g, p: g + config.alpha * p, grads, push)
        return (value, (carry, metrics)), grads if method == "sgd" else trusted(grads, params)

    @jax.jit
    def error(params):
        def wrong(params, key):
            inputs, targets, _ = task.batch(key, 1000, t)
            a = scan(step, params, jnp.zeros((1000, config.width)), inputs)[0]
            return jnp.mean(jnp.argmax(read(params, a), axis=-1) != targets)

        keys = jax.random.split(jax.random.key(~config.seed), config.fresh // 1000)
        return jax.vmap(lambda p: jnp.mean(jax.lax.map(lambda k: wrong(p, k), keys)))(params)

    def all_succeeded(rows):
        return np.all(np.nanmin(evaluations(rows)[0], axis=0) < config.success)

    result = train.fit(
        config, workdir, params=params, gradient=gradient, seeds=config.seeds,
        evaluate=lambda params: {"valid_error": error(params)}, until=all_succeeded,
    )  # fmt: skip
    return *evaluations(train.read_rows(workdir)), result.metrics["seconds"]


def evaluations(rows):
    """(errors [evaluations, seeds], the update of each)."""
    kept = [row for row in rows if "valid_error" in row]
    return np.array([row["valid_error"] for row in kept]), [row["step"] for row in kept]


def network(init):
    """(step, read) of the paper's network; its state is the pre-activation a."""
    s = INITS[init][0]

    def step(params, a, x):
        a = name(s(a) @ params["wh"] + x @ params["wx"] + params["b"], "a")
        return a, a

    return step, lambda params, a: s(a) @ params["wy"] + params["by"]


def init(key, name, d):
    _, scale, wh = INITS[name]
    kx, kh, ky = jax.random.split(key, 3)
    normal = lambda k, shape: scale * jax.random.normal(k, shape)
    out = {"wx": normal(kx, (task.SYMBOLS, d)), "wh": wh(kh, (d, d)), "b": jnp.zeros(d)}
    return out | {"wy": normal(ky, (d, task.CLASSES)), "by": jnp.zeros(task.CLASSES)}


def trusted(grads, params):
    """The authors' rule: a gradient whose norm is not a number or beyond 1e10 only shrinks W_h, by 0.02 of itself."""
    norm = train.optim.norm(grads)
    instead = jax.tree.map(jnp.zeros_like, grads) | {"wh": 0.02 * params["wh"]}
    return jax.tree.map(lambda g, i: jnp.where(norm <= 1e10, g, i), grads, instead)


def check(config):
    train.require(
        config,
        one_of={"init": INITS},
        some_of={"methods": METHODS},
        at_least={1: "seeds width batch steps eval_every"},
    )
    if not config.lengths or min(config.lengths) < 10:
        raise ValueError(
            f"config.lengths={config.lengths}: want lengths of at least 10, whose tenths place the symbols"
        )
    if config.fresh < 1000 or config.fresh % 1000:
        raise ValueError(f"config.fresh={config.fresh}: want a multiple of 1000")


if __name__ == "__main__":
    train.cli.run(main, study="temporal_order", check=check)
