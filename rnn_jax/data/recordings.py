"""Recordings of single words -> batches of strings of them, as log-mel frames: what CTC learns from.

found = recordings.load(config.data, rate)                  # found.train, .valid, .test; .symbols; what to print
strings = recordings.Strings(found.train, config.data, config.features, seed=0)
strings(i)                                                  # batch i, for `train.generate`
"""

from typing import Any, NamedTuple

import numpy as np

from rnn_jax.data import audio, fetched, fsdd, packing, tones
from rnn_jax.data.audio import Recording
from rnn_jax.data.errors import DataError

SOURCES = ("tones", "fsdd", "speech_commands")
DIGITS = tuple("0123456789")
LEAST = 0.1  # seconds: what is shorter is no word, and leaves too few steps for a label and a blank


class Spoken(NamedTuple):
    train: list[Recording]
    valid: list[Recording]
    test: list[Recording]
    symbols: tuple[str, ...]  # what the labels stand for
    report: str


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "tones",  # tones: made up; fsdd; speech_commands: ten command words, through TFDS
            "root": "",  # of fsdd: the folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "download": False,  # of speech_commands: let TFDS fetch it
            "takes": (20, 10, 10),  # of tones: of each digit by each speaker, to train, validate and test
            "words": (3, 7),  # least and most in a string
            "gap": 0.2,  # seconds; the silence between two words is uniform in [0, gap]
            "longest": 5.0,  # seconds; a longer string loses its last words
            "strings": 1600,  # of an epoch, new ones in each
            "held_out": 320,  # of the validation and the test part each, drawn once
            "batch": 32,
            "shapes": 4,  # different lengths of a batch, at most
            "dither": 40.0,  # dB below the string: noise that fills the digital silence of the gaps
            "augment": {  # in training alone
                "speed": 0.1,  # of each word, 1 - speed to 1 + speed
                "gain": 6.0,  # dB; loudness of each word, -gain to gain
                "noise": 15.0,  # dB below the string, at least: as dither, but up to that loud
                "masks": 0,  # SpecAugment: bands and stretches of time that are hidden, so many of each
                "mask_bands": 6,  # width of each, at most
                "mask_frames": 10,
            },
        }
    )


def check(config: Any):
    """DataError unless the source is known and its files are there."""
    if config.source not in SOURCES:
        raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    if config.source == "fsdd":
        fsdd.files(config.root)
    takes, words, extra = tuple(config.takes), tuple(config.words), config.augment
    if len(takes) != 3 or min(takes) < 1:
        raise DataError(f"config.data.takes={takes}: want three numbers of at least 1, to train, validate and test")
    if len(words) != 2 or not 1 <= words[0] <= words[1]:
        raise DataError(f"config.data.words={words}: want two numbers, 1 <= least <= most")
    if config.gap < 0 or not 0 <= extra.speed < 1:
        raise DataError(f"config.data: gap={config.gap}, augment.speed={extra.speed}; want gap >= 0 and 0 <= speed < 1")
    if not extra.noise <= config.dither:
        raise DataError(
            f"config.data: dither={config.dither}, augment.noise={extra.noise}; want dither >= augment.noise, both in "
            "dB below the string"
        )
    for key in ("gain", "masks", "mask_bands", "mask_frames"):
        if not extra[key] >= 0:
            raise DataError(f"config.data.augment.{key}={extra[key]}: want at least 0")
    for key in ("strings", "held_out"):
        if config[key] < config.batch:
            raise DataError(f"config.data.{key}={config[key]}: want at least config.data.batch={config.batch}")


def load(config: Any, rate: int) -> Spoken:
    """The recordings that config.data asks for, at `rate` Hz. Raises DataError."""
    check(config)
    symbols, bad = DIGITS, []
    if config.source == "tones":
        parts = tones.make(config.takes, rate)
    elif config.source == "fsdd":
        parts, bad = fsdd.read(config.root, rate)
    else:
        parts, symbols = speech_commands(rate, config.download)
    short = [r for part in parts for r in part if len(r.samples) < LEAST * rate]
    parts = [[r for r in part if len(r.samples) >= LEAST * rate] for part in parts]
    bad += [f"a recording of {len(r.samples) / rate:.2g} s, less than {LEAST}" for r in short]
    for name, part in zip(("train", "valid", "test"), parts, strict=True):
        if not part:
            raise DataError(f"{config.source}: the {name} part holds no recording")
    lines = [f"{config.source}: {' / '.join(f'{len(p):,}' for p in parts)} recordings to train, validate and test"]
    if bad:
        lines.append(f"{len(bad)} recordings left out: {'; '.join(bad[:3])}{'; ...' if bad[3:] else ''}")
    train, valid, test = parts
    return Spoken(train, valid, test, symbols, "\n".join(lines))


def speech_commands(rate: int, download=False):
    """The ten command words of TFDS's speech_commands (Warden, 2018, arXiv:1804.03209; 16 kHz); its digits are not
    labelled there, but are among its "_unknown_".
    """

    def read(row, features):
        word = features["label"].int2str(int(row["label"]))
        return None if word.startswith("_") else (word, np.asarray(row["audio"], np.float32) / 2**15)

    names = ("train", "validation", "test")
    rows = fetched.tfds("speech_commands", names, read, features="audio and label", download=download)
    parts = [[row for row in part if row] for part in rows]
    symbols = tuple(sorted({word for part in parts for word, _ in part}))
    made = lambda word, sound: Recording(symbols.index(word), "", audio.resample(sound, 16000, rate))
    return [[made(*row) for row in part] for part in parts], symbols


class Recipe(NamedTuple):
    """What a string is made of, before it is heard."""

    items: list[int]  # recordings, all of one speaker
    gaps: np.ndarray  # int [items+1], samples of silence before each and after the last
    speeds: np.ndarray  # of each recording
    gains: np.ndarray
    noise: float  # amplitude, as a share of the string's
    key: int  # of the noise and the masks


class Strings:
    """make(i) -> batch i of an endless run over epochs: strings of one speaker's recordings, other ones each epoch.

    A batch: x float32 [b t n], the stacked log-mel frames, normalised by band; lengths int32 [b]; labels int32 [b l],
    1 + the recordings' label (0 is CTC's blank, and the filling); counts int32 [b]. An epoch's strings are sorted by
    length and cut into batches, each padded to the nearest of `bounds`: few shapes, little padding, no empty row.
    Batch i depends on i and the seed alone. augment: as config.augment says; False for what is held out.
    """

    def __init__(self, recordings, config, features, *, seed=0, strings=0, augment=False, bounds=None):
        self.recordings, self.config, self.features = recordings, config, features
        self.seed, self.augment = seed, augment
        self.count = (strings or config.strings) // config.batch  # batches in an epoch
        self.drawn: tuple[int, list[list[Recipe]]] = -1, []
        speakers = sorted({r.speaker for r in recordings})
        self.by_speaker = [[i for i, r in enumerate(recordings) if r.speaker == s] for s in speakers]
        slowest = max(len(r.samples) for r in recordings) / features.rate / (1 - config.augment.speed) + 2 * config.gap
        if config.longest < slowest:
            raise DataError(
                f"config.data.longest={config.longest}: one word may take {slowest:.2f} s; want at least that"
            )
        if bounds is None:
            most = [max(map(self.length, batch)) for batch in self.epoch(0)]
            longest = steps(int(config.longest * features.rate), features)
            bounds = packing.buckets([*most, longest], config.shapes)
        self.bounds = bounds

    def draw(self, rng) -> Recipe:
        want, extra, rate = self.config, self.config.augment, self.features.rate
        own = self.by_speaker[rng.integers(len(self.by_speaker))]
        k = int(rng.integers(want.words[0], want.words[1] + 1))
        items = [own[i] for i in rng.integers(len(own), size=k)]
        gaps = (rng.uniform(0, want.gap, k + 1) * rate).astype(int)
        speeds, gains, noise = np.ones(k), np.ones(k), want.dither
        if self.augment:
            speeds = rng.uniform(1 - extra.speed, 1 + extra.speed, k)
            gains = 10 ** (rng.uniform(-extra.gain, extra.gain, k) / 20)
            noise = rng.uniform(extra.noise, want.dither)
        recipe = Recipe(items, gaps, speeds, gains, 10 ** (-noise / 20), int(rng.integers(2**31)))
        while len(recipe.items) > 1 and self.samples(recipe) > want.longest * rate:
            recipe = recipe._replace(items=recipe.items[:-1], gaps=recipe.gaps[:-1])
        return recipe

    def pieces(self, recipe: Recipe) -> list[tuple[int, int]]:
        """Where each recording begins and ends in the string, in samples."""
        found, at = [], 0
        for item, gap, speed in zip(recipe.items, recipe.gaps, recipe.speeds, strict=False):
            begin = at + int(gap)
            at = begin + audio.warped(len(self.recordings[item].samples), speed)
            found.append((begin, at))
        return found

    def samples(self, recipe: Recipe) -> int:
        return self.pieces(recipe)[-1][1] + int(recipe.gaps[-1])

    def length(self, recipe: Recipe) -> int:
        return steps(self.samples(recipe), self.features)

    def sound(self, recipe: Recipe):
        """The string as one would hear it, float32 [n]."""
        out = np.zeros(self.samples(recipe), np.float32)
        for item, speed, gain, (begin, end) in zip(
            recipe.items, recipe.speeds, recipe.gains, self.pieces(recipe), strict=False
        ):
            out[begin:end] = gain * audio.warp(self.recordings[item].samples, speed)
        noise = np.random.default_rng(recipe.key).standard_normal(len(out), np.float32)
        return out + noise * np.float32(recipe.noise * np.sqrt(np.mean(out**2)))

    def render(self, recipe: Recipe):
        """(frames [t n], labels)."""
        x = features(self.sound(recipe), self.features)
        if self.augment:
            mask(x, self.config.augment, self.features, np.random.default_rng((recipe.key, 1)))
        return x, [1 + self.recordings[i].label for i in recipe.items]

    def epoch(self, number: int) -> list[list[Recipe]]:
        """Its batches."""
        if self.drawn[0] != number:
            rng = np.random.default_rng((self.seed, number))
            b = self.config.batch
            drawn = sorted((self.draw(rng) for _ in range(self.count * b)), key=self.length)
            self.drawn = number, [drawn[i * b : (i + 1) * b] for i in rng.permutation(self.count)]
        return self.drawn[1]

    def __call__(self, i: int):
        return self.batch(self.epoch(i // self.count)[i % self.count])

    def batch(self, recipes: list[Recipe]):
        return padded([self.render(r) for r in recipes], self.bounds, self.config.words[1])

    def waste(self, number=0) -> float:
        """Share of an epoch's time steps that hold nothing."""
        lengths = np.array([[self.length(r) for r in batch] for batch in self.epoch(number)])
        return 1 - lengths.sum() / (lengths.shape[1] * bound(self.bounds, lengths.max(1)).sum())


def steps(n: int, f) -> int:
    """Time steps of n samples; f: config.features."""
    return audio.frame_count(n, *audio.sizes(f.rate, f.window, f.hop)) // f.stack


def features(samples, f):
    """The frames that a model reads, [t n]: log-mel, normalised, f.stack of them in one; f: config.features."""
    x = audio.log_mel(samples, f.rate, bands=f.bands, window=f.window, hop=f.hop, emphasis=f.emphasis)
    return audio.stack(audio.normalise(x), f.stack)


def mask(x, augment, config, rng):
    """Sets bands and stretches of time to 0, their mean (SpecAugment: Park et al., 2019, arXiv:1904.08779)."""
    each = x.reshape(len(x), config.stack, config.bands)
    for _ in range(augment.masks):
        k, width = rng.integers(config.bands), rng.integers(augment.mask_bands + 1)
        each[:, :, k : k + width] = 0
        t, width = rng.integers(len(x)), rng.integers(augment.mask_frames // config.stack + 1)
        x[t : t + width] = 0


def bound(bounds, lengths):
    """The least bound that holds each length."""
    return np.asarray(bounds)[np.searchsorted(bounds, lengths)]


def padded(pairs, bounds, most: int):
    """The batch of pairs (frames, labels): its longest decides the bound."""
    lengths = np.array([len(x) for x, _ in pairs], np.int32)
    x = np.zeros((len(pairs), int(bound(bounds, lengths.max())), pairs[0][0].shape[1]), np.float32)
    labels, counts = np.zeros((len(pairs), most), np.int32), np.zeros(len(pairs), np.int32)
    for i, (one, written) in enumerate(pairs):
        x[i, : len(one)] = one
        labels[i, : len(written)], counts[i] = written, len(written)
    return {"x": x, "lengths": lengths, "labels": labels, "counts": counts}
