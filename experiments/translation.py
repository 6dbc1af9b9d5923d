"""Translation: an encoder-decoder, with attention or without, trained on pairs of sentences.

    python -m experiments.translation [--config=configs/translation/<run>.py] [--config.inform=state]
    python -m experiments.translation --config.mode=translate --workdir=DIR < lines        a trained model translates
        --config.decode.best=N: the N best of each line with their log p, as n-best lists
    python -m experiments.translation --config.mode=compare --workdir=DIR --config.decode.beside=DIR,DIR
        BLEU by length of several finished runs in one picture, DIR/figures/bleu_by_length.png

Sentence pairs are packed into rows, several in each (rnn_jax/data/packing.py). The loss is -sum log p(y_i) over the
target tokens of a batch, over their number. Validation: perplexity under teacher forcing. Test: greedy and beam search.

results.json: ppl (validation part), test_ppl, bleu, chrf and sacrebleu_signature (test part, beam search),
bleu_greedy, exact (share of test sentences that are right to the last token), bleu_by_length with lengths (upper bounds
of source tokens; None: fewer than 10 sentences), padding_waste, words_per_second (target tokens), parameters, seconds.
"""

import itertools
import json
import math
import sys
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnn_jax import cells, decoding, metrics, plots, train
from rnn_jax.data import packing, pairs, sentences, words
from rnn_jax.models.language import cross_entropy
from rnn_jax.models.seq2seq import Seq2Seq
from rnn_jax.train.workdir import read_config

PARTS = {"train": "training", "valid": "validation", "test": "test"}


def main(config: Any, workdir):
    if config.mode != "train":
        return {"translate": translate, "compare": compare}[config.mode](config, workdir)
    found = pairs.load(config.data)
    print(found.report, flush=True)
    model = make(config, found.source, found.target)
    params = model.init(jax.random.key(config.seed))
    print(f"{sum(a.size for a in jax.tree.leaves(params)):,} parameters", flush=True)
    packed = {part: pack(config, found, part) for part in PARTS}
    count, waste = packed["train"].count(), packed["train"].waste()
    print(f"{count} updates an epoch, {waste:.1%} of all positions hold nothing", flush=True)
    for part, each in packed.items():
        if each.too_long:
            print(f"{part}: {each.too_long} pairs are longer than a row of {config.data.row} and left out", flush=True)
    config = train.in_steps(config, count)
    rate = train.forcing(config.forcing)

    def batch(i):
        made = packed["train"](i)
        if config.forcing.kind != "none":
            made["forcing"] = np.full(config.data.batch, rate(i), np.float32)
        return made

    def loss(params, carry, batch, key):
        nats, tokens = score(model, params, batch, config.smoothing, key)
        return nats / tokens, (carry, {"tokens": tokens})

    held_out = jax.jit(partial(score, model))

    def perplexity(params, part):
        sums = [held_out(params, packed[part](i)) for i in range(packed[part].count())]
        return math.exp(sum(float(n) for n, _ in sums) / sum(float(n) for _, n in sums))

    meta: dict[str, Any] = {"source": found.source.to_json(), "target": found.target.to_json()}
    meta["text"] = zlib.crc32("\n".join(map("\t".join, found.train)).encode())
    if any((workdir / "checkpoints").glob("[0-9]*")):
        saved = train.load_params(workdir)[1]
        if any(saved[key] != value for key, value in meta.items()):
            raise train.UserError(f"{workdir} was trained on other pairs: put those back, or choose another --workdir")
    result = train.fit(
        config, workdir, params=params, loss=loss, batches=train.generate(batch), meta=meta,
        evaluate=lambda params: {"valid_loss": math.log(perplexity(params, "valid"))},
    )  # fmt: skip
    out: dict[str, Any] = {"ppl": math.exp(result.metrics["valid_loss"]), "test_ppl": perplexity(result.params, "test")}
    out |= report(config, workdir, model, result.params, found)
    rows = train.read_rows(workdir)
    speeds = [r["steps_per_second"] * r["tokens"] for r in rows if "tokens" in r]
    out |= {"padding_waste": waste, "words_per_second": round(float(np.median(speeds)))}
    out["parameters"] = sum(a.size for a in jax.tree.leaves(params))
    return out | {"seconds": result.metrics["seconds"]}


def score(model: Seq2Seq, params, batch, smoothing=0.0, key=None):
    """(-sum log p, number) of the target tokens of a batch; with a key as in training: dropout, sampling, smoothing."""
    across = {k: jnp.swapaxes(v, 0, 1) for k, v in batch.items() if v.ndim > 1}
    segments = across["target_segments"]
    logits = model.logits(
        params, across["source"], across["source_segments"], across["inputs"], segments,
        forcing=batch.get("forcing") if key is not None else None, key=key,
    )  # fmt: skip
    nats = cross_entropy(logits, across["target"], smoothing)
    return jnp.sum(jnp.where(segments > 0, nats, 0)), jnp.sum(segments > 0)


def make(config, source, target) -> Seq2Seq:
    cell = getattr(cells, config.cell)()
    names = ("embed", "layers", "bidirectional", "inform", "attention", "when", "feed", "deep")
    sizes = {name: config[name] for name in (*names, "dropout", "dropout_out", "variational")}
    return Seq2Seq(cell, len(target), sources=len(source), d=config.width, **sizes)


def pack(config, found, part) -> packing.Packed:
    """The part's pairs in rows. Raises UserError if none fits a row."""
    sources, inputs, targets = pairs.encoded(
        getattr(found, part), found.source, found.target, config.data.reverse_source
    )
    row = config.data.row
    columns = {"source": (sources, row), "inputs": (inputs, row), "target": (targets, row)}
    packed = packing.Packed(columns, config.data.batch, config.seed)
    if packed.too_long == len(sources):
        raise train.UserError(f"every {PARTS[part]} sentence is longer than config.data.row={row}: raise it")
    return packed


# ----------------------------------------------------------------------------------------------------------- decoding


def decode(config, model: Seq2Seq, params, sources, *, beams, best=1):
    """(tokens [best length], [lengths, logprobs, scores], [best] each) of every source (int sequences), as numpy."""
    from rich.console import Console
    from rich.progress import track

    want = config.decode

    @partial(jax.jit, static_argnames="length")
    def run(params, source, segments, limits, length):
        given, carry = model.begin(params, model.encode(params, source, segments))
        carry, logits = model.step(given, carry, jnp.full(source.shape[1], words.START))
        penalty = decoding.Penalty(want.length_power, want.coverage_weight, lambda carry: carry[1])
        return decoding.beam_search(
            model.step, given, carry, logits, length, beams=beams, end=words.END, best=best, penalty=penalty,
            limits=limits,
        )  # fmt: skip

    tokens: Any = [None] * len(sources)
    rest: Any = [None] * len(sources)
    groups = list(packing.grouped([len(s) for s in sources], want.batch, want.shapes))
    of_length = Counter(bound for _, bound in groups)
    console = Console(stderr=True)
    for items, bound in track(groups, "decoding", console=console, transient=True, disable=not console.is_terminal):
        # One program for all groups of a length; a group that is alone, such as one very long line, is not filled up.
        spare = want.batch - len(items) if of_length[bound] > 1 else 0
        source, segments = packing.lay([*([i] for i in items), *([[]] * spare)], sources, bound)
        limits = np.array([*(longest(len(sources[i])) for i in items), *([0] * spare)], np.int32)
        texts = jax.device_get(run(params, source.T, segments.T, limits, longest(bound)))
        for lane, item in enumerate(items):
            tokens[item] = texts.tokens[..., lane].T
            rest[item] = [a[:, lane] for a in texts[1:]]
    return tokens, rest


def longest(source: int) -> int:
    """Tokens that the translation of so many may take; END counts on both sides."""
    return 2 * source + 5


def attended(model: Seq2Seq, params, source, target):
    """The attention weights [t s] of one pair."""
    one = lambda tokens: jnp.asarray(tokens, jnp.int32)[:, None]
    inputs = [words.START, *target[:-1]]
    _, seen = model.logits(
        params, one(source), jnp.ones_like(one(source)), one(inputs), jnp.ones_like(one(inputs)),
        collect=("attention",),
    )  # fmt: skip
    return np.asarray(seen["attention"][..., 0])


def report(config, workdir, model, params, found):
    """Metrics of the test part, samples, and the pictures."""
    sources, _, _ = pairs.encoded(found.test, found.source, found.target, config.data.reverse_source)
    greedy, beam = (decode(config, model, params, sources, beams=k)[0] for k in (1, config.decode.beams))
    write = lambda texts: [found.target.decode(tokens[0]) for tokens in texts]
    hypotheses, references = write(beam), [b for _, b in found.test]
    kind = "char" if config.data.units == "characters" else "none" if config.data.units == "words" else "13a"
    value, signature = metrics.bleu(hypotheses, references, kind)
    out: dict[str, Any] = {"bleu": value, "sacrebleu_signature": signature}
    out["bleu_greedy"] = metrics.bleu(write(greedy), references, kind)[0]
    out["chrf"] = metrics.chrf(hypotheses, references)
    out["exact"] = float(np.mean([h == r for h, r in zip(hypotheses, references, strict=True)]))
    lengths = [len(s) - 1 for s in sources]
    bounds = [0, *range(config.step_of_lengths, max(lengths) + config.step_of_lengths, config.step_of_lengths)]
    by_length = metrics.bleu_by_length(hypotheses, references, lengths, bounds, kind)
    out |= {"lengths": bounds[1:], "bleu_by_length": by_length}
    draw_by_length({config.inform: out}, workdir)
    shown = np.random.default_rng(0).permutation(len(sources))[: config.samples]
    for i in map(int, shown):
        print(f"\n  source     {found.test[i][0]}\n  reference  {references[i]}\n  beam       {hypotheses[i]}")
    for number, i in enumerate(map(int, shown[:4]) if config.inform == "attention" else ()):
        target = [*words.until_end(beam[i][0]), words.END]
        read = found.source.cut(found.test[i][0])[:: -1 if config.data.reverse_source else 1]
        plots.attention(
            attended(model, params, sources[i], target), [*read, words.SPECIAL[words.END]], found.target.pieces(target),
            workdir / f"figures/attention_{number}.png",
        )  # fmt: skip
    return out


def draw_by_length(runs, workdir):
    """BLEU by length (Bahdanau et al., 2015, Fig. 2), a line a run: name -> its results. Returns the picture's path."""
    reach = max(len(run["lengths"]) for run in runs.values())
    series = {
        name: [np.nan if y is None else y for y in run["bleu_by_length"]] + [np.nan] * (reach - len(run["lengths"]))
        for name, run in runs.items()
    }
    bounds = max((run["lengths"] for run in runs.values()), key=len)
    return plots.lines(
        bounds, series, workdir / "figures/bleu_by_length.png",
        title="BLEU by length of the source", xlabel="source tokens, at most", ylabel="BLEU", ylim=(0, None),
    )  # fmt: skip


def compare(config, workdir):
    """Draws this run and those beside it, and prints what they reached."""
    folders = {f.resolve(): f for f in (workdir, *map(Path, filter(None, config.decode.beside.split(","))))}
    names = [path.name for path in folders]
    runs = {
        path.name if names.count(path.name) == 1 else str(folder): finished(folder) for path, folder in folders.items()
    }
    steps = {name: run["lengths"][0] for name, run in runs.items()}
    if len(set(steps.values())) > 1:
        raise train.UserError(f"config.decode.beside: runs with other steps of lengths: {steps}")
    for name, run in runs.items():
        print(f"{name}: BLEU {run['bleu']:.2f}, perplexity {run['test_ppl']:.2f}, by length {run['bleu_by_length']}")
    print(draw_by_length(runs, workdir))


def finished(folder) -> dict[str, Any]:
    """The results of a finished run of this study. Raises UserError."""
    read_config(folder, "translation")
    try:
        return json.loads((folder / "results.json").read_text())
    except (OSError, ValueError) as error:
        raise train.UserError(
            f"config.decode.beside: {folder} holds no finished run ({error}): name workdirs of finished runs"
        ) from None


def translate(config, workdir):
    """Lines of standard input -> as many lines of standard output. What cannot be translated stays an empty line, and
    is told at the end, with what was not known.

    With config.decode.best > 1 an n-best list, in the format of Moses: number of the line, from 0 ||| translation |||
    log p in nats ||| what it is ranked by; none for what cannot be translated.
    """
    meta = train.load_params(workdir)[1]
    source, target = words.from_json(meta["source"]), words.from_json(meta["target"])
    model = make(config, source, target)
    params = train.load_params(workdir, model.init(jax.random.key(0)))[0]
    raw = list(sys.stdin.buffer)
    there, told = sentences.lines(raw)
    lines = [each.decode().strip() if here else "" for each, here in zip(raw, there, strict=True)]
    encoded, _, _ = pairs.encoded([(line, "") for line in lines], source, target, config.data.reverse_source)
    full = [i for i, line in enumerate(lines) if line]
    want = config.decode
    asked = [encoded[i] for i in full]
    texts, rest = decode(config, model, params, asked, beams=want.beams, best=want.best) if full else ([], [])
    out = [[""] if want.best == 1 else [] for _ in lines]
    for i, tokens, (_, logprobs, scores) in zip(full, texts, rest, strict=True):
        each = zip(map(target.decode, tokens), logprobs, scores, strict=True)
        out[i] = [text if want.best == 1 else f"{i} ||| {text} ||| {p:.4f} ||| {score:.4f}" for text, p, score in each]
    for line in itertools.chain(*out):
        print(line)
    limit = min(config.data.longest or config.data.row, config.data.row - 1)  # a row holds END too
    for what, which in {
        f"lines with {config.data.units} that training did not know": [words.UNKNOWN in s for s in encoded],
        f"lines longer than the {limit} {config.data.units} of training": [len(s) - 1 > limit for s in encoded],
    }.items():
        told += sentences.some(what, [f"line {number}" for number, true in enumerate(which, 1) if true])
    for line in told:
        print(line, file=sys.stderr)


def check(config):
    counts = "width embed layers steps step_of_lengths data.row data.batch decode.beams decode.batch decode.shapes"
    train.require(
        config,
        one_of={"mode": ("train", "translate", "compare"), "cell": cells.known()},
        at_least={1: counts, 0: "deep samples decode.length_power decode.coverage_weight"},
        shares="dropout dropout_out smoothing",
    )
    if not 1 <= config.decode.best <= config.decode.beams:
        raise ValueError(
            f"config.decode.best={config.decode.best}: want 1 to config.decode.beams={config.decode.beams}"
        )
    train.forcing(config.forcing)
    some = range(len(words.SPECIAL) + 1)  # a vocabulary, as far as the model's shapes go
    model, one = make(config, some, some), jnp.ones((1, 1), jnp.int32)
    jax.eval_shape(lambda key: model.logits(model.init(key), one, one, one, one), jax.random.key(0))
    if config.mode == "train":
        found = pairs.load(config.data)
        for part in PARTS:
            pack(config, found, part)


if __name__ == "__main__":
    train.cli.run(main, study="translation", check=check)
