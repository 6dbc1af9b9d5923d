"""Speech: strings of spoken words, written down by a bidirectional network that learns by CTC where each word is.

    python -m experiments.speech [--config=configs/speech/<run>.py] [--config.width=128]
    python -m experiments.speech --config.mode=transcribe --workdir=DIR --config.audio=FILE,FOLDER     a trained model

Recordings of one speaker become strings, new ones in each epoch (rnn_jax/data/recordings.py); log-mel frames of them
are read by `layers` bidirectional layers and a linear readout. The loss is -log p(labels), summed over paths, over the
number of labels of a batch. Validation: the same, and the error of the best path. Test: prefix beam search too.

results.json: label_error_rate (edit distances over reference labels) and exact (share of strings without an error) of
the test part by prefix beam search, label_error_rate_greedy by the best path; valid_loss (nats per label),
valid_label_error_rate, valid_label_error_rate_greedy, valid_exact; padding_waste, parameters, seconds.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from rnn_jax import cells, ctc, metrics, plots, train
from rnn_jax.data import DataError, audio, packing, pictures, recordings
from rnn_jax.models.sequence import SequenceModel
from rnn_jax.nn import functional


def main(config: Any, workdir):
    if config.mode == "transcribe":
        return transcribe(config, workdir)
    found = recordings.load(config.data, config.features.rate)
    print(found.report, flush=True)
    strings = recordings.Strings(found.train, config.data, config.features, seed=config.seed, augment=True)
    held_out = {}
    for seed, part in enumerate(("valid", "test")):  # the same strings, whatever config.seed is
        each = recordings.Strings(
            getattr(found, part), config.data, config.features, seed=seed, strings=config.data.held_out,
            bounds=strings.bounds,
        )  # fmt: skip
        held_out[part] = each, [each(i) for i in range(each.count)]
    params, apply = make(config, len(found.symbols))
    waste, size = strings.waste(), sum(a.size for a in jax.tree.leaves(params))
    print(f"{size:,} parameters, {strings.count} updates an epoch, {waste:.1%} of all time steps hold nothing")
    config = train.in_steps(config, strings.count)

    def loss(params, carry, batch, key):
        del key  # the batch is augmented, the network is not
        nats, labels = summed_loss(apply(params, batch["x"], batch["lengths"]), batch)
        return nats / labels, (carry, {})

    forward = jax.jit(apply)

    def evaluate(params):
        scores = [forward(params, batch["x"], batch["lengths"]) for batch in held_out["valid"][1]]
        nats, labels = np.sum([summed_loss(*pair) for pair in zip(scores, held_out["valid"][1], strict=True)], axis=0)
        rate, _ = errors(best_path, scores, held_out["valid"][1])
        return {"valid_loss": nats / labels, "valid_label_error_rate_greedy": rate}

    result = train.fit(
        config, workdir, params=params, loss=loss, batches=train.generate(strings), evaluate=evaluate,
        meta={"symbols": found.symbols},
    )  # fmt: skip
    beam = partial(beam_search, beams=config.decode.beams)
    out: dict[str, Any] = {}
    for part, prefix in (("test", ""), ("valid", "valid_")):
        scores = [forward(result.params, batch["x"], batch["lengths"]) for batch in held_out[part][1]]
        out[f"{prefix}label_error_rate"], out[f"{prefix}exact"] = errors(beam, scores, held_out[part][1])
        out[f"{prefix}label_error_rate_greedy"], _ = errors(best_path, scores, held_out[part][1])
        if part == "test":
            show(config, workdir, np.asarray(scores[0]), beam, found.symbols, *held_out[part])
    out["valid_loss"] = result.metrics["valid_loss"]
    return out | {"padding_waste": waste, "parameters": size, "seconds": result.metrics["seconds"]}


def make(config, symbols: int):
    """(params, apply(params, x [b t n], lengths) -> logits [t b 1+symbols])."""
    n = config.features.bands * config.features.stack
    cell = getattr(cells, config.cell)()
    model = SequenceModel(
        cell, n, config.width, 1 + symbols, layers=config.layers, bidirectional=True, rngs=nnx.Rngs(config.seed)
    )
    params, rebuild = functional(model)
    return params, lambda params, x, lengths: rebuild(params)(x.swapaxes(0, 1), lengths=lengths)[1]


@jax.jit
def summed_loss(logits, batch):
    """(-log p of the labels in nats, their number), over a batch."""
    nats = ctc.loss(logits, batch["lengths"], batch["labels"].T, batch["counts"])
    return jnp.sum(nats), jnp.sum(batch["counts"])


# ----------------------------------------------------------------------------------------------------------- decoding


best_path, beam_search = jax.jit(ctc.best_path), jax.jit(ctc.prefix_beam_search, static_argnames="beams")


def decode(search, logits, lengths) -> list[list[int]]:
    """The labels of each row."""
    found = jax.device_get(search(logits, lengths))
    return [found.labels[:count, i].tolist() for i, count in enumerate(found.counts)]


def errors(search, scores, batches):
    """(label error rate, share of strings without an error), of the batches' logits."""
    found, wanted = [], []
    for logits, batch in zip(scores, batches, strict=True):
        found += decode(search, logits, batch["lengths"])
        wanted += [row[:count].tolist() for row, count in zip(batch["labels"], batch["counts"], strict=True)]
    exact = np.mean([f == w for f, w in zip(found, wanted, strict=True)])
    return metrics.label_error_rate(found, wanted), float(exact)


def show(config, workdir, logits, search, symbols, strings, batches):
    """Some strings of the first batch as text, its last one as a picture."""
    write = lambda labels: " ".join(symbols[i - 1] for i in labels)
    batch = batches[0]
    found = decode(search, logits, batch["lengths"])
    for i in range(min(config.samples, len(found))):
        print(f"  spoken  {write(batch['labels'][i, : batch['counts'][i]])}\n  written {write(found[i])}")
    recipe, length = strings.epoch(0)[0][-1], batch["lengths"][-1]
    f = config.features
    times = [(begin / f.rate, end / f.rate) for begin, end in strings.pieces(recipe)]
    spoken = [(symbols[strings.recordings[i].label], time) for i, time in zip(recipe.items, times, strict=True)]
    ticks = {f"{hz:,} Hz": audio.band(hz, f.bands, f.rate) for hz in (250, 500, 1000, 2000, 4000) if hz < f.rate / 2}
    plots.spikes(
        batch["x"][-1, :length].reshape(-1, f.bands), np.asarray(jax.nn.softmax(logits[:length, -1])),
        ("blank", *symbols), spoken, workdir / "figures/ctc.png", seconds=f.hop, ticks=ticks,
        title=f"written: {write(found[-1])}",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ transcription


def transcribe(config, workdir):
    """A line for each wav file: its name, a tab, what is spoken, nothing where there is no sound. What cannot be read
    is a line of standard error; DataError where nothing can."""
    symbols = train.load_params(workdir)[1]["symbols"]
    params, apply = make(config, len(symbols))
    params = train.load_params(workdir, params)[0]
    found, files = {}, wavs(config.audio)
    for path in files:
        try:
            found[path] = heard(path, config.features)
        except DataError as error:
            print(error, file=sys.stderr)
    if not found:
        raise DataError(f"config.audio={config.audio!r}: none of {len(files)} wav files can be read")
    forward, beam = jax.jit(apply), partial(beam_search, beams=config.decode.beams)
    paths, written = [path for path, x in found.items() if len(x)], {}
    for items, bound in packing.grouped([len(found[p]) for p in paths], config.decode.batch) if paths else ():
        here = [paths[i] for i in items]
        batch = recordings.padded([(found[path], []) for path in here], [bound], 0)
        logits = forward(params, batch["x"], batch["lengths"])
        written |= dict(zip(here, decode(beam, logits, batch["lengths"]), strict=True))
    for path in found:
        print(path, " ".join(symbols[i - 1] for i in written.get(path, ())), sep="\t")


def wavs(names: str) -> list[Path]:
    """The files, and the wav files of the folders, that config.audio names; those that are not there too."""
    out = []
    for path in pictures.named(names):
        out += sorted(p for p in path.rglob("*") if p.suffix.lower() == ".wav") if path.is_dir() else [path]
    return out


def heard(path: Path, features):
    """The frames of a file, none where it holds no sound, and a note on standard error where it is not what the model
    was trained on."""
    wav = audio.read(path)
    samples = audio.resample(wav.samples, wav.rate, features.rate)
    if recordings.steps(len(samples), features) < 1:
        raise DataError(f"{path} is too short: {len(wav.samples) / wav.rate:.3f} s hold no word")
    if wav.channels > 1:
        print(f"{path}: {wav.channels} channels, averaged", file=sys.stderr)
    if wav.rate != features.rate:
        print(f"{path}: {wav.rate} Hz, resampled to {features.rate}", file=sys.stderr)
    x = recordings.features(samples, features)
    if audio.silent(wav.samples):
        print(f"{path}: no sound, nothing to write", file=sys.stderr)
        return x[:0]
    return x


def check(config):
    f, counts = config.features, "width layers steps data.batch data.shapes decode.beams decode.batch"
    train.require(
        config,
        one_of={"mode": ("train", "transcribe"), "cell": cells.known()},
        at_least={1: f"{counts} features.bands features.stack features.rate"},
    )
    if not f.window >= f.hop > 0 or audio.sizes(f.rate, f.window, f.hop)[1] < 1:
        raise ValueError(f"config.features: window={f.window}, hop={f.hop}; want window >= hop >= 1 / rate")
    if recordings.steps(int(recordings.LEAST * f.rate), f) < 2:
        raise ValueError(f"config.features.stack={f.stack}: a word of {recordings.LEAST} s must last 2 steps: lower it")
    if config.mode == "train":
        filters = audio.mel_filters(f.bands, audio.fft_size(audio.sizes(f.rate, f.window, f.hop)[0]), f.rate)
        if empty := int((filters.max(0) == 0).sum()):
            raise ValueError(f"config.features: {empty} of {f.bands} bands hold nothing at rate={f.rate}: raise it")
        recordings.check(config.data)
    elif not wavs(config.audio):
        raise ValueError(f"config.audio={config.audio!r}: name wav files, or folders of them, with commas between")


if __name__ == "__main__":
    train.cli.run(main, study="speech", check=check)
