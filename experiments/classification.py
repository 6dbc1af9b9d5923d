"""Classification: one label for a sentence, from the pooled states of a recurrent network.

    python -m experiments.classification [--config=configs/classification/<run>.py] [--config.pool=attention]
    python -m experiments.classification --config.mode=classify --workdir=DIR < lines      label, its probability

Pooling (rnn_jax/models/pooling.py): the last state, of two directions each one's end; the mean or the maximum over the
words; attention with a learned query. The loss is the mean cross-entropy over the sentences of a batch, packed into
rows of one shape (rnn_jax/data/sentences.py).

results.json: accuracy (share of the test part's sentences), valid_accuracy and valid_loss of the validation part at the
end, best_valid_loss, padding_waste, sentences_per_second, parameters, seconds.
"""

import sys
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, plots, train
from rnn_jax.data import labelled, sentences, words
from rnn_jax.models import pooling
from rnn_jax.models.labelling import Classifier, Encoder, loss, time_major
from rnn_jax.nn import functional

MODELS = ("rnn", "mlp")


def main(config: Any, workdir):
    if config.mode == "classify":
        return classify(config, workdir)
    found = labelled.load(config.data)
    print(found.report, flush=True)
    features = sentences.Features.of([s.words for s in found.train], kinds(config), config.least)
    labels = tuple(sorted({s.label for s in found.train}))
    parts = {part: lay(config, features, labels, getattr(found, part)) for part in ("train", "valid", "test")}
    params, rebuild = make(config, features, len(labels))
    parameters, waste = sum(a.size for a in jax.tree.leaves(params)), parts["train"].waste()
    print(f"{parameters:,} parameters, {len(labels)} labels; {waste:.1%} of all positions hold nothing", flush=True)
    if dropped := parts["train"].training.too_long:
        print(f"{dropped} sentences are longer than a row of {config.data.row} and left out of training", flush=True)
    config = train.in_steps(config, parts["train"].training.count())

    def objective(params, carry, batch, key):
        across = time_major(batch)
        logits, _ = rebuild(params)(across["tokens"], across["segments"], config.data.most, key)
        value = loss(logits, across["targets"], across["kept"], config.smoothing)
        return value, (carry, {"sentences": jnp.sum(batch["kept"])})

    scored = scorer(rebuild, config.data.most)

    def evaluate(params, part="valid"):
        said, gold = parts[part].read(lambda batch: scored(params, batch)), parts[part].targets
        nats = -said[np.arange(len(gold)), gold][gold >= 0]
        return {"loss": float(np.mean(nats)), "accuracy": float(np.mean(said.argmax(-1) == gold))}

    meta: dict[str, Any] = {"features": features.to_json(), "labels": list(labels)}
    meta["text"] = zlib.crc32(repr(found.train).encode())
    if any((workdir / "checkpoints").glob("[0-9]*")) and train.load_params(workdir)[1]["text"] != meta["text"]:
        raise train.UserError(f"{workdir} was trained on other sentences: put those back, or choose another --workdir")
    result = train.fit(
        config, workdir, params=params, loss=objective, batches=train.generate(parts["train"]), meta=meta,
        evaluate=lambda params: {f"valid_{k}": v for k, v in evaluate(params).items()},
    )  # fmt: skip
    out: dict[str, Any] = {"accuracy": evaluate(result.params, "test")["accuracy"]}
    out |= {k: result.metrics[k] for k in ("valid_accuracy", "valid_loss", "best_valid_loss")}
    rows = train.read_rows(workdir)
    plots.loss_curve(
        rows, workdir / "figures/loss.png", unit="nats per sentence", title=f"{config.model}, {config.pool}"
    )
    if config.pool == "attention":
        draw(config, workdir, rebuild(result.params), features, labels, found.test)
    speeds = [r["steps_per_second"] * r["sentences"] for r in rows if "sentences" in r]
    out |= {"padding_waste": waste, "sentences_per_second": round(float(np.median(speeds)))}
    return out | {"parameters": parameters, "seconds": result.metrics["seconds"]}


def kinds(config):
    """The features that have a width."""
    return [k for k in sentences.KINDS if config.features.get(k)]


def make(config, features: sentences.Features, classes: int):
    """(params, rebuild) of the model that the config names."""
    rngs, cell = nnx.Rngs(config.seed), getattr(cells, config.cell)() if config.model == "rnn" else None
    names = ("layers", "bidirectional", "reach", "dropout", "word_dropout")
    encoder = Encoder(
        features.sizes(config.features), cell, config.width, unknown=words.UNKNOWN, rngs=rngs,
        **{name: config[name] for name in names},
    )  # fmt: skip
    return functional(Classifier(encoder, classes, pool=config.pool, rngs=rngs))


def lay(config, features, labels, part) -> sentences.Rows:
    index = {label: i for i, label in enumerate(labels)}
    targets = [[index.get(s.label, -1)] for s in part]
    encoded = [features.encode(s.words) for s in part]
    want = config.data
    return sentences.Rows(encoded, targets, row=want.row, rows=want.batch, most=want.most, seed=config.seed)


def scorer(rebuild, most):
    """(params, batch) -> log p of the labels of each row's sentences [b most c]."""

    @jax.jit
    def scored(params, batch):
        across = time_major(batch)
        logits, _ = rebuild(params)(across["tokens"], across["segments"], most)
        return jnp.swapaxes(jax.nn.log_softmax(logits), 0, 1)

    return scored


def draw(config, workdir, model, features, labels, part):
    """Where attention looks: of the first sentences of a part, and the label that is found."""
    for number, sentence in enumerate(part[: config.samples]):
        tokens = jnp.asarray(features.encode(sentence.words))[:, None]
        logits, weights = model(tokens, jnp.ones(tokens.shape[:2], jnp.int32), 1)
        said = labels[int(jnp.argmax(logits[0, 0]))]
        looked = sorted(zip(np.asarray(weights[0, :, 0]), sentence.words, strict=True), reverse=True)[:5]
        print(f"{said} ({sentence.label}): " + ", ".join(f"{word} {a:.2f}" for a, word in looked), flush=True)
        path = workdir / f"figures/attention_{number}.png"
        plots.attention(np.asarray(weights[..., 0]), sentence.words, [f"{said} ({sentence.label})"], path)


def classify(config, workdir):
    """Lines of words between spaces on standard input -> as many lines, a label and its probability after a tab. What
    cannot be classified stays an empty line, and is told at the end."""
    meta = train.load_params(workdir)[1]
    features, labels = sentences.Features.from_json(meta["features"]), meta["labels"]
    params, rebuild = make(config, features, len(labels))
    params = train.load_params(workdir, params)[0]
    lines, told = sentences.lines(sys.stdin.buffer)
    part = [labelled.Labelled("", line) for line in lines if line]
    said = iter(())
    if part:
        scored = scorer(rebuild, config.data.most)
        said = iter(lay(config, features, labels, part).read(lambda batch: scored(params, batch)))
    for line in lines:
        row = next(said) if line else None
        print("" if row is None else f"{labels[row.argmax()]}\t{np.exp(row.max()):.3f}")
    for line in told:
        print(line, file=sys.stderr)


def check(config):
    choices = {
        "mode": ("train", "classify"), "model": MODELS, "cell": cells.known(), "pool": pooling.KINDS,
        "unit": ("step", "epoch"),
    }  # fmt: skip
    for key, known in choices.items():
        if config[key] not in known:
            raise ValueError(f"config.{key}={config[key]}: want one of {', '.join(known)}")
    for key, least in {"steps": 1, "layers": 1, "width": 1, "least": 1, "samples": 0}.items():
        if config[key] < least:
            raise ValueError(f"config.{key}={config[key]}: want at least {least}")
    if len(config.reach) != 2 or min(config.reach) < 0:
        raise ValueError(f"config.reach={config.reach}: want (words before, words after), at least 0 each")
    for key in ("dropout", "word_dropout", "smoothing"):
        if not 0 <= config[key] < 1:
            raise ValueError(f"config.{key}={config[key]}: want a share from 0 to below 1")
    for key, least in {"row": 1, "most": 1, "batch": 1, "longest": 0}.items():
        if config.data[key] < least:
            raise ValueError(f"config.data.{key}={config.data[key]}: want at least {least}")
    if config.features.word < 1 or min(config.features.values()) < 0:
        raise ValueError("config.features: want widths of at least 0, and at least 1 of the word")
    if config.mode == "train":
        labelled.load(config.data)


if __name__ == "__main__":
    train.cli.run(main, study="classification", check=check)
