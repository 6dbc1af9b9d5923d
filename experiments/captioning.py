"""Captioning: a CNN sees a picture, an RNN writes what is on it, and how likely it finds that.

    python -m experiments.captioning [--config=configs/captioning/<run>.py] [--config.cell=gru]
    python -m experiments.captioning --config.mode=caption --workdir=DIR --config.images=FILE,FOLDER
        captions of one's own pictures by a trained model: DIR/captions.csv, and DIR/captions.html with the pictures

The CNN (rnn_jax/models/vision) is trained along, or frozen: then its features are computed once and kept. The decoder
(rnn_jax/models/captioner.py) has them as its first state, as its first word, or under its attention. The loss is
-sum log p(word) over the words of a batch, over their number, and of attention the doubly stochastic penalty.

results.json, of the test part with a beam of config.decode.beams: bleu1 ... bleu4, rouge_l (percent), cider_d, exact
(share of captions that are one of the references), bleu4_greedy; shuffled_image_bleu4 and shuffled_image_cider_d (the
same model, each picture's caption from another picture), no_image_bleu4 and no_image_cider_d (the same decoder trained
without pictures, config.baseline_steps); ppl, valid_loss, padding_waste, words_per_second, parameters, seconds.
"""

import csv
import math
import sys
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, decoding, metrics, pages, plots, train
from rnn_jax.data import DataError, cached, captions, fetched, packing, pictures, words
from rnn_jax.models import vision
from rnn_jax.models.captioner import Captioner, unbalanced
from rnn_jax.models.language import cross_entropy
from rnn_jax.nn import functional

SEEN = ("right", "none", "shuffled")
SQUEEZENET = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


def main(config: Any, workdir):
    if config.mode == "caption":
        return caption(config, workdir)
    found, eye = captions.load(config.data), sight(config)
    print(found.report, flush=True)
    parts = {name: part(config, eye, getattr(found, name), name) for name in ("train", "valid", "test")}
    model, result, out = run(config, workdir, eye, parts, found.vocabulary)
    write = partial(written, config, model, eye, result.params, found.vocabulary)
    views, references = parts["test"].views, [list(map(captions.tokens, p.captions)) for p in parts["test"].pictures]
    texts = write(views, beams=config.decode.beams)
    out |= judged([each[0][0] for each in texts], references)
    out["bleu4_greedy"] = judged([each[0][0] for each in write(views, beams=1)], references)["bleu4"]
    others = [each[0][0] for each in write(views[deranged(len(references))], beams=config.decode.beams)]
    out |= {f"shuffled_image_{k}": v for k, v in judged(others, references).items() if k in ("bleu4", "cider_d")}
    show(config, workdir, model, eye, result.params, found.vocabulary, parts["test"], texts)
    if config.baseline_steps:
        blind = config.copy_and_resolve_references()
        blind.steps, blind.seen, blind.flip = config.baseline_steps, "none", False
        print("the same without pictures", flush=True)
        model, result, _ = run(blind, workdir / "no_image", eye, parts, found.vocabulary)
        (same,) = written(blind, model, eye, result.params, found.vocabulary, 0 * views[:1], beams=config.decode.beams)
        texts = [same[0][0]] * len(references)
        out |= {f"no_image_{k}": v for k, v in judged(texts, references).items() if k in ("bleu4", "cider_d")}
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
    views: Any  # [n ...]: features or pixels; with config.flip [2 n ...], those of the mirrored pictures behind


def sight(config) -> Sight:
    want = config.encoder
    weights = want.weights
    if want.name == "squeezenet" and not weights:
        source = "weights/ of the repository rcmalli/keras-squeezenet, commit 8cebee42"
        weights = str(fetched.files(config.data.root, "squeezenet_v1.1", [SQUEEZENET], source)[0])
    sizes = {"widths": want.widths} if want.name == "small" else {}
    cnn: Any = vision.make(want.name, weights, rngs=nnx.Rngs(config.seed), **sizes)
    size = config.data.pixels or cnn.size
    if want.frozen:
        key = f"{want.name} {vision.fingerprint(cnn)}"
        return Sight(size, cnn.channels, {}, lambda _, seen: seen.astype(jnp.float32), vision.frozen(cnn), key)
    params, rebuild = functional(cnn)
    return Sight(size, cnn.channels, params, lambda params, seen: rebuild(params)(seen), None, "")


def part(config, eye: Sight, found: list[captions.Picture], name="") -> Part:
    """The pictures that can be read, and how they look; the others are told."""
    views, bad = seen(config, eye, found)
    if config.flip and name == "train":
        mirrored = seen(config, eye, found, flip=True)[0]
        views = np.concatenate([views, mirrored])
    if bad:
        print(f"{name}: {len(bad)} pictures cannot be read and are left out: {bad[0][1]}", flush=True)
        keep = np.setdiff1d(np.arange(len(found)), [i for i, _ in bad])
        rows = [keep + at for at in range(0, len(views), len(found))]
        found, views = [found[i] for i in keep], views[np.concatenate(rows)]
    if not found:
        raise DataError(f"{config.data.source}: no picture of the {name} part can be read")
    return Part(found, views)


def seen(config, eye: Sight, found: list[captions.Picture], flip=False):
    """(views [n ...], unreadable ones: (number, reason))."""
    encode = eye.encode
    if encode is not None:
        turned = (lambda images: encode(images[:, :, ::-1])) if flip else encode
        key = eye.key + " mirrored" * flip
        return cached.features(found, turned, key=key, size=eye.size, folder=config.data.cache)
    views, bad = np.zeros((len(found), eye.size, eye.size, 3), np.uint8), []
    for i, picture in enumerate(found):
        try:
            views[i] = pictures.read(picture.source, eye.size)
        except DataError as error:
            bad.append((i, str(error)))
    return views[:, :, ::-1] if flip else views, bad


def deranged(n: int):
    """An order of n pictures in which each is another one (Sattolo, 1986)."""
    order, rng = np.arange(n), np.random.default_rng(0)
    for i in range(n - 1, 0, -1):
        j = rng.integers(i)
        order[[i, j]] = order[[j, i]]
    return order


# ----------------------------------------------------------------------------------------------------------- training


class Captions:
    """make(i) -> batch i, for `train.generate`: captions of like length (packing.Bucketed), and views of their
    pictures, each mirrored or not by a coin where the part has mirrored ones."""

    def __init__(self, config, part: Part, vocabulary):
        rows = [(i, captions.tokens(text)) for i, p in enumerate(part.pictures) for text in p.captions]
        texts = [vocabulary.encode(text) for _, text in rows]
        columns = {"inputs": [[words.START, *t] for t in texts], "target": [[*t, words.END] for t in texts]}
        self.bucketed = packing.Bucketed(columns, config.data.batch, config.data.shapes, config.seed)
        self.part, self.seed = part, config.seed
        self.picture = np.array([i for i, _ in rows])
        self.blind = config.seen == "none"
        if config.seen == "shuffled":
            self.picture = deranged(len(part.pictures))[self.picture]

    def __call__(self, i: int):
        batch = self.bucketed(i)
        at, n = self.picture[batch.pop("items")], len(self.part.pictures)
        if len(self.part.views) > n:
            at = at + n * np.random.default_rng((self.seed, i)).integers(2, size=len(at))
        seen = np.asarray(self.part.views[at])
        return batch | {"seen": np.zeros_like(seen) if self.blind else seen}


def make(config, eye: Sight, vocabulary) -> Captioner:
    names = ("see", "inform", "attention", "when", "feed", "gate", "embed", "layers", "deep")
    names += ("dropout", "dropout_out", "dropout_seen", "variational")
    sizes = {name: config[name] for name in names}
    return Captioner(getattr(cells, config.cell)(), len(vocabulary), config.width, channels=eye.channels, **sizes)


def begin(config, model: Captioner, eye: Sight):
    """The parameters that training starts with."""
    return {"decoder": model.init(jax.random.key(config.seed)), "encoder": eye.params}


def run(config, workdir, eye: Sight, parts: dict[str, Part], vocabulary):
    """(model, what `fit` gives, figures of the training)."""
    model = make(config, eye, vocabulary)
    params = begin(config, model, eye)
    size = sum(a.size for a in jax.tree.leaves(params))
    batches = {name: Captions(config, parts[name], vocabulary) for name in parts}
    count, waste = batches["train"].bucketed.count(), batches["train"].bucketed.waste()
    print(f"{size:,} parameters, {count} updates an epoch, {waste:.1%} of all positions hold nothing", flush=True)
    config = train.in_steps(config, count)

    def loss(params, carry, batch, key):
        nats, tokens, penalty = score(config, model, eye, params, batch, key)
        return (nats + config.balance * penalty) / tokens, (carry, {"tokens": tokens})

    held_out = jax.jit(partial(score, config, model, eye))

    def nats_per_word(params, name):
        each = batches[name]
        sums = [held_out(params, each(i))[:2] for i in range(each.bucketed.count())]
        return sum(float(n) for n, _ in sums) / sum(float(n) for _, n in sums)

    meta: dict[str, Any] = {"vocabulary": vocabulary.to_json()}
    meta["text"] = zlib.crc32(repr([p.captions for p in parts["train"].pictures]).encode())
    if any((workdir / "checkpoints").glob("[0-9]*")) and train.load_params(workdir)[1]["text"] != meta["text"]:
        raise train.UserError(f"{workdir} was trained on other captions: put those back, or choose another --workdir")
    result = train.fit(
        config, workdir, params=params, loss=loss, batches=train.generate(batches["train"]), meta=meta,
        evaluate=lambda params: {"valid_loss": nats_per_word(params, "valid")},
    )  # fmt: skip
    rows = train.read_rows(workdir)
    plots.loss_curve(rows, workdir / "figures/loss.png", unit="nats per word", title=workdir.name)
    speeds = [r["steps_per_second"] * r["tokens"] for r in rows if "tokens" in r]
    out = {"valid_loss": result.metrics["valid_loss"], "ppl": math.exp(nats_per_word(result.params, "test"))}
    out |= {"padding_waste": waste, "words_per_second": round(float(np.median(speeds))), "parameters": size}
    return model, result, out | {"seconds": result.metrics["seconds"]}


def score(config, model: Captioner, eye: Sight, params, batch, key=None):
    """(-sum log p, number of words, penalty of the attention) of a batch; with a key as in training: dropout,
    smoothing."""
    inputs, target = batch["inputs"].T, batch["target"].T
    segments = (jnp.arange(len(inputs))[:, None] < batch["lengths"]).astype(jnp.int32)
    features = eye.apply(params["encoder"], batch["seen"])
    collect = ("attention",) if config.balance else ()
    logits = model.logits(params["decoder"], features, inputs, segments, key=key, collect=collect)
    penalty = 0.0
    if collect:
        logits, seen = logits
        penalty = jnp.sum(unbalanced(seen["attention"]) * (batch["lengths"] > 0))
    nats = cross_entropy(logits, target, 0.0 if key is None else config.smoothing)
    return jnp.sum(jnp.where(segments > 0, nats, 0)), jnp.sum(segments), penalty


# ------------------------------------------------------------------------------------------------------------ writing


def written(config, model: Captioner, eye: Sight, params, vocabulary, views, *, beams, best=1):
    """Of each view its `best` captions, best first: (text, log p); no unknown word is written, p is of the others."""
    want = config.decode

    def step(given, carry, tokens):
        carry, logits = model.step(given, carry, tokens)
        return carry, logits.at[..., words.UNKNOWN].set(jnp.finfo(logits.dtype).min)

    @jax.jit
    def search(params, views):
        given, carry = model.begin(params["decoder"], model.look(eye.apply(params["encoder"], views)))
        carry, logits = step(given, carry, jnp.full(len(views), words.START))
        penalty = decoding.Penalty(want.length_power)
        return decoding.beam_search(
            step, given, carry, logits, want.longest, beams=beams, end=words.END, best=best, penalty=penalty
        )

    out = []
    for part in cut(views, want.batch):
        texts = jax.device_get(search(params, filled(part, want.batch)))
        out += [
            [(vocabulary.decode(texts.tokens[:, j, i]), float(texts.logprobs[j, i])) for j in range(best)]
            for i in range(len(part))
        ]
    return out


def cut(views, size: int):
    return [np.asarray(views[at : at + size]) for at in range(0, len(views), size)]


def filled(part, size: int):
    """With zeros to `size`: one shape is one compilation."""
    return np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), part.dtype)])


def judged(texts, references) -> dict[str, Any]:
    out: dict[str, Any] = {f"bleu{n}": v for n, v in enumerate(metrics.bleu_orders(texts, references), 1)}
    out |= {"rouge_l": metrics.rouge_l(texts, references), "cider_d": metrics.cider_d(texts, references)}
    return out | {"exact": float(np.mean([t in r for t, r in zip(texts, references, strict=True)]))}


def attended(model: Captioner, eye: Sight, params, view, text: list[int]):
    """The attention over the positions [t p q] with which a caption is written."""
    features = eye.apply(params["encoder"], jnp.asarray(view)[None])
    inputs = jnp.asarray([words.START, *text[:-1]])[:, None]
    _, seen = model.logits(params["decoder"], features, inputs, jnp.ones_like(inputs), collect=("attention",))
    return np.asarray(seen["attention"][..., 0]).reshape(len(text), *features.shape[1:3])


def show(config, workdir, model, eye, params, vocabulary, part: Part, texts):
    """captions.csv of the test part, the most and the least likely captions as a sheet, some attention as pictures."""
    with (workdir / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "caption", "logprob"))
        rows.writerows((p.name, t, f"{v:.3f}") for p, ((t, v), *_) in zip(part.pictures, texts, strict=True))
    order, count = np.argsort([-each[0][1] for each in texts]), min(config.samples, len(texts))
    middle = (len(order) - count) // 2
    groups = {
        "most likely": order[:count],
        "in between": order[middle : middle + count],
        "least likely": order[-count:],
    }
    image = lambda i: pictures.read(part.pictures[i].source, max(eye.size, 128))
    rows = [(name, [(image(i), *texts[i][0]) for i in which]) for name, which in groups.items()]
    plots.contact_sheet(rows, workdir / "figures/captions.png")
    for name, which in groups.items():
        for i in which[:2]:
            text, logprob = texts[i][0]
            wanted = captions.tokens(part.pictures[i].captions[0])
            print(f"  {name}: {text} (log p {logprob:.2f}); a person: {wanted}")
    if config.inform != "attention":
        return
    for number, i in enumerate(order[np.linspace(0, len(order) - 1, count).astype(int)]):
        text = vocabulary.encode(texts[i][0][0])
        if text:
            maps = attended(model, eye, params, part.views[i], text)
            plots.attention_over(image(i), vocabulary.pieces(text), maps, workdir / f"figures/attention_{number}.png")


class Trained:
    """The model of a finished run: captions of pictures, given as `pictures.read` takes them or as [n h w 3]."""

    def __init__(self, config, workdir):
        self.vocabulary = words.from_json(train.load_params(workdir)[1]["vocabulary"])
        self.config, self.eye = config, sight(config)
        self.model = make(config, self.eye, self.vocabulary)
        self.params = train.load_params(workdir, begin(config, self.model, self.eye))[0]

    def __call__(self, images, best=1):
        """Of each picture its `best` captions, best first: (text, log p)."""
        views = np.stack([pictures.read(image, self.eye.size) for image in images])
        decode, encode = self.config.decode, self.eye.encode
        if encode is not None:
            views = np.concatenate(
                [encode(filled(part, decode.batch))[: len(part)] for part in cut(views, decode.batch)]
            )
        return written(
            self.config, self.model, self.eye, self.params, self.vocabulary, views, beams=decode.beams, best=best
        )


def caption(config, workdir):
    """A line for each picture: its name, a tab, the caption, a tab, its log p. What cannot be read is told on standard
    error, and stands in the page."""
    images, bad = {}, {}
    for path in pictures.found(config.images):
        try:
            images[path] = pictures.read(path, 320)
        except DataError as error:
            print(error, file=sys.stderr)
            bad[path] = str(error)
    texts = Trained(config, workdir)(list(images), config.decode.best) if images else []
    items = [(str(path), images[path], each, "") for path, each in zip(images, texts, strict=True)]
    items += [(str(path), None, [], why) for path, why in bad.items()]
    with (workdir / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "caption", "logprob"))
        for name, _, texts, _ in items:
            rows.writerows((name, text, f"{logprob:.3f}") for text, logprob in texts[:1])
            print(*(f"{name}\t{text}\t{logprob:.2f}" for text, logprob in texts[:1]), sep="\n", end="\n" * bool(texts))
    page = pages.captions_page(items, workdir / "captions.html", title=f"Captions by {workdir.name}")
    print(f"{sum(bool(texts) for _, _, texts, _ in items)} captions: {page}", file=sys.stderr)


def check(config):
    choices = {
        "mode": ("train", "caption"), "cell": cells.known(), "unit": ("step", "epoch"), "seen": SEEN,
    }  # fmt: skip
    for key, known in choices.items():
        if config[key] not in known:
            raise ValueError(f"config.{key}={config[key]}: want one of {', '.join(known)}")
    if config.encoder.name not in vision.NAMES:
        raise ValueError(f"config.encoder.name={config.encoder.name}: want one of {', '.join(vision.NAMES)}")
    counts = {"width": config.width, "embed": config.embed, "layers": config.layers, "samples": config.samples}
    counts |= {f"data.{key}": config.data[key] for key in ("batch", "shapes")}
    counts |= {f"decode.{key}": config.decode[key] for key in ("beams", "best", "batch", "longest")}
    for key, value in counts.items():
        if value < 1:
            raise ValueError(f"config.{key}={value}: want at least 1")
    if config.decode.best > config.decode.beams:
        raise ValueError(f"config.decode.best={config.decode.best}: want at most decode.beams={config.decode.beams}")
    if config.balance and config.inform != "attention":
        raise ValueError(
            f"config.balance={config.balance} is a penalty of attention: set config.inform=attention, or 0"
        )
    if config.mode == "caption" and not pictures.found(config.images):
        raise ValueError(f"config.images={config.images!r}: name pictures, or folders of them, with commas between")


if __name__ == "__main__":
    train.cli.run(main, study="captioning", check=check)
