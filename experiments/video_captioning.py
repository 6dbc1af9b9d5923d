"""Video captioning by S2VT: one recurrent stack reads the frames of a clip, and then writes a sentence about it.

    python -m experiments.video_captioning [--config=configs/video_captioning/<run>.py] [--config.cell=gru]
    python -m experiments.video_captioning --config.data.shuffle=True          a control: frames in random order
    python -m experiments.video_captioning --config.mode=caption --workdir=DIR --config.clips=FILE.gif,FOLDER
        sentences about one's own clips by a trained model: DIR/captions.csv

A small CNN that is trained along makes a vector of each frame (rnn_jax/models/vision), or features are given. The loss
is -sum log p(word) over the words of a batch, over their number.

Training writes DIR/test_captions.csv, its sentences about the test part, and results.json, of that part with a beam of
config.decode.beams: exact (share of sentences right to the last word), direction_accuracy (share of the directions up,
down, left, right that stand where they should; one too many costs nothing here: exact tells it),
direction_accuracy_shuffled and exact_shuffled (the same clips with their frames in random order), direction_chance (a
half: what the frames without their order tell, rnn_jax/data/clips.py); bleu1 ... bleu4, rouge_l, cider_d; ppl,
valid_loss, padding_waste, words_per_second, parameters, seconds.
"""

import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments import writing
from rnn_jax import cells, plots, train
from rnn_jax.data import DataError, captions, clips, words
from rnn_jax.models import vision
from rnn_jax.models.language import cross_entropy
from rnn_jax.models.video import S2VT
from rnn_jax.nn import functional


def main(config: Any, workdir):
    if config.mode == "caption":
        return caption(config, workdir)
    found = clips.load(config.data)
    print(found.report, flush=True)
    parts = {"train": part(config, found.train, "train")}
    shape = parts["train"][1]["frames"].shape[2:]
    parts |= {name: part(config, getattr(found, name), name, shape) for name in ("valid", "test")}
    net = Network(config, found.vocabulary, shape)
    made = partial(captions.Batches, seed=config.seed)
    sizes = found.vocabulary, config.data.batch, config.data.shapes
    params, out = writing.fit(config, workdir, net, {name: made(*each, *sizes) for name, each in parts.items()})
    kept, views = parts["test"]
    references = [list(map(captions.tokens, clip.captions)) for clip in kept]
    texts = net.write(params, views, config.decode.beams)
    out |= writing.judged(texts, references)
    if config.data.source in ("shapes", "digits"):
        mixed = views | {"frames": clips.shuffled(views["frames"], views["counts"])}
        others = net.write(params, mixed, config.decode.beams)
        out |= {"direction_accuracy": directed(texts, references), "direction_chance": 0.5}
        out["direction_accuracy_shuffled"] = directed(others, references)
        out["exact_shuffled"] = writing.judged(others, references)["exact"]
    writing.save(workdir / "test_captions.csv", [clip.name for clip in kept], texts)
    shown = range(min(config.samples, len(kept)))
    for i in shown:
        print(f"  {texts[i][0][0]} (log p {texts[i][0][1]:.2f}); wanted: {references[i][0]}")
    if views["frames"].ndim == 5:
        strip = lambda i: (views["frames"][i, : views["counts"][i]], f"{texts[i][0][0]} ({texts[i][0][1]:.2f})")
        plots.frame_strip([strip(i) for i in shown], workdir / "figures/clips.png")
    return out


def part(config, found: list[captions.Picture], name: str, shape=None):
    """The clips that can be read and whose frames are of the shape, and their views; the others are told."""
    frames, counts, bad = clips.frames(config.data, found, shape)
    if bad:
        print(f"{name}: {captions.counted(len(bad), 'clip')} left out; the first: {bad[0][1]}", flush=True)
    keep = np.flatnonzero(counts)
    return [found[i] for i in keep], {"frames": frames[keep], "counts": counts[keep]}


def stack(config, targets: int, k: int) -> S2VT:
    """The recurrent layers, of so many words and vectors of k numbers."""
    sizes = {name: config[name] for name in ("embed", "dropout", "dropout_out")}
    return S2VT(getattr(cells, config.cell)(), targets, k, d=config.width, **sizes)


class Network(writing.Writer):
    """The CNN and the recurrent stack that a config names, as functions of their parameters."""

    def __init__(self, config, vocabulary, shape: tuple[int, ...]):
        self.config, self.vocabulary = config, vocabulary
        self.known = {"frames": list(shape)}
        self.cnn, self.rebuild = {}, None
        k = shape[-1]
        if len(shape) == 3:
            cnn = vision.make("small", rngs=nnx.Rngs(config.seed), widths=config.encoder.widths)
            self.cnn, self.rebuild = functional(cnn)
            k = int(np.prod(jax.eval_shape(cnn, jnp.zeros((1, *shape), jnp.uint8)).shape))
        self.model = stack(config, len(vocabulary), k)

    def begin(self) -> Any:
        return {"decoder": self.model.init(jax.random.key(self.config.seed)), "encoder": self.cnn}

    def seen(self, params, frames):
        """Vectors [t b k] of frames [b t ...]."""
        if self.rebuild is None:
            return jnp.swapaxes(frames, 0, 1).astype(jnp.float32)
        b, t = frames.shape[:2]
        grid = self.rebuild(params["encoder"])(frames.reshape(b * t, *frames.shape[2:]))
        return jnp.swapaxes(grid.reshape(b, t, -1), 0, 1)

    def score(self, params, batch, key=None):
        inputs, target = batch["inputs"].T, batch["target"].T
        seen = self.seen(params, batch["frames"])
        logits = self.model.logits(params["decoder"], seen, batch["counts"], inputs, key=key)
        within = jnp.arange(len(inputs))[:, None] < batch["lengths"]
        return jnp.sum(jnp.where(within, cross_entropy(logits, target), 0)), jnp.sum(within), 0.0

    def opening(self, params, views):
        carry = self.model.read(params["decoder"], self.seen(params, views["frames"]), views["counts"])
        return params["decoder"], carry


def directed(texts, references) -> float:
    """The share of the directions that stand where they should: the i-th that is wanted is the i-th that is said.
    One that is said after those costs nothing: `exact` tells it."""
    ways = lambda text: [word for word in text.split() if word in clips.DIRECTIONS]
    wanted, found = [ways(r[0]) for r in references], [ways(each[0][0]) for each in texts]
    right = sum(a == b for w, f in zip(wanted, found, strict=True) for a, b in zip(w, f, strict=False))
    return right / sum(map(len, wanted))


def caption(config, workdir):
    """A line for each clip: its name, a tab, the sentence, a tab, its log p. What cannot be read, or has another shape
    than in training, is told on standard error."""
    want = config.data
    found, others = clips.found(config.clips), clips.others(config.clips)
    read, _ = writing.own(found, others, lambda path: clips.read(path, want.pixels, want.frames), "clip")
    if not read:
        raise DataError(f"config.clips={config.clips}: no clip can be read")
    given = [captions.Picture(name, clip, []) for name, clip in read.items()]
    saved = train.load_params(workdir)[1]
    frames, counts, bad = clips.frames(want, given, saved.get("frames"))  # an older run keeps no shape
    for _, why in bad:
        print(why, file=sys.stderr)
    keep = np.flatnonzero(counts)
    names = [given[i].name for i in keep]
    net = Network(config, words.from_json(saved["vocabulary"]), frames.shape[2:])
    params = train.load_params(workdir, net.begin())[0]
    texts = net.write(params, {"frames": frames[keep], "counts": counts[keep]}, config.decode.beams)
    writing.save(workdir / "captions.csv", names, texts)
    for name, ((text, logprob), *_) in zip(names, texts, strict=True):
        print(f"{name}\t{text}\t{logprob:.2f}")


def check(config):
    counts = "width embed samples data.batch data.shapes data.pixels decode.beams decode.batch decode.longest"
    train.require(
        config,
        one_of={"mode": ("train", "caption"), "cell": cells.known()},
        at_least={1: counts},
        shares="dropout dropout_out",
    )
    widths = config.encoder.widths
    if not widths or min(widths) < 1:
        raise ValueError(f"config.encoder.widths={widths}: want a number of channels, at least 1, for each layer")
    if config.data.source != "features" and config.data.pixels < 2 ** len(widths):
        least = f"want at least {2 ** len(widths)}, which config.encoder.widths halves {len(widths)} times"
        raise ValueError(f"config.data.pixels={config.data.pixels}: {least}")
    model = stack(config, 4, 1)
    frame, count, word = jnp.zeros((1, 1, 1)), jnp.ones(1, int), jnp.zeros((1, 1), int)
    jax.eval_shape(lambda key: model.logits(model.init(key), frame, count, word), jax.random.key(0))  # ValueError
    if config.mode == "train":
        clips.check(config.data)
        if config.data.source in ("folder", "features"):
            clips.load(config.data)
    elif not clips.found(config.clips):
        raise ValueError(f"config.clips={config.clips!r}: name GIFs, folders of frames or .npz, with commas between")


if __name__ == "__main__":
    train.cli.run(main, study="video_captioning", check=check)
