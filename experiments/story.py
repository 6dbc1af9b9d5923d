"""From a picture to a story (neural-storyteller; Kiros, 2015): captions of the picture are encoded as one vector, its
style is shifted, and a decoder that has learnt stories alone writes on from it.

    python -m experiments.story [--config=configs/story/<run>.py]
    python -m experiments.story --config.mode=tell --workdir=DIR --config.images=FILE,FOLDER    of one's own pictures

    z = code of the captions - mean code of captions + mean code of passages

Three models, each in a folder of the workdir: captions (a run of experiments.captioning; config.captions names a
finished one), encoder (an autoencoder of captions and passages alike, its decoder hampered by lost words so that the
code must tell), decoder (passages, from their codes and some noise; with config.also some captions too, from which it
has the words of pictures where the passages are few: the shift then chooses the manner). The original's encoder is
skip-thoughts, trained to predict neighbouring sentences; here there are no neighbours of a caption.

results.json, of the first config.pictures of the test part that can be read: content_shifted, content_plain (share of
the captions' content words that the story has, by the shifted code and by that of the captions alone), content_chance
(the same, of another picture's story; absent where there is one picture); style_shifted, style_plain (share of words
that no caption has, over that of passages held out: 1 is a story's; absent where these have none), caption_exact (share
of captions that are a person's). Of the models: reconstruction (share of held-out texts that the autoencoder writes
word for word), encoder_ppl, decoder_ppl, seconds.
"""

import csv
import io
import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from configs.captioning import default as captioning_default
from experiments import captioning, writing
from rnn_jax import cells, train
from rnn_jax.data import DataError, captions, pictures, stories, words
from rnn_jax.data.shapes import COLOURS, KINDS
from rnn_jax.models.captioner import Captioner
from rnn_jax.models.language import cross_entropy
from rnn_jax.models.story import TextCoder, as_picture, shifted
from rnn_jax.train.log import write_atomically
from rnn_jax.train.workdir import read_config


def main(config: Any, workdir):
    if config.mode == "tell":
        return tell(config, workdir)
    wanted, folder = captioner(config, workdir)
    try:
        found = captions.load(wanted.data)
    except DataError as error:  # it names keys of the other run
        raise DataError(f"config.captions={config.captions}: {error}") from error
    print(found.report, flush=True)
    texts = {part: passages(config, found, part) for part in captions.PARTS}
    said, told = texts["train"]
    print(f"{len(said):,} captions and {len(told):,} passages to train; a passage: {told[0]}", flush=True)
    vocabulary = words.Words.of([*said, *told], config.data.least, " ")
    if len(vocabulary) == len(words.SPECIAL):
        raise DataError(f"config.data.least={config.data.least}: no word occurs so often")
    shown = readable(config, captioning.sight(wanted).size, found.test)
    if not config.captions:
        captioning.main(wanted, folder)
    write = captioning.Trained(wanted, folder)
    best = write([image for _, image in shown.values()], config.best)
    encoder = Encoder(config, vocabulary)
    parts = {part: encoder.batches([*texts[part][0], *texts[part][1]]) for part in captions.PARTS}
    params, out = writing.fit(config, workdir / "encoder", encoder, parts)
    made = {"encoder_ppl": out["ppl"], "seconds": out["seconds"]}
    codes = {part: encoder.codes(params, texts[part][1]) for part in captions.PARTS}
    decoder = Decoder(config, vocabulary)
    some = np.random.default_rng(config.seed).permutation(said)[: round(config.also * len(told))].tolist()
    more = np.concatenate([codes["train"], encoder.codes(params, some)]) if some else codes["train"]
    parts = {part: decoder.batches(texts[part][1], codes[part]) for part in ("valid", "test")}
    parts["train"] = decoder.batches([*told, *some], more)
    decoder_params, out = writing.fit(config, workdir / "decoder", decoder, parts)
    made |= {"decoder_ppl": out["ppl"]}
    made["seconds"] += out["seconds"]
    held = [*texts["test"][0][:200], *texts["test"][1][:200]]
    back = encoder.write(params, encoder.views(held), config.decode.beams)
    made["reconstruction"] = float(np.mean([a == b[0][0] for a, b in zip(held, back, strict=True)]))
    means = np.stack([encoder.codes(params, said[:5000]).mean(0), codes["train"][:5000].mean(0)])
    np.save(workdir / "means.npy", means)
    references = [[captions.tokens(text) for text in picture.captions] for picture, _ in shown.values()]
    made["caption_exact"] = float(np.mean([e[0][0] in r for e, r in zip(best, references, strict=True)]))
    plain = encoder.mean_codes(params, best)
    written = {}
    for name, z in (("shifted", shifted(plain, means[:1], means[1:])), ("plain", plain)):
        written[name] = [each[0][0] for each in decoder.write(decoder_params, {"seen": z}, config.decode.beams)]
    only = {word for text in told for word in text.split()} - {word for text in said for word in text.split()}
    common = {word for word, _ in Counter(word for text in said for word in text.split()).most_common(100)}
    content = {*COLOURS, *KINDS} if wanted.data.source == "shapes" else {w for t in said for w in t.split()} - common
    heads = [each[0][0] for each in best]
    typical = styled(texts["test"][1], only)
    for name, each in written.items():
        made[f"content_{name}"] = kept(heads, each, content)
        if typical:
            made[f"style_{name}"] = styled(each, only) / typical
    if len(heads) > 1:
        others = [written["shifted"][i] for i in captions.deranged(len(heads))]
        made["content_chance"] = kept(heads, others, content)
    held = io.StringIO()
    rows = csv.writer(held)
    rows.writerow(("image", "caption", "story", "without the shift"))
    rows.writerows(zip(shown, heads, written["shifted"], written["plain"], strict=True))
    write_atomically(workdir / "stories.csv", held.getvalue())
    for i in range(min(config.samples, len(heads))):
        print(f"\n  caption  {heads[i]}\n  story    {written['shifted'][i]}\n  no shift {written['plain'][i]}")
    return made


def captioner(config, workdir) -> tuple[Any, Path]:
    """(config, workdir) of the run that writes captions."""
    if not config.captions:
        wanted = captioning_default.get_config()
        wanted.steps, wanted.baseline_steps, wanted.data.sizes = config.caption_steps, 0, config.caption_sizes
        return wanted, workdir / "captions"
    folder = Path(config.captions)
    try:
        saved = read_config(folder, "captioning")
    except train.UserError as error:
        raise train.UserError(f"config.captions: {error}") from error
    if saved is None or not (folder / "results.json").is_file():
        raise train.UserError(f"config.captions={folder}: no finished run of experiments.captioning is there")
    return ConfigDict(saved), folder


def passages(config, found: captions.Captioned, part: str) -> tuple[list[str], list[str]]:
    """(captions, passages) of a part. How many are left out for their length is told."""
    said = [captions.tokens(text) for picture in getattr(found, part) for text in picture.captions]
    longest = config.data.longest
    if config.data.text:
        told, uncut = stories.cut(config.data.text, longest)
        if uncut and part == "train":
            count = captions.counted(uncut, "passage")
            print(f"{config.data.text}: {count} left out, of fewer than 4 words or more than {longest}", flush=True)
        tenth = len(told) // 10
        cuts = {"train": told[: -2 * tenth], "valid": told[-2 * tenth : -tenth], "test": told[-tenth:]}
        told = cuts[part]
    else:
        told = stories.make(config.data.size if part == "train" else config.data.size // 10, captions.PARTS.index(part))
    kept = [[text for text in each if len(text.split()) <= longest] for each in (said, told)]
    for what, every, each in zip(("caption", "passage"), (said, told), kept, strict=True):
        if not each:
            raise DataError(f"config.data.longest={longest}: no {what} of the {part} part has so few words")
        if long := len(every) - len(each):
            print(f"{part}: {captions.counted(long, what)} of more than {longest} words left out", flush=True)
    return kept[0], kept[1]


def readable(config, size: int, found: list[captions.Picture]) -> dict[str, tuple[captions.Picture, np.ndarray]]:
    """name -> (picture, its pixels): the first config.pictures that can be read. How many others there were is told."""
    known = {picture.name: picture for picture in found}
    read = lambda picture: (picture, pictures.read(picture.source, size))
    shown, bad = {}, 0
    for name, own in writing.named(known).items():
        if len(shown) == config.pictures:
            break
        good, why = writing.readable({name: known[own]}, read)
        shown, bad = shown | good, bad + len(why)
    if not shown:
        raise DataError(f"config.captions={config.captions}: no picture of the test part can be read")
    if bad:
        print(f"test: {captions.counted(bad, 'picture')} left out", flush=True)
    return shown


class Encoder(writing.Writer):
    """The autoencoder of captions and passages."""

    kind: Any = TextCoder

    def __init__(self, config, vocabulary):
        self.config, self.vocabulary = config, vocabulary
        sizes = {"d": config.width, "embed": config.embed, "dropout_out": config.dropout_out}
        cell = getattr(cells, config.cell)()
        self.model = self.kind(cell, len(vocabulary), inform="input", channels=2 * config.width, **sizes)

    def begin(self) -> Any:
        return self.model.init(jax.random.key(self.config.seed))

    def batches(self, texts, **views) -> captions.Batches:
        each = [captions.Picture("", None, [text]) for text in texts]
        views = views or {"seen": np.zeros((len(texts), 1), np.float32)}
        data = self.config.data
        return captions.Batches(each, views, self.vocabulary, data.batch, data.shapes, seed=self.config.seed)

    def seen(self, params, batch, key):
        del key
        return self.model.code(params, batch["target"].T, batch["lengths"])

    def score(self, params, batch, key=None):
        """As captioning.Network's; in training some words of what the decoder reads are lost."""
        inputs, target = batch["inputs"].T, batch["target"].T
        within = jnp.arange(len(inputs))[:, None] < batch["lengths"]
        k_lost, k_seen, k_drop = [None] * 3 if key is None else jax.random.split(key, 3)
        if k_lost is not None:
            lost = jax.random.bernoulli(k_lost, self.config.lost, inputs.shape) & (inputs != words.START)
            inputs = jnp.where(lost, words.UNKNOWN, inputs)
        codes = self.seen(params, batch, k_seen)
        logits = self.model.logits(params, as_picture(codes), inputs, within.astype(jnp.int32), key=k_drop)
        return jnp.sum(jnp.where(within, cross_entropy(logits, target), 0)), jnp.sum(within), 0.0

    def views(self, texts):
        """What `opening` takes, of texts."""
        tokens = [[*self.vocabulary.encode(text), words.END] for text in texts]
        lengths = np.array([len(each) for each in tokens], np.int32)
        size = self.config.data.longest + 1
        padded = np.zeros((len(texts), size), np.int32)
        for row, each in zip(padded, tokens, strict=True):
            row[: min(len(each), size)] = each[:size]
        return {"tokens": padded, "lengths": np.minimum(lengths, size)}

    @partial(jax.jit, static_argnums=0)
    def coded(self, params, views):
        return self.model.code(params, views["tokens"].T, views["lengths"])

    def codes(self, params, texts) -> np.ndarray:
        """z [n 2d]."""
        size, out = self.config.decode.batch, []
        for part in writing.cut(self.views(texts), size):
            out.append(np.asarray(self.coded(params, writing.filled(part, size)))[: len(part["lengths"])])
        return np.concatenate(out)

    def mean_codes(self, params, captions) -> np.ndarray:
        """The mean code [n 2d] of the captions of each picture, as `Trained` gives them."""
        codes = self.codes(params, [text for each in captions for text, _ in each])
        codes = np.split(codes, np.cumsum([len(each) for each in captions])[:-1])
        return np.stack([each.mean(0) for each in codes])

    def opening(self, params, views):
        return self.model.begin(params, self.model.look(as_picture(self.coded(params, views))))


class Decoder(Encoder):
    """Writes passages from codes that are given."""

    kind: Any = Captioner

    def batches(self, texts, codes) -> captions.Batches:  # pyright: ignore (of codes too)
        return super().batches(texts, seen=codes)

    def seen(self, params, batch, key):
        codes = batch["seen"]
        if key is None:
            return codes
        size = jnp.sqrt(jnp.mean(jnp.square(codes), axis=-1, keepdims=True))
        return codes + self.config.noise * size * jax.random.normal(key, codes.shape)

    def opening(self, params, views):
        return self.model.begin(params, self.model.look(as_picture(views["seen"])))


def kept(heads, texts, content) -> float:
    """The share of the content words of captions that the texts have."""
    pairs = [({*head.split()} & content, {*text.split()}) for head, text in zip(heads, texts, strict=True)]
    return sum(len(a & b) for a, b in pairs) / max(1, sum(len(a) for a, _ in pairs))


def styled(texts, only) -> float:
    """The share of words that are among `only`."""
    said = [word for text in texts for word in text.split()]
    return sum(word in only for word in said) / max(1, len(said))


def tell(config, workdir):
    """A line for each picture: its name, the caption, the story, with tabs between."""
    if not (workdir / "means.npy").is_file():
        raise train.UserError(f"{workdir} holds a run that is not finished: train it to its end first")
    wanted, folder = captioner(config, workdir)
    write = captioning.Trained(wanted, folder)
    size = write.net.eye.size
    found, others = pictures.found(config.images), pictures.others(config.images)
    images, _ = writing.own(found, others, lambda path: pictures.read(path, size), "picture")
    if not images:
        raise DataError(f"config.images={config.images}: no picture can be read")
    vocabulary = words.from_json(train.load_params(workdir / "encoder")[1]["vocabulary"])
    encoder, decoder = Encoder(config, vocabulary), Decoder(config, vocabulary)
    params = train.load_params(workdir / "encoder", encoder.begin())[0]
    decoder_params = train.load_params(workdir / "decoder", decoder.begin())[0]
    best = write(list(images.values()), min(config.best, wanted.decode.beams))  # config.captions may be another run now
    plain = encoder.mean_codes(params, best)
    means = np.load(workdir / "means.npy")
    z = shifted(plain, means[:1], means[1:])
    texts = decoder.write(decoder_params, {"seen": z}, config.decode.beams)
    for name, each, ((story, _), *_) in zip(images, best, texts, strict=True):
        print(f"{name}\t{each[0][0]}\t{story}")


def check(config):
    # A code begins a state that is vectors: that of heads_lstm is matrices too.
    known_cells = [name for name in cells.known() if name != "heads_lstm"]
    counts = "width embed pictures best samples caption_steps data.batch data.shapes data.longest data.least"
    train.require(
        config,
        one_of={"mode": ("train", "tell"), "cell": known_cells},
        at_least={1: f"{counts} decode.beams decode.batch decode.longest", 0: "noise also"},
        shares="lost dropout_out",
    )
    if len(config.caption_sizes) != 3 or min(config.caption_sizes) < 1:
        raise ValueError(f"config.caption_sizes={config.caption_sizes}: want three counts, each at least 1")
    if not config.data.text and config.data.size < 10:
        raise ValueError(f"config.data.size={config.data.size}: want at least 10, for a tenth as many are held out")
    if not math.isfinite(config.decode.length_power):
        raise ValueError(f"config.decode.length_power={config.decode.length_power}: want a finite number")
    if config.init_from:
        raise ValueError(f"config.init_from={config.init_from}: want none, for the models of a story differ")
    wanted, _ = captioner(config, Path())
    if config.mode == "tell":
        if not pictures.found(config.images):
            raise ValueError(f"config.images={config.images!r}: name pictures, or folders of them, with commas between")
        return
    if config.best > wanted.decode.beams:
        raise ValueError(f"config.best={config.best}: want at most {wanted.decode.beams}, the beams of the captions")
    if config.data.text:
        stories.cut(config.data.text, config.data.longest)


if __name__ == "__main__":
    train.cli.run(main, study="story", check=check)
