"""Character language model on real text: trains, measures on held-out text, writes a sample.

    python -m experiments.char_lm [--config=configs/char_lm/<run>.py] [--workdir=DIR] [--config.a.b=value ...]

results.json: train_loss and valid_loss (nats per character), valid_bits_per_char, best_valid_loss, valid_loss_epoch_<k>
where the config counts in epochs, chars_per_second, parameters, sample, seconds.
"""

import math
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, data, decoding, plots, train
from rnn_jax.cells.initializers import redraw, uniform
from rnn_jax.models.language import RecurrentLM, WindowLM, cross_entropy
from rnn_jax.nn import functional

MODELS = ("rnn", "window_mlp", "average")


def main(config: Any, workdir: Path):
    if config.mode == "sample":
        print(write(config, workdir))
        return None
    text = data.load(config.data)
    print(text.report, flush=True)
    meta = {"vocabulary": text.vocabulary.to_json(), "text": zlib.crc32(text.train.tokens.tobytes())}
    if any((workdir / "checkpoints").glob("[0-9]*")):
        saved = train.load_params(workdir)[1]
        text.vocabulary.require(data.Vocabulary.from_json(saved["vocabulary"]), f"the checkpoint in {workdir}")
        if saved["text"] != meta["text"]:
            raise train.UserError(
                f"{workdir} was trained on another text: put that text back, or choose another --workdir"
            )
    epoch = data.count(text.train, config.data.batch, config.data.window)
    config = train.in_steps(config, epoch)
    b = config.data.batch
    params, rebuild = make(config, len(text.vocabulary))
    model: Any = rebuild(params)
    start = model.initial_carry(b)
    print(f"{sum(a.size for a in jax.tree.leaves(params)):,} parameters, {epoch} updates an epoch", flush=True)

    def loss(params, carry, batch, key):
        del key  # nothing in this model is random
        inputs, targets, resets = (jnp.swapaxes(batch[k], 0, 1) for k in ("inputs", "targets", "resets"))
        carry, logits = rebuild(params)(inputs, carry, resets if config.data.resets != "never" else None)
        return jnp.mean(cross_entropy(logits, targets)), (carry, {})

    held_out = jax.jit(loss)

    def evaluate(params):
        windows = data.windows(text.valid, b, config.data.window, resets=config.data.resets, epochs=1)
        carry, losses = start, []
        for batch in windows:
            value, (carry, _) = held_out(params, carry, batch, None)
            losses.append(value)
        return {"valid_loss": float(np.mean(losses))}

    result = train.fit(
        config, workdir, params=params, loss=loss, carry=start, evaluate=evaluate,
        batches=iter(data.windows(text.train, b, config.data.window, resets=config.data.resets)),
        meta=meta,
    )  # fmt: skip
    return report(config, workdir, result, epoch)


def report(config, workdir, result, epoch):
    rows = train.read_rows(workdir)
    plots.loss_curve(
        rows, workdir / "figures/loss.png", unit="nats per character", title=f"{config.model} on {config.data.source}"
    )
    sample = write(config, workdir)
    print(f"\n{sample}\n", flush=True)
    speeds = [r["steps_per_second"] for r in rows if "train_loss" in r]
    out = {k: result.metrics[k] for k in ("train_loss", "valid_loss", "best_valid_loss")}
    out["valid_bits_per_char"] = out["valid_loss"] / math.log(2)
    if config.unit == "epoch":
        out |= {f"valid_loss_epoch_{r['step'] // epoch}": r["valid_loss"] for r in rows if "valid_loss" in r}
    out["chars_per_second"] = round(float(np.median(speeds)) * config.data.batch * config.data.window)
    out["parameters"] = sum(a.size for a in jax.tree.leaves(result.params))
    return out | {"seconds": result.metrics["seconds"], "sample": sample}


def make(config, v: int):
    """(params, rebuild) of the model that the config names, for v symbols."""
    rngs = nnx.Rngs(config.seed)
    if config.model == "rnn":
        cell = getattr(cells, config.cell)()
        model: Any = RecurrentLM(cell, v, config.width, layers=config.layers, embed=config.embed, rngs=rngs)
    else:
        order, embed = config.model == "window_mlp", config.embed or 32
        model = WindowLM(v, config.width, context=config.context, embed=embed, order=order, rngs=rngs)
    params, rebuild = functional(model)
    if config.init_scale:
        params = redraw(uniform(config.init_scale), params, rngs.params())
    return params, rebuild


def write(config, workdir) -> str:
    """The prompt and what the trained model of `workdir` writes after it."""
    want = config.sample
    meta = train.load_params(workdir)[1]
    vocabulary = data.Vocabulary.from_json(meta["vocabulary"])
    params, rebuild = make(config, len(vocabulary))
    params = train.load_params(workdir, params)[0]
    prompt = jnp.asarray(vocabulary.encode(want.prompt))[:, None]

    def step(params, carry, tokens):
        carry, logits = rebuild(params)(tokens[None], carry)
        return carry, logits[0]

    @jax.jit
    def continue_(params, key):
        carry, logits = rebuild(params)(prompt)
        return decoding.sample(step, params, carry, logits[-1], want.length, key, temperature=want.temperature).tokens

    tokens = continue_(params, jax.random.key(want.seed))
    return want.prompt + vocabulary.decode(np.asarray(tokens[:, 0]))


def check(config):
    train.require(
        config,
        one_of={"mode": ("train", "sample"), "model": MODELS, "cell": cells.known()},
        at_least={1: "steps layers width context", 0: "embed"},
    )
    if not config.sample.prompt or config.sample.length < 1 or config.sample.temperature < 0:
        raise ValueError("config.sample: want a prompt of at least one character, length >= 1, temperature >= 0")
    if config.mode == "train":
        text = data.load(config.data)
        for part in (text.train, text.valid):
            data.windows(part, config.data.batch, config.data.window, resets=config.data.resets)
        if config.init_from:
            saved = train.load_params(config.init_from)[1]["vocabulary"]
            text.vocabulary.require(data.Vocabulary.from_json(saved), f"the checkpoint in {config.init_from}")
            train.load_params(config.init_from, make(config, len(text.vocabulary))[0])


if __name__ == "__main__":
    train.cli.run(main, study="char_lm", check=check)
