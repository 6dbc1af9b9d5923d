"""What the studies that write have in common: captioning, video_captioning and story train, write and judge alike."""

import abc
import csv
import io
import math
import os
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import decoding, metrics, plots, train
from rnn_jax.data import DataError, captions, words
from rnn_jax.train.log import write_atomically


class Writer(abc.ABC):
    """What writes: a `model` with a step, a config, a vocabulary, and where writing begins."""

    config: Any
    vocabulary: words.Words
    model: Any
    known: dict[str, Any]  # where there is any: what a checkpoint keeps beside the vocabulary, and no other may follow

    @abc.abstractmethod
    def begin(self) -> Any:
        """The parameters that training starts with."""

    @abc.abstractmethod
    def score(self, params, batch, key=None) -> tuple[Any, Any, Any]:
        """(-sum log p, number of words, a penalty to add) of a batch; with a key as in training."""

    @abc.abstractmethod
    def opening(self, params, views) -> tuple[Any, Any]:
        """(given, carry) of the model's step, after what was seen."""

    @partial(jax.jit, static_argnums=(0, 4, 5, 6))
    def search(self, params, views, key, beams: int, best: int, temperature: float):
        """decoding.Decoded of config.decode.batch views; no unknown word is written. Compiled once a writer."""
        want = self.config.decode

        def step(given, carry, tokens):
            carry, logits = self.model.step(given, carry, tokens)
            return carry, logits.at[..., words.UNKNOWN].set(jnp.finfo(logits.dtype).min)

        given, carry = self.opening(params, views)
        carry, logits = step(given, carry, jnp.full(want.batch, words.START))
        if temperature:
            draw = lambda key: decoding.sample(
                step, given, carry, logits, want.longest, key, temperature=temperature, top_k=want.top_k,
                top_p=want.top_p, end=words.END,
            )  # fmt: skip
            return jax.vmap(draw, out_axes=decoding.Decoded(1, 0, 0, 0))(jax.random.split(key, best))
        penalty = decoding.Penalty(want.length_power)
        return decoding.beam_search(
            step, given, carry, logits, want.longest, beams=beams, end=words.END, best=best, penalty=penalty
        )

    def write(self, params, views, beams: int, best=1, temperature=0.0) -> list[list[tuple[str, float]]]:
        """Of each view its `best` captions, the most likely first: (text, log p). Found by beam search; with a
        temperature, drawn."""
        size, key = self.config.decode.batch, jax.random.key(self.config.seed)
        out = []
        for number, part in enumerate(cut(views, size)):
            count = len(jax.tree.leaves(part)[0])
            asked = params, filled(part, size), jax.random.fold_in(key, number)
            texts = jax.device_get(self.search(*asked, beams, best, temperature))
            text = lambda i, j, texts=texts: (
                self.vocabulary.decode(texts.tokens[:, j, i]), float(texts.logprobs[j, i])
            )  # fmt: skip
            each = [[text(i, j) for j in range(best)] for i in range(count)]
            out += [sorted(texts, key=lambda text: -text[1]) for texts in each] if temperature else each
        return out


def fit(config, workdir, net: Writer, batches: dict[str, captions.Batches]):
    """(parameters after training, figures of it)."""
    params = net.begin()
    size = sum(a.size for a in jax.tree.leaves(params))
    count, waste = batches["train"].count(), batches["train"].waste()
    print(f"{size:,} parameters, {count} updates an epoch, {waste:.1%} of all positions hold nothing", flush=True)
    config = train.in_steps(config, count)

    def loss(params, carry, batch, key):
        nats, tokens, penalty = net.score(params, batch, key)
        return (nats + penalty) / tokens, (carry, {"tokens": tokens})

    held_out = jax.jit(net.score)

    def nats_per_word(params, name):
        sums = [held_out(params, batches[name](i))[:2] for i in range(batches[name].count())]
        return sum(float(n) for n, _ in sums) / sum(float(n) for _, n in sums)

    known = getattr(net, "known", {})
    meta: dict[str, Any] = {"vocabulary": net.vocabulary.to_json(), "text": batches["train"].crc, **known}
    if any((workdir / "checkpoints").glob("[0-9]*")):
        saved = train.load_params(workdir)[1]
        for key, what in {"text": "other captions", **{key: f"another {key}" for key in known}}.items():
            if saved.get(key, meta[key]) != meta[key]:
                raise train.UserError(f"{workdir} was trained on {what}: put that back, or choose another --workdir")
    result = train.fit(
        config, workdir, params=params, loss=loss, batches=train.generate(batches["train"]), meta=meta,
        evaluate=lambda params: {"valid_loss": nats_per_word(params, "valid")},
    )  # fmt: skip
    rows = train.read_rows(workdir)
    plots.loss_curve(rows, workdir / "figures/loss.png", unit="nats per word", title=workdir.name)
    speeds = [r["steps_per_second"] * r["tokens"] for r in rows if "tokens" in r]
    out = {"valid_loss": result.metrics["valid_loss"], "ppl": math.exp(nats_per_word(result.params, "test"))}
    out |= {"padding_waste": waste, "words_per_second": round(float(np.median(speeds))), "parameters": size}
    return result.params, out | {"seconds": result.metrics["seconds"]}


def named(paths) -> dict[str, Any]:
    """path as it can be printed in one line -> path: names of files need be neither UTF-8 nor free of newlines."""
    plain = lambda path: os.fsencode(path).decode(errors="backslashreplace")
    return {plain(path).translate({9: r"\t", 10: r"\n", 13: r"\r"}): path for path in paths}


def readable(sources: dict[str, Any], read) -> tuple[dict[str, Any], dict[str, str]]:
    """(name -> read(source) of those that can be read, name -> why not of the others, which standard error is told)."""
    found, bad = {}, {}
    for name, source in sources.items():
        try:
            found[name] = read(source)
        except DataError as error:
            bad[name] = next(iter(named([str(error)])))
            print(bad[name], file=sys.stderr)
    return found, bad


def own(paths, others, read, what: str) -> tuple[dict[str, Any], dict[str, str]]:
    """`readable`, of a person's own files; standard error is told how many were not, and of those of other kinds."""
    if passed := named(others):
        count = captions.counted(len(passed), "file")
        print(f"{count} left out, of no kind that is read: {next(iter(passed))}", file=sys.stderr)
    found, bad = readable(named(paths), read)
    if bad:
        print(f"{captions.counted(len(bad), what)} of {len(found) + len(bad)} left out", file=sys.stderr)
    return found, bad


def cut(views, size: int):
    """Pieces of at most so many rows, of an array or a tree of arrays."""
    rows = len(jax.tree.leaves(views)[0])
    return [jax.tree.map(lambda a: np.asarray(a[i : i + size]), views) for i in range(0, rows, size)]


def filled(part, size: int):
    """With zeros to `size`: one shape is one compilation."""
    return jax.tree.map(lambda a: np.pad(a, ((0, size - len(a)), *[(0, 0)] * (a.ndim - 1))), part)


def judged(texts, references) -> dict[str, Any]:
    """The metrics of the best captions."""
    texts = [each[0][0] for each in texts]
    out: dict[str, Any] = {f"bleu{n}": v for n, v in enumerate(metrics.bleu_orders(texts, references), 1)}
    out |= {"rouge_l": metrics.rouge_l(texts, references), "cider_d": metrics.cider_d(texts, references)}
    return out | {"exact": float(np.mean([t in r for t, r in zip(texts, references, strict=True)]))}


def save(path, names, texts):
    """A CSV of the best caption of each picture."""
    held = io.StringIO()
    rows = csv.writer(held)
    rows.writerow(("image", "caption", "logprob"))
    rows.writerows((name, text, f"{v:.3f}") for name, ((text, v), *_) in zip(names, texts, strict=True))
    write_atomically(path, held.getvalue())
