"""What the studies that label have in common: tagging and classification build, train, vote and check alike."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, plots, train
from rnn_jax.data import DataError, sentences, words
from rnn_jax.models.labelling import Encoder
from rnn_jax.nn import functional

MODELS = ("rnn", "mlp")


def kinds(config):
    """The features that have a width."""
    return [k for k in sentences.KINDS if config.features.get(k) and (k != "given" or config.data.pos)]


def make(config, features: sentences.Features, head):
    """(params, rebuild) of the model that the config names, head(encoder, rngs) on top; of several seeds the leaves of
    params are [seeds ...]."""
    cell = getattr(cells, config.cell)() if config.model == "rnn" else None
    names = ("layers", "bidirectional", "reach", "dropout", "word_dropout")

    def one(seed):
        rngs = nnx.Rngs(seed)
        encoder = Encoder(
            features.sizes(config.features), cell, config.width, unknown=words.UNKNOWN, rngs=rngs,
            **{name: config[name] for name in names},
        )  # fmt: skip
        return functional(head(encoder, rngs))

    if config.seeds == 1:
        return one(config.seed)
    made = [one(config.seed + i) for i in range(config.seeds)]
    return jax.tree.map(lambda *a: jnp.stack(a), *(params for params, _ in made)), made[0][1]


def vote(config, scores, params):
    """log p [... c] by scores(params) [... c]; of several networks, of the mean of their p."""
    if config.seeds == 1:
        return jax.nn.log_softmax(scores(params))
    each = jax.nn.log_softmax(jax.vmap(scores)(params))
    return jax.nn.logsumexp(each, axis=0) - jnp.log(config.seeds)


def first(config, params):
    """The parameters of the first network."""
    return params if config.seeds == 1 else jax.tree.map(lambda a: a[0], params)


def fit(
    config, workdir, *, parts: dict[str, sentences.Rows], params, loss, evaluate, meta, text, unit: str, title: str
):
    """(parameters after training, figures of it). unit: what `loss` counts, words or sentences. evaluate: params ->
    dict of floats of the validation part. text: what training reads, by which a workdir knows its data again."""
    laid = parts["train"]
    parameters, waste = sum(a.size for a in jax.tree.leaves(params)), laid.waste()
    print(f"{parameters:,} parameters; {waste:.1%} of all positions hold nothing", flush=True)
    if dropped := laid.training.too_long:
        print(f"{dropped} sentences are longer than a row of {config.data.row} and left out of training", flush=True)
    meta = meta | {"text": zlib.crc32(repr(text).encode()), "longest": laid.longest}
    if any((workdir / "checkpoints").glob("[0-9]*")) and train.load_params(workdir)[1]["text"] != meta["text"]:
        raise train.UserError(f"{workdir} was trained on other sentences: put those back, or choose another --workdir")
    result = train.fit(
        train.in_steps(config, laid.training.count()), workdir, params=params, loss=loss, meta=meta,
        batches=train.generate(laid), seeds=config.seeds if config.seeds > 1 else 0,
        evaluate=lambda params: {f"valid_{k}": v for k, v in evaluate(params).items()},
    )  # fmt: skip
    rows = train.read_rows(workdir)
    plots.loss_curve(rows, workdir / "figures/loss.png", unit=f"nats per {unit.removesuffix('s')}", title=title)
    out: dict[str, Any] = {k: v for k, v in result.metrics.items() if k.startswith(("valid_", "best_valid_"))}
    speeds = [row["steps_per_second"] * np.mean(row[unit]) for row in rows if unit in row]
    out |= {"padding_waste": waste, f"{unit}_per_second": round(float(np.median(speeds)))}
    return result.params, out | {"parameters": parameters, "seconds": result.metrics["seconds"]}


def check_row(config, part):
    """DataError unless a row holds a training sentence; part: those, of any kind that has a length."""
    if (shortest := min(map(len, part))) > config.data.row:
        raise DataError(
            f"every training sentence is longer than config.data.row={config.data.row}: raise it; the shortest has "
            f"{shortest} words"
        )


def unlike(config, meta, lines, features) -> list[str]:
    """What to tell of the lines that a trained model reads. meta: of its checkpoint; older ones do not say how long the
    longest sentence was."""
    return sentences.unlike(lines, features, meta.get("longest", config.data.row))


def check(config, choices):
    """ValueError unless the keys that both studies have make sense; choices: key -> the values it may have."""
    train.require(
        config,
        one_of=choices | {"model": MODELS, "cell": cells.known()},
        at_least={1: "seeds steps layers width least data.row data.batch"},
        shares="dropout word_dropout smoothing",
    )
    if len(config.reach) != 2 or min(config.reach) < 0:
        raise ValueError(f"config.reach={config.reach}: want (words before, words after), at least 0 each")
    if config.features.word < 1 or min(config.features.values()) < 0:
        raise ValueError("config.features: want widths of at least 0, and at least 1 of the word")
