"""Classification: one label for a sentence, from the pooled states of a recurrent network.

    python -m experiments.classification [--config=configs/classification/<run>.py] [--config.pool=attention]
    python -m experiments.classification --config.mode=classify --workdir=DIR < lines      label, its probability

Pooling (rnn_jax/models/pooling.py): the last state, of two directions each one's end; the mean or the maximum over the
words; attention with a learned query. The loss is the mean cross-entropy over the sentences of a batch, packed into
rows of one shape (rnn_jax/data/sentences.py). config.seeds > 1: as many networks learn in one program, each with
its own parameters and dropout, and p(label) is the mean of theirs.

results.json: accuracy (share of the test part's sentences), valid_accuracy and valid_loss of the validation part at the
end, best_valid_loss, padding_waste, sentences_per_second, parameters, seconds.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import labelling
from rnn_jax import plots, train
from rnn_jax.data import labelled, sentences
from rnn_jax.models import pooling
from rnn_jax.models.labelling import Classifier, loss, time_major


def main(config: Any, workdir):
    if config.mode == "classify":
        return classify(config, workdir)
    found = labelled.load(config.data)
    print(found.report, flush=True)
    features = sentences.Features.of([s.words for s in found.train], labelling.kinds(config), config.least)
    labels = tuple(sorted({s.label for s in found.train}))
    parts = {part: lay(config, features, labels, getattr(found, part)) for part in ("train", "valid", "test")}
    params, rebuild = make(config, features, len(labels))

    def objective(params, carry, batch, key):
        across = time_major(batch)
        logits, _ = rebuild(params)(across["tokens"], across["segments"], config.data.most, key)
        value = loss(logits, across["targets"], across["kept"], config.smoothing)
        return value, (carry, {"sentences": jnp.sum(batch["kept"])})

    scored = scorer(config, rebuild)

    def evaluate(params, part="valid"):
        said, gold = parts[part].read(lambda batch: scored(params, batch)), parts[part].targets
        nats = -said[np.arange(len(gold)), gold][gold >= 0]
        return {"loss": float(np.mean(nats)), "accuracy": float(np.mean(said.argmax(-1) == gold))}

    params, out = labelling.fit(
        config, workdir, parts=parts, params=params, loss=objective, evaluate=evaluate, text=found.train,
        meta={"features": features.to_json(), "labels": list(labels)}, unit="sentences",
        title=f"{config.model}, {config.pool}",
    )  # fmt: skip
    if config.pool == "attention":
        draw(config, workdir, rebuild(labelling.first(config, params)), features, labels, found.test)
    return {"accuracy": evaluate(params, "test")["accuracy"]} | out


def make(config, features: sentences.Features, classes: int):
    """(params, rebuild) of the model that the config names."""
    return labelling.make(config, features, lambda encoder, rngs: Classifier(encoder, classes, config.pool, rngs=rngs))


def lay(config, features, labels, part) -> sentences.Rows:
    index = {label: i for i, label in enumerate(labels)}
    targets = [[index.get(s.label, -1)] for s in part]
    encoded = [features.encode(s.words) for s in part]
    want = config.data
    return sentences.Rows(encoded, targets, row=want.row, rows=want.batch, most=want.most, seed=config.seed)


def scorer(config, rebuild):
    """(params, batch) -> log p of the labels of each row's sentences [b most c], of several networks the mean of p."""

    @jax.jit
    def scored(params, batch):
        across = time_major(batch)
        scores = lambda params: rebuild(params)(across["tokens"], across["segments"], config.data.most)[0]
        return jnp.swapaxes(labelling.vote(config, scores, params), 0, 1)

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
    cannot be classified stays an empty line, and is told at the end; so is what training did not read: unknown words,
    and longer lines. config.data.longest cuts them as it did in training."""
    meta = train.load_params(workdir)[1]
    features, labels = sentences.Features.from_json(meta["features"]), meta["labels"]
    params, rebuild = make(config, features, len(labels))
    params = train.load_params(workdir, params)[0]
    lines, told = sentences.lines(sys.stdin.buffer)
    if most := config.data.longest:
        cut = [f"line {number}" for number, line in enumerate(lines, 1) if len(line) > most]
        told += sentences.some(f"lines of which only the first {most} words were read (config.data.longest)", cut)
        lines = [line[:most] for line in lines]
    part = [labelled.Labelled("", line) for line in lines if line]
    said = iter(())
    if part:
        scored = scorer(config, rebuild)
        said = iter(lay(config, features, labels, part).read(lambda batch: scored(params, batch)))
    for line in lines:
        row = next(said) if line else None
        print("" if row is None else f"{labels[row.argmax()]}\t{np.exp(row.max()):.3f}")
    for line in told + labelling.unlike(config, meta, lines, features):
        print(line, file=sys.stderr)


def check(config):
    labelling.check(config, {"mode": ("train", "classify"), "pool": pooling.KINDS})
    train.require(config, at_least={1: "data.most", 0: "samples data.longest"})
    if config.mode == "train":
        labelling.check_row(config, [s.words for s in labelled.load(config.data).train])


if __name__ == "__main__":
    train.cli.run(main, study="classification", check=check)
