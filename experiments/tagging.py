"""Tagging: a part of speech, or a chunk, for each word of a sentence.

    python -m experiments.tagging [--config=configs/tagging/<run>.py] [--config.task=pos] [--config.model=mlp]
    python -m experiments.tagging --config.mode=tag --workdir=DIR < lines        a trained model tags, word/tag

The loss is the mean cross-entropy over the words of a batch, in which sentences are packed into rows of one shape
(rnn_jax/data/sentences.py). Chunks are scored whole, by the rules of conlleval; parts of speech word by word.

results.json: accuracy (share of the test part's words) and, of chunks, f1, precision, recall (percent); valid_accuracy,
valid_f1, valid_loss of the validation part at the end; padding_waste, words_per_second, parameters, seconds.
"""

import sys
import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, metrics, plots, train
from rnn_jax.data import sentences, tagged, words
from rnn_jax.models.labelling import Encoder, Tagger, loss, time_major
from rnn_jax.nn import functional

MODELS = ("rnn", "mlp")


def main(config: Any, workdir):
    if config.mode == "tag":
        return tag(config, workdir)
    found = tagged.load(config.data, config.task)
    print(found.report, flush=True)
    features = sentences.Features.of([_given(s) for s in found.train], kinds(config), config.least)
    tags = tuple(sorted({word.tag for sentence in found.train for word in sentence}))
    parts = {part: lay(config, features, tags, getattr(found, part)) for part in ("train", "valid", "test")}
    params, rebuild = make(config, features, len(tags))
    parameters, waste = sum(a.size for a in jax.tree.leaves(params)), parts["train"].waste()
    print(f"{parameters:,} parameters, {len(tags)} tags; {waste:.1%} of all positions hold nothing", flush=True)
    if dropped := parts["train"].training.too_long:
        print(f"{dropped} sentences are longer than a row of {config.data.row} and left out of training", flush=True)
    config = train.in_steps(config, parts["train"].training.count())

    def objective(params, carry, batch, key):
        across = time_major(batch)
        logits = rebuild(params)(across["tokens"], across["segments"], key)
        value = loss(logits, across["targets"], across["kept"], config.smoothing)
        return value, (carry, {"words": jnp.sum(batch["kept"])})

    scored = scorer(rebuild)

    def evaluate(params, part="valid"):
        said = parts[part].read(lambda batch: scored(params, batch))
        return measure(config, getattr(found, part), tags, said)

    meta: dict[str, Any] = {"features": features.to_json(), "tags": list(tags)}
    meta["text"] = zlib.crc32(repr(found.train).encode())
    if any((workdir / "checkpoints").glob("[0-9]*")) and train.load_params(workdir)[1]["text"] != meta["text"]:
        raise train.UserError(f"{workdir} was trained on other sentences: put those back, or choose another --workdir")
    result = train.fit(
        config, workdir, params=params, loss=objective, batches=train.generate(parts["train"]), meta=meta,
        evaluate=lambda params: {f"valid_{k}": v for k, v in evaluate(params).items()},
    )  # fmt: skip
    out = evaluate(result.params, "test")
    del out["loss"]
    out |= {k: v for k, v in result.metrics.items() if k.startswith("valid_")}
    rows = train.read_rows(workdir)
    plots.loss_curve(rows, workdir / "figures/loss.png", unit="nats per word", title=f"{config.task}, {config.model}")
    speeds = [r["steps_per_second"] * r["words"] for r in rows if "words" in r]
    out |= {"padding_waste": waste, "words_per_second": round(float(np.median(speeds)))}
    return out | {"parameters": parameters, "seconds": result.metrics["seconds"]}


def kinds(config):
    """The features that have a width."""
    return [k for k in sentences.KINDS if config.features[k] and (k != "given" or config.data.pos)]


def make(config, features: sentences.Features, classes: int):
    """(params, rebuild) of the model that the config names."""
    rngs, cell = nnx.Rngs(config.seed), getattr(cells, config.cell)() if config.model == "rnn" else None
    names = ("layers", "bidirectional", "reach", "dropout", "word_dropout")
    encoder = Encoder(
        features.sizes(config.features), cell, config.width, unknown=words.UNKNOWN, rngs=rngs,
        **{name: config[name] for name in names},
    )  # fmt: skip
    return functional(Tagger(encoder, classes, rngs=rngs))


def lay(config, features, tags, part) -> sentences.Rows:
    index = {tag: i for i, tag in enumerate(tags)}
    targets = [[index.get(word.tag, -1) for word in sentence] for sentence in part]
    encoded = [features.encode(_given(sentence)) for sentence in part]
    return sentences.Rows(encoded, targets, row=config.data.row, rows=config.data.batch, seed=config.seed)


def scorer(rebuild):
    """(params, batch) -> log p of each word's tags [b row c]."""

    @jax.jit
    def scored(params, batch):
        across = time_major(batch)
        return jnp.swapaxes(jax.nn.log_softmax(rebuild(params)(across["tokens"], across["segments"])), 0, 1)

    return scored


def measure(config, part, tags, said):
    """Metrics of log p [words c] against the sentences' tags."""
    gold = [word.tag for sentence in part for word in sentence]
    best = [tags[i] for i in said.argmax(-1)]
    index = {tag: i for i, tag in enumerate(tags)}
    nats = [-row[index[tag]] for row, tag in zip(said, gold, strict=True) if tag in index]
    out = {"loss": float(np.mean(nats)), "accuracy": float(np.mean([a == b for a, b in zip(best, gold, strict=True)]))}
    if config.task == "chunks":
        ends = np.cumsum([len(sentence) for sentence in part])
        found, right = ([flat[end - len(s) : end] for s, end in zip(part, ends, strict=True)] for flat in (best, gold))
        out |= dict(zip(("f1", "precision", "recall"), metrics.chunk_f1(found, right), strict=True))
    return out


def tag(config, workdir):
    """Lines of words between spaces on standard input -> as many lines of word/tag. Where parts of speech are given to
    the model, the words come as word/part-of-speech. What cannot be tagged stays an empty line, and is told at the end.
    """
    meta = train.load_params(workdir)[1]
    features, tags = sentences.Features.from_json(meta["features"]), meta["tags"]
    params, rebuild = make(config, features, len(tags))
    params = train.load_params(workdir, params)[0]
    split = lambda word: word.rpartition("/")[::2] if config.data.pos else (word, "")
    lacks = lambda line: config.data.pos and not all(all(split(word)) for word in line)
    lines, told = sentences.lines(
        sys.stdin.buffer, lambda line: "has a word without /part-of-speech" if lacks(line) else ""
    )
    part = [[tagged.Word(text, given, "") for text, given in map(split, line)] for line in lines if line]
    best = iter(())
    if part:
        scored = scorer(rebuild)
        best = iter(lay(config, features, tags, part).read(lambda batch: scored(params, batch)).argmax(-1))
    for line in lines:
        print(" ".join(f"{split(word)[0]}/{tags[next(best)]}" for word in line))
    for line in told:
        print(line, file=sys.stderr)


def _given(sentence):
    return [(word.text, word.given) for word in sentence]


def check(config):
    choices = {
        "mode": ("train", "tag"), "task": tagged.TASKS, "model": MODELS, "cell": cells.known(),
        "unit": ("step", "epoch"),
    }  # fmt: skip
    for key, known in choices.items():
        if config[key] not in known:
            raise ValueError(f"config.{key}={config[key]}: want one of {', '.join(known)}")
    for key, least in {"steps": 1, "layers": 1, "width": 1, "least": 1}.items():
        if config[key] < least:
            raise ValueError(f"config.{key}={config[key]}: want at least {least}")
    if len(config.reach) != 2 or min(config.reach) < 0:
        raise ValueError(f"config.reach={config.reach}: want (words before, words after), at least 0 each")
    for key in ("dropout", "word_dropout", "smoothing"):
        if not 0 <= config[key] < 1:
            raise ValueError(f"config.{key}={config[key]}: want a share from 0 to below 1")
    for key in ("row", "batch"):
        if config.data[key] < 1:
            raise ValueError(f"config.data.{key}={config.data[key]}: want at least 1")
    if config.features.word < 1 or min(config.features.values()) < 0:
        raise ValueError("config.features: want widths of at least 0, and at least 1 of the word")
    if config.mode == "train":
        tagged.load(config.data, config.task)


if __name__ == "__main__":
    train.cli.run(main, study="tagging", check=check)
