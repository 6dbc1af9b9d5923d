"""Captioning: a CNN sees a picture, an RNN writes what is on it, and how likely it finds that.

    python -m experiments.captioning [--config=configs/captioning/<run>.py] [--config.cell=gru]
    python -m experiments.captioning --config.mode=caption --workdir=DIR --config.images=FILE,FOLDER
        captions of one's own pictures by a trained model: DIR/captions.csv, and DIR/captions.html with the pictures;
        --config.decode.temperature=0.7 draws them, --config.decode.best=3 shows three of each
    python -m experiments.captioning --config.mode=judge --workdir=DIR --config.decode.beams=10
        the metrics of a trained model, searched in another way, on the validation part (config.decode.part)

The CNN (rnn_jax/models/vision) is trained along, or frozen: then its features are computed once and kept. The decoder
(rnn_jax/models/captioner.py) has them as its first state, as its first word, or under its attention. The loss is
-sum log p(word) over the words of a batch, over their number, and of attention the doubly stochastic penalty.

results.json, of the test part with a beam of config.decode.beams: bleu1 ... bleu4, rouge_l (percent), cider_d, exact
(share of captions that are one of the references), bleu4_greedy; shuffled_image_bleu4 and shuffled_image_cider_d (the
same model, each picture's caption from another picture), no_image_bleu4 and no_image_cider_d (the same decoder trained
without pictures, config.baseline_steps); ppl, valid_loss, padding_waste, words_per_second, parameters, seconds;
views_seconds, in which all pictures were read and their features computed, or found in the cache. The captions of the
test part are in test_captions.csv.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments import writing
from rnn_jax import cells, pages, plots, train
from rnn_jax.data import DataError, cached, captions, fetched, pictures, words
from rnn_jax.models import vision
from rnn_jax.models.captioner import Captioner, unbalanced
from rnn_jax.models.language import cross_entropy
from rnn_jax.nn import functional

SQUEEZENET = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


def main(config: Any, workdir):
    if config.mode != "train":
        return {"caption": caption, "judge": judge}[config.mode](config, workdir)
    found, eye = captions.load(config.data), sight(config)
    print(found.report, flush=True)
    began = time.perf_counter()
    sides = (False, True)[: 1 + config.flip]
    looks = [pictures.Look(corner, side) for corner in (None, *range(config.crops)) for side in sides]
    parts = {name: part(config, eye, getattr(found, name), name) for name in ("valid", "test")}
    parts["train"] = part(config, eye, found.train, "train", looks)
    seeing = round(time.perf_counter() - began, 3)
    net = Network(config, eye, found.vocabulary)
    params, out = writing.fit(config, workdir, net, batches(config, parts, found.vocabulary))
    views, references = parts["test"].views, parts["test"].references
    texts = net.write(params, views, config.decode.beams)
    out |= writing.judged(texts, references)
    out["bleu4_greedy"] = writing.judged(net.write(params, views, 1), references)["bleu4"]
    if len(references) > 1:
        others = net.write(params, views[captions.deranged(len(references))], config.decode.beams)
        shuffled = writing.judged(others, references)
        out |= {f"shuffled_image_{key}": shuffled[key] for key in ("bleu4", "cider_d")}
    out["views_seconds"] = seeing
    show(config, workdir, net, params, parts["test"], texts)
    if config.baseline_steps:
        blind = config.copy_and_resolve_references()
        blind.steps, blind.seen = config.baseline_steps, "none"
        print("the same without pictures", flush=True)
        params, _ = writing.fit(blind, workdir / "no_image", net, batches(blind, parts, found.vocabulary))
        texts = net.write(params, 0 * views[:1], config.decode.beams) * len(references)
        out |= {f"no_image_{k}": v for k, v in writing.judged(texts, references).items() if k in ("bleu4", "cider_d")}
    return out


# ------------------------------------------------------------------------------------------------------------- seeing


class Sight(NamedTuple):
    """How pictures reach the decoder: as pixels, through a CNN that is trained, or as features that are not."""

    size: int  # pixels of a side
    channels: int
    params: Any  # of the trained CNN; {} of a frozen one
    apply: Callable  # (params, a batch's views) -> features [b p q k]
    encode: Callable | None  # of a frozen one: uint8 [b size size 3] -> features
    key: str  # what cached features are known by


class Part(NamedTuple):
    pictures: list[captions.Picture]
    views: Any  # [n ...]: features or pixels
    also: list[Any]  # the same, as training sees the pictures otherwise

    @property
    def references(self) -> list[list[str]]:
        """What people wrote about each picture."""
        return [[captions.tokens(text) for text in picture.captions] for picture in self.pictures]


def sight(config) -> Sight:
    want = config.encoder
    weights = want.weights
    if want.name == "squeezenet" and not weights:
        source = "weights/ of the repository rcmalli/keras-squeezenet, commit 8cebee42"
        weights = str(fetched.files(config.data.root, "squeezenet_v1.1", [SQUEEZENET], source)[0])
    sizes = {"widths": want.widths} if want.name == "small" else {}
    cnn: Any = vision.make(want.name, weights, rngs=nnx.Rngs(config.seed), **sizes)
    size = config.data.pixels or cnn.size
    grid = jax.eval_shape(cnn, jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)).shape
    if min(grid) < 1:
        raise ValueError(f"config.data.pixels={size}: too few for {want.name}, whose grid would be {list(grid[1:3])}")
    if want.frozen:
        key = f"{want.name} {vision.fingerprint(cnn)}"
        return Sight(size, cnn.channels, {}, lambda _, seen: seen.astype(jnp.float32), vision.frozen(cnn), key)
    params, rebuild = functional(cnn)
    return Sight(size, cnn.channels, params, lambda params, seen: rebuild(params)(seen), None, "")


def part(config, eye: Sight, found: list[captions.Picture], name="", looks=(pictures.Look(),)) -> Part:
    """The pictures that can be read, and how they look; the others are told."""
    views, bad = zip(*(seen(config, eye, found, look) for look in looks), strict=True)
    if bad := bad[0]:
        print(f"{name}: {captions.counted(len(bad), 'picture')} left out: {bad[0][1]}", flush=True)
        keep = np.setdiff1d(np.arange(len(found)), [i for i, _ in bad])
        found, views = [found[i] for i in keep], [each[keep] for each in views]
    if not found:
        raise DataError(f"{config.data.source}: no picture of the {name} part can be read")
    return Part(found, views[0], list(views[1:]))


def seen(config, eye: Sight, found: list[captions.Picture], look: pictures.Look):
    """(views [n ...], unreadable ones: (number, reason))."""
    encode = eye.encode
    if encode is not None:
        key = eye.key + str(look)
        return cached.features(
            found, lambda images: encode(look(images)), key=key, size=eye.size, folder=config.data.cache
        )
    views, bad = np.zeros((len(found), eye.size, eye.size, 3), np.uint8), []
    for i, picture in enumerate(found):
        try:
            views[i] = pictures.read(picture.source, eye.size)
        except DataError as error:
            bad.append((i, str(error)))
    return look(views), bad


# ----------------------------------------------------------------------------------------------------------- training


class Network(writing.Writer):
    """The CNN and the decoder that a config names, as functions of their parameters."""

    def __init__(self, config, eye: Sight, vocabulary):
        self.config, self.eye, self.vocabulary = config, eye, vocabulary
        self.known = {"encoder": eye.key} if eye.key else {}
        names = ("see", "inform", "attention", "when", "feed", "gate", "embed", "layers", "deep")
        names += ("dropout", "dropout_out", "dropout_seen", "variational")
        sizes = {name: config[name] for name in names}
        cell = getattr(cells, config.cell)()
        self.model = Captioner(cell, len(vocabulary), config.width, channels=eye.channels, **sizes)

    def begin(self) -> Any:
        """The parameters that training starts with."""
        return {"decoder": self.model.init(jax.random.key(self.config.seed)), "encoder": self.eye.params}

    def score(self, params, batch, key=None):
        """(-sum log p, number of words, config.balance times the penalty of attention) of a batch; with a key as in
        training: dropout, smoothing."""
        inputs, target = batch["inputs"].T, batch["target"].T
        segments = (jnp.arange(len(inputs))[:, None] < batch["lengths"]).astype(jnp.int32)
        features = self.eye.apply(params["encoder"], batch["seen"])
        collect = ("attention",) if self.config.balance else ()
        logits = self.model.logits(params["decoder"], features, inputs, segments, key=key, collect=collect)
        penalty = 0.0
        if collect:
            logits, seen = logits
            penalty = self.config.balance * jnp.sum(unbalanced(seen["attention"]) * (batch["lengths"] > 0))
        nats = cross_entropy(logits, target, 0.0 if key is None else self.config.smoothing)
        return jnp.sum(jnp.where(segments > 0, nats, 0)), jnp.sum(segments), penalty

    def opening(self, params, views):
        memory = self.model.look(self.eye.apply(params["encoder"], views))
        return self.model.begin(params["decoder"], memory)

    def attended(self, params, view, text: list[int]):
        """The attention over the positions [t p q] with which a caption is written."""
        features = self.eye.apply(params["encoder"], jnp.asarray(view)[None])
        inputs = jnp.asarray([words.START, *text[:-1]])[:, None]
        args = params["decoder"], features, inputs, jnp.ones_like(inputs)
        weights = self.model.logits(*args, collect=("attention",))[1]["attention"]
        return np.asarray(weights[..., 0]).reshape(len(text), *features.shape[1:3])


def batches(config, parts: dict[str, Part], vocabulary) -> dict[str, captions.Batches]:
    sizes = vocabulary, config.data.batch, config.data.shapes
    made = partial(captions.Batches, seed=config.seed, seen=config.seen)
    also = lambda each: [{"seen": views} for views in each.also]
    return {name: made(each.pictures, {"seen": each.views}, *sizes, also=also(each)) for name, each in parts.items()}


# ------------------------------------------------------------------------------------------------------------ writing


def show(config, workdir, net: Network, params, part: Part, texts):
    """test_captions.csv, the most and the least likely captions as a sheet, some attention as pictures."""
    writing.save(workdir / "test_captions.csv", [p.name for p in part.pictures], texts)
    order, count = np.argsort([-each[0][1] for each in texts]), min(config.samples, len(texts))
    middle = (len(order) - count) // 2
    groups = {"most likely": 0, "in between": middle, "least likely": len(order) - count}
    groups = {name: order[at : at + count] for name, at in groups.items()}
    image = lambda i: pictures.whole(part.pictures[i].source, max(net.eye.size, 128))
    sheet = [(name, [(image(i), *texts[i][0]) for i in which]) for name, which in groups.items()]
    plots.contact_sheet(sheet, workdir / "figures/captions.png")
    for name, which in groups.items():
        for i in which[:2]:
            text, logprob = texts[i][0]
            wanted = captions.tokens(part.pictures[i].captions[0])
            print(f"  {name}: {text} (log p {logprob:.2f}); a person: {wanted}")
    if config.inform != "attention":
        return
    for number, i in enumerate(order[np.linspace(0, len(order) - 1, count).astype(int)]):
        text = net.vocabulary.encode(texts[i][0][0])
        if text:
            maps = net.attended(params, part.views[i], text)
            path = workdir / f"figures/attention_{number}.png"
            plots.attention_over(image(i), net.vocabulary.pieces(text), maps, path)


class Trained:
    """The model of a finished run: captions of pictures of net.eye.size pixels a side."""

    def __init__(self, config, workdir):
        saved = train.load_params(workdir)[1]
        self.net = Network(config, sight(config), words.from_json(saved["vocabulary"]))
        for key, value in self.net.known.items():
            if saved.get(key, value) != value:
                raise train.UserError(
                    f"{workdir} was trained on the features of other weights: name those by config.encoder.weights, or "
                    "config.data.root"
                )
        self.params = train.load_params(workdir, self.net.begin())[0]

    def __call__(self, images, best=1):
        """Of each picture, uint8 [size size 3], its `best` captions, best first: (text, log p)."""
        decode, eye = self.net.config.decode, self.net.eye
        views = np.stack(images)
        if eye.encode is not None:
            made = [
                eye.encode(writing.filled(part, decode.batch))[: len(part)] for part in writing.cut(views, decode.batch)
            ]
            views = np.concatenate(made)
        return self.write(views, best)

    def write(self, views, best=1):
        """The same, of features, or of pixels where the CNN was trained along."""
        decode = self.net.config.decode
        return self.net.write(self.params, views, decode.beams, best, decode.get("temperature", 0.0))


def caption(config, workdir):
    """A line for each picture: its name, a tab, the caption, a tab, its log p. What cannot be read is told on standard
    error, and stands in the page."""
    trained, found = Trained(config, workdir), pictures.found(config.images)
    read = lambda path: pictures.read(path, trained.net.eye.size)
    images, bad = writing.own(found, pictures.others(config.images), read, "picture")
    if not images:
        raise DataError(f"config.images={config.images}: no picture can be read")
    texts = trained(list(images.values()), config.decode.best)
    writing.save(workdir / "captions.csv", images, texts)
    for name, ((text, logprob), *_) in zip(images, texts, strict=True):
        print(f"{name}\t{text}\t{logprob:.2f}")
    paths = writing.named(found)
    shown = [pictures.whole(paths[name], 320) for name in images]
    items = [(name, image, each, "") for name, image, each in zip(images, shown, texts, strict=True)]
    items += [(name, None, [], why) for name, why in bad.items()]
    page = pages.captions_page(items, workdir / "captions.html", title=f"Captions by {workdir.name}")
    print(f"{captions.counted(len(texts), 'caption')}: {page}", file=sys.stderr)


def judge(config, workdir):
    """The metrics of a part, of its pictures that can be read."""
    name = config.decode.part
    trained = Trained(config, workdir)
    found = captions.load(config.data)
    with contextlib.redirect_stdout(sys.stderr):  # standard output has the metrics alone
        print(found.report)
        held = part(config, trained.net.eye, getattr(found, name), name)
    return {"part": name} | writing.judged(trained.write(held.views), held.references)


def check(config):
    counts = "width embed layers samples data.batch data.shapes decode.beams decode.best decode.batch decode.longest"
    train.require(
        config,
        one_of={
            "mode": ("train", "caption", "judge"), "cell": cells.known(), "seen": captions.SEEN,
            "decode.part": captions.PARTS, "encoder.name": vision.NAMES,
        },
        at_least={1: counts, 0: "deep baseline_steps balance data.pixels decode.temperature decode.top_k"},
        shares="dropout dropout_out dropout_seen smoothing",
    )  # fmt: skip
    if not 0 < config.decode.top_p <= 1:
        raise ValueError(f"config.decode.top_p={config.decode.top_p}: want a probability above 0, 1 at most")
    if not np.isfinite(config.decode.length_power):
        raise ValueError(f"config.decode.length_power={config.decode.length_power}: want a number")
    if not config.encoder.widths or min(config.encoder.widths) < 1:
        raise ValueError(f"config.encoder.widths={config.encoder.widths}: want at least one, each at least 1")
    if not 0 <= config.crops <= 4 or (config.crops and 0 < config.data.pixels < 8):
        raise ValueError(f"config.crops={config.crops}: want 0 to 4, the corners of a picture of at least 8 pixels")
    if config.decode.best > config.decode.beams and not config.decode.temperature:
        raise ValueError(f"config.decode.best={config.decode.best}: want at most decode.beams={config.decode.beams}")
    if config.balance and config.inform != "attention":
        raise ValueError(
            f"config.balance={config.balance} is a penalty of attention: set config.inform=attention, or 0"
        )
    if config.mode == "caption" and not pictures.found(config.images):
        what = (
            f"no picture ({', '.join(pictures.ENDS)}) is there"
            if config.images
            else "name pictures, or folders of them, with commas between"
        )
        raise ValueError(f"config.images={config.images!r}: {what}")
    # What its parts refuse is said before anything is read or written.
    model, one = Network(config, eye := sight(config), words.SPECIAL).model, jnp.ones((1, 1), jnp.int32)
    view = jnp.zeros((1, 1, 1, eye.channels))
    jax.eval_shape(lambda key: model.logits(model.init(key), view, one, one), jax.random.key(0))
    if config.mode != "caption" and config.data.source in ("flickr8k", "folder"):
        captions.load(config.data)


if __name__ == "__main__":
    train.cli.run(main, study="captioning", check=check)
