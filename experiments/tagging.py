"""Tagging: a part of speech, or a chunk, for each word of a sentence.

    python -m experiments.tagging [--config=configs/tagging/<run>.py] [--config.task=pos] [--config.model=mlp]
    python -m experiments.tagging --config.mode=tag --workdir=DIR < lines        a trained model tags, word/tag

The loss is the mean cross-entropy over the words of a batch, in which sentences are packed into rows of one shape
(rnn_jax/data/sentences.py). Chunks are scored whole, by the rules of conlleval; parts of speech word by word.
config.seeds > 1: as many networks learn in one program, and p(tag) is the mean of theirs.

results.json: accuracy (share of the test part's words) and, of chunks, f1, precision, recall (percent); valid_accuracy,
valid_f1, valid_loss of the validation part at the end, best_valid_loss; padding_waste, words_per_second, parameters,
seconds.
"""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import labelling
from rnn_jax import metrics, train
from rnn_jax.data import sentences, tagged
from rnn_jax.models.labelling import Tagger, loss, time_major


def main(config: Any, workdir):
    if config.mode == "tag":
        return tag(config, workdir)
    found = tagged.load(config.data, config.task)
    print(found.report, flush=True)
    features = sentences.Features.of([_given(s) for s in found.train], labelling.kinds(config), config.least)
    tags = tuple(sorted({word.tag for sentence in found.train for word in sentence}))
    parts = {part: lay(config, features, tags, getattr(found, part)) for part in ("train", "valid", "test")}
    params, rebuild = make(config, features, len(tags))

    def objective(params, carry, batch, key):
        across = time_major(batch)
        logits = rebuild(params)(across["tokens"], across["segments"], key)
        value = loss(logits, across["targets"], across["kept"], config.smoothing)
        return value, (carry, {"words": jnp.sum(batch["kept"])})

    scored = scorer(config, rebuild)

    def evaluate(params, part="valid"):
        said = parts[part].read(lambda batch: scored(params, batch))
        return measure(config, getattr(found, part), tags, said)

    params, out = labelling.fit(
        config, workdir, parts=parts, params=params, loss=objective, evaluate=evaluate, text=found.train,
        meta={"features": features.to_json(), "tags": list(tags)}, unit="words", title=f"{config.task}, {config.model}",
    )  # fmt: skip
    tested = evaluate(params, "test")
    del tested["loss"]
    return tested | out


def make(config, features: sentences.Features, classes: int):
    """(params, rebuild) of the model that the config names."""
    return labelling.make(config, features, lambda encoder, rngs: Tagger(encoder, classes, rngs=rngs))


def lay(config, features, tags, part) -> sentences.Rows:
    index = {tag: i for i, tag in enumerate(tags)}
    targets = [[index.get(word.tag, -1) for word in sentence] for sentence in part]
    encoded = [features.encode(_given(sentence)) for sentence in part]
    return sentences.Rows(encoded, targets, row=config.data.row, rows=config.data.batch, seed=config.seed)


def scorer(config, rebuild):
    """(params, batch) -> log p of each word's tags [b row c], of several networks the mean of p."""

    @jax.jit
    def scored(params, batch):
        across = time_major(batch)
        scores = lambda params: rebuild(params)(across["tokens"], across["segments"])
        return jnp.swapaxes(labelling.vote(config, scores, params), 0, 1)

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
    the model, the words come as word/part-of-speech. What cannot be tagged stays an empty line, and is told at the end;
    so is what training did not read: unknown words, and longer lines."""
    meta = train.load_params(workdir)[1]
    features, tags = sentences.Features.from_json(meta["features"]), meta["tags"]
    params, rebuild = make(config, features, len(tags))
    params = train.load_params(workdir, params)[0]
    split = lambda word: word.rpartition("/")[::2] if config.data.pos else (word, "")
    lacks = lambda line: config.data.pos and not all(all(split(word)) for word in line)
    lines, told = sentences.lines(
        sys.stdin.buffer, lambda line: "has a word without /part-of-speech" if lacks(line) else ""
    )
    read = [[tagged.Word(text, given, "") for text, given in map(split, line)] for line in lines]
    part = [sentence for sentence in read if sentence]
    best = iter(())
    if part:
        scored = scorer(config, rebuild)
        best = iter(lay(config, features, tags, part).read(lambda batch: scored(params, batch)).argmax(-1))
    for sentence in read:
        print(" ".join(f"{word.text}/{tags[next(best)]}" for word in sentence))
    for line in told + labelling.unlike(config, meta, list(map(_given, read)), features):
        print(line, file=sys.stderr)


def _given(sentence):
    return [(word.text, word.given) for word in sentence]


def check(config):
    labelling.check(config, {"mode": ("train", "tag"), "task": tagged.TASKS})
    if config.mode == "train":
        labelling.check_row(config, tagged.load(config.data, config.task).train)


if __name__ == "__main__":
    train.cli.run(main, study="tagging", check=check)
