"""Clips with sentences: things that move, made up; one's own, as folders of frames, GIFs, or features.

config = clips.defaults()           # config.data
found = clips.load(config)          # captions.Captioned: of each clip its name, its frames' source, its captions
frames, counts, bad = clips.frames(config, found.train)
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnn_jax.data import captions, mnist, pictures
from rnn_jax.data.captions import Captioned, Picture
from rnn_jax.data.errors import DataError
from rnn_jax.data.shapes import COLOURS

FEATURES = ".npz"  # the end of a file of features
SOURCES = ("shapes", "digits", "folder", "features")
DIRECTIONS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KINDS = ("circle", "square", "triangle")
SIDE, RADIUS = 32, 5.5  # pixels of a frame, and of a thing
LEAST, MOST = 4, 1 + int(SIDE - 2 * RADIUS)  # frames of what is made up: for two directions, by steps of a pixel


def defaults():
    from ml_collections import ConfigDict

    return ConfigDict(
        {
            "source": "shapes",  # shapes and digits: made up, of MNIST's digits; folder, features: one's own
            "root": "",  # of digits: folder of fetched data sets; "": the environment's RNN_JAX_DATA
            "path": "",  # of folder and features: it holds captions.csv (columns clip, caption, perhaps split)
            "sizes": (4000, 400, 400),  # of what is made up: clips to train, validate and test
            "frames": 12,  # of a clip, 4 to 22 where it is made up; longer ones are thinned out evenly
            "pixels": SIDE,  # of a frame's side
            "shuffle": False,  # the frames of every clip in random order: a control
            "least": 1,  # how often a word must occur in the training part
            "longest": 0,  # words of a training caption; longer ones are left out; 0: no limit
            "batch": 50,
            "shapes": 2,  # lengths that captions are padded to
        }
    )


def load(config: Any) -> Captioned:
    """The clips that config.data asks for. Raises DataError, as `check` does."""
    check(config)
    if config.source in ("shapes", "digits"):
        parts, told = [made_up(config, i, n) for i, n in enumerate(config.sizes)], []
    else:
        parts, told = own(config)
    return captions.collected(config, parts, told, what="clip")


def check(config: Any):
    """Raises DataError where config.data asks for what cannot be, before anything is made or read."""
    if config.source not in SOURCES:
        raise DataError(f"config.data.source: no {config.source!r}; there are {', '.join(SOURCES)}")
    if config.frames < 2:
        raise DataError(f"config.data.frames={config.frames}: want at least 2")
    if config.source in ("shapes", "digits"):
        if not LEAST <= config.frames <= MOST:
            raise DataError(f"config.data.frames={config.frames}: want {LEAST} to {MOST} of source={config.source}")
        if len(config.sizes) != 3 or min(config.sizes) < 1:
            raise DataError(f"config.data.sizes={config.sizes}: want three, to train, validate and test, of at least 1")


def made_up(config, part: int, n: int) -> list[Picture]:
    """Clips in which a thing moves once or twice: "the red circle moves up and then left".

    A path of frames - 1 equal steps, in one direction or in two that stand at right angles, lies at random in the
    picture: backwards it is a path as likely, so that the frames without their order fit a sentence and its reverse
    ("right and then down") equally well. Of the directions, frames in another order tell half: that is chance.
    Depends on the part and n alone.
    """
    rng, found = np.random.default_rng((0, part)), []
    digits = mnist.read(config.root, split="train" if part < 2 else "test") if config.source == "digits" else None
    for i in range(n):
        ways = [list(DIRECTIONS)[rng.integers(4)]]
        if rng.integers(2):
            first = DIRECTIONS[ways[0]]
            ways.append([w for w, d in DIRECTIONS.items() if d[0] * first[0] + d[1] * first[1] == 0][rng.integers(2)])
        steps = config.frames - 1
        turn = int(rng.integers(steps // 3, steps - steps // 3 + 1)) if len(ways) > 1 else steps
        moves = np.array([DIRECTIONS[ways[0]]] * turn + [DIRECTIONS[ways[-1]]] * (steps - turn), float)
        path = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)]) * rng.uniform(1.0, (SIDE - 2 * RADIUS) / steps)
        low, high = RADIUS - path.min(0), SIDE - RADIUS - path.max(0)
        path += rng.uniform(low, high)
        if digits is None:
            colour, kind = list(COLOURS)[rng.integers(len(COLOURS))], KINDS[rng.integers(len(KINDS))]
            frames, thing = shape(path, colour, kind, rng), f"{colour} {kind}"
        else:
            which = int(rng.integers(len(digits[1])))
            frames, thing = digit(path, digits[0][which], rng), f"digit {DIGITS[digits[1][which]]}"
        text = f"the {thing} moves {' and then '.join(ways)}"
        found.append(Picture(f"{captions.PARTS[part]}_{i}", frames, [text]))
    return found


def shape(path, colour: str, kind: str, rng) -> np.ndarray:
    """Frames [t 32 32 3] of a coloured thing on a light ground; edges are soft, over one pixel."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    dx, dy = x - path[:, :1, None], y - path[:, 1:, None]
    depth = {  # how far within the thing a pixel is
        "circle": lambda: RADIUS - np.hypot(dx, dy),
        "square": lambda: 0.85 * RADIUS - np.maximum(abs(dx), abs(dy)),
        "triangle": lambda: np.minimum(0.8 * RADIUS - dy, (dy + RADIUS - 1.9 * abs(dx)) / 2.15),
    }[kind]()
    inside = np.clip(depth + 0.5, 0, 1)[..., None]
    ground = rng.integers(205, 250, 3)
    frames = inside * np.array(COLOURS[colour]) + (1 - inside) * ground
    return np.clip(frames + rng.normal(0, 5, frames.shape), 0, 255).astype(np.uint8)


def digit(path, image, rng) -> np.ndarray:
    """Frames [t 32 32 3] of a digit [28 28], 14 pixels wide, on black."""
    from PIL import Image

    small = np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BOX), float)
    frames = np.zeros((len(path), SIDE + 12, SIDE + 12))
    for frame, (x, y) in zip(frames, np.round(path).astype(int), strict=True):
        frame[y - 1 : y + 13, x - 1 : x + 13] = small  # its middle at (x, y), within a margin of 6
    frames = frames[:, 6:-6, 6:-6, None] + rng.normal(0, 5, (len(path), SIDE, SIDE, 3))
    return np.clip(frames, 0, 255).astype(np.uint8)


def own(config):
    """<path>/captions.csv; a clip is a folder of frames in the order of their names, a GIF, or of source=features
    <clip>.npz with an array `features` [t k]. Those in <path> itself that captions.csv does not name are counted."""
    path = Path(config.path).expanduser()
    file = path / "captions.csv"
    if not file.is_file():
        raise DataError(f"config.data.path: {file} does not exist; want clip,caption and a line a caption")
    end = FEATURES if config.source == "features" else ""
    rows, where, split, told = captions.listed(file, lambda name: path / f"{name}{end}", "clip")
    named = {each for clip in where.values() for each in (clip, *clip.parents)}  # a folder may hold those with captions
    mine = [clip for clip in inside(path) if (clip.suffix.lower() == FEATURES) == (end == FEATURES)]
    bare = [clip.name.removesuffix(end) for clip in mine if clip not in named]
    return captions.divided([row[:2] for row in rows], where, split, told, bare, what="clip")


def frames(config, found: list[Picture], shape: Sequence[int] | None = None):
    """(frames [n t ...] of the clips, how many each has int32 [n], those that are left out: [(number, reason)]).

    Frames are uint8 [t h w 3], features float32 [t k]; after the end of a shorter clip they are zeros. Left out is what
    cannot be read, and what is not of `shape`, [h w 3] or [k] (None: that of most of these clips): it counts 0 frames.
    Raises DataError where nothing remains.
    """
    clips, bad = {}, {}
    for i, clip in enumerate(found):
        try:
            clips[i] = read(clip.source, config.pixels, config.frames)
        except DataError as error:
            bad[i] = str(error)
    shapes = Counter(clip.shape[1:] for clip in clips.values())
    want = tuple(shape or max(shapes, key=shapes.__getitem__, default=()))
    others = {i: kind(clip.shape[1:]) for i, clip in clips.items() if clip.shape[1:] != want}
    bad |= {i: f"{found[i].name} has {has}; in training most have {kind(want)}" for i, has in others.items()}
    if len(bad) == len(found):
        raise DataError(f"no clip can be used; the first: {bad[min(bad)]}")
    kept = {i: clip for i, clip in clips.items() if i not in bad}
    out = np.zeros((len(found), config.frames, *want), next(iter(kept.values())).dtype)
    counts = np.zeros(len(found), np.int32)
    for i, clip in kept.items():
        counts[i] = len(clip)
        out[i, : len(clip)] = clip
    if config.shuffle:
        out = shuffled(out, counts)
    return out, counts, sorted(bad.items())


def kind(shape: Sequence[int]) -> str:
    """What frames of this shape are, in words."""
    if len(shape) == 1:
        return f"features of {captions.counted(shape[0], 'number')}"
    return f"frames of {shape[1]}x{shape[0]} pixels"


def shuffled(frames, counts) -> np.ndarray:
    """The frames of every clip in an order of its own, drawn alike in every run."""
    rng, out = np.random.default_rng(0), frames.copy()
    for clip, count in zip(out, counts, strict=True):
        clip[:count] = clip[rng.permutation(count)]
    return out


def read(source: Any, size: int, most: int) -> np.ndarray:
    """At most so many frames, evenly chosen: uint8 [t size size 3] of frames [t h w 3], a GIF or a folder of pictures
    (what is transparent becomes white); float32 [t k] of features [t k] or an .npz. Raises DataError."""
    if isinstance(source, np.ndarray):
        chosen = source[even(len(source), most)]
        return chosen if chosen.ndim == 2 else np.stack([pictures.read(frame, size) for frame in chosen])
    path = Path(source)
    if path.is_dir():
        files = pictures.inside(path)
        if not files:
            raise DataError(f"{path} holds no pictures: want the frames of a clip, in the order of their names")
        return np.stack([pictures.read(files[i], size) for i in even(len(files), most)])
    if path.suffix.lower() == FEATURES:
        return features(path, most)
    from PIL import Image

    try:
        with Image.open(path) as film:
            chosen = []
            for i in even(getattr(film, "n_frames", 1), most):
                film.seek(i)
                chosen.append(pictures.read(np.asarray(film.convert("RGBA")), size))
            return np.stack(chosen)
    except Exception as error:  # PIL promises no kind
        raise DataError(f"{path} cannot be read as a clip: {' '.join(str(error).split())[:120]}") from error


def features(path: Path, most: int) -> np.ndarray:
    try:
        with np.load(path) as saved, np.errstate(over="ignore"):  # too large for float32 is infinite: refused below
            found = np.asarray(saved["features"], np.float32)
    except Exception as error:  # not there, no zip, no such array, objects in it
        raise DataError(
            f"{path} cannot be read: {' '.join(str(error).split())[:100]}; want `features` [t k]"
        ) from error
    if found.ndim != 2 or not found.size:
        raise DataError(f"{path}: features {list(found.shape)}; want [t k], a row a frame")
    if bad := np.count_nonzero(~np.isfinite(found)):
        raise DataError(f"{path}: {bad:,} of its {found.size:,} numbers are not finite; want finite ones")
    return found[even(len(found), most)]


def even(n: int, most: int) -> np.ndarray:
    """Which of n frames are kept: all, or `most` of them, evenly."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)


def found(names: str) -> list[Path]:
    """The clips that `names` stands for, one path or several with commas between: GIFs, folders of frames, .npz of
    features, or what a folder holds of these; absent ones too."""
    return [clip for path in pictures.named(names) for clip in (inside(path) if path.is_dir() else []) or [path]]


def others(names: str) -> list[Path]:
    """The files of other kinds in the folders of `names` that hold clips: what `found` passes over."""
    folders = [(path, inside(path)) for path in pictures.named(names) if path.is_dir()]
    passed = [each for folder, clips in folders if clips for each in folder.iterdir() if each not in clips]
    return sorted(passed, key=pictures.natural)


def inside(folder: Path) -> list[Path]:
    """The clips in a folder, in the order of their names: folders, GIFs, .npz."""
    clips = (each for each in folder.iterdir() if each.is_dir() or each.suffix.lower() in (".gif", FEATURES))
    return sorted(clips, key=pictures.natural)
