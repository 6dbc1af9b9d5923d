"""Pictures of coloured shapes, and one right sentence about each: "a small red circle left of a blue square".

make(6000, 500, 500)           # three lists of Scene

A scene has one thing ("a large green ring") or two. Of two the small one is spoken of first, and where it stands to the
large one: so a picture has one right caption. Depends on the sizes and the seed alone.
"""

import itertools
from typing import NamedTuple

import numpy as np

COLOURS = {
    "red": (205, 45, 40), "green": (50, 150, 60), "blue": (45, 85, 205), "yellow": (240, 220, 50),
    "purple": (140, 60, 170), "orange": (240, 135, 30), "black": (35, 35, 35),
}  # fmt: skip
KINDS = ("circle", "square", "triangle", "cross", "ring", "diamond")
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}  # where the first thing is
RADII = {"small": (6.5, 8.0), "large": (11.5, 13.5)}
SIDE, FINE = 64, 4  # pixels of a picture; it is drawn that many times as large
HELD_OUT = 0.1  # of the combinations, in the validation and the test part each


class Thing(NamedTuple):
    colour: str
    kind: str
    radius: float
    at: tuple[float, float]  # x, y of its centre, in pixels


class Scene(NamedTuple):
    image: np.ndarray  # uint8 [64 64 3]
    caption: str
    things: tuple[Thing, ...]
    relation: str  # of the first to the second; "" of one thing


def make(train: int, valid: int, test: int, seed=0) -> tuple[list[Scene], list[Scene], list[Scene]]:
    """What is held out are combinations (colour, kind, relation) of the thing that is spoken of first: a tenth of all
    is in the validation part alone, a tenth in the test part alone, and these parts hold no others. Each colour with
    each kind, and each relation with either, is in training. A fourth of the training scenes have one thing, the
    others two.
    """
    combinations = list(itertools.product(COLOURS, KINDS, RELATIONS))
    order = np.random.default_rng(0).permutation(len(combinations))  # the same language whatever the seed
    held = round(HELD_OUT * len(combinations))
    which, parts = (order[2 * held :], order[:held], order[held : 2 * held]), []
    for part, n in enumerate((train, valid, test)):
        rng, own = np.random.default_rng((seed, part)), [combinations[i] for i in which[part]]
        parts.append([scene(rng, own, alone=not part and rng.random() < 0.25) for _ in range(n)])
    return parts[0], parts[1], parts[2]


def scene(rng, combinations, alone=False) -> Scene:
    colour, kind, relation = combinations[rng.integers(len(combinations))]
    small, large = (rng.uniform(*RADII[size]) for size in ("small", "large"))
    if alone:
        size = "large" if rng.integers(2) else "small"
        radius = large if size == "large" else small
        x, y = rng.uniform(radius + 2, SIDE - radius - 2, 2)
        things = (Thing(colour, kind, radius, (x, y)),)
        return Scene(draw(rng, things), f"a {size} {colour} {kind}", things, "")
    far = rng.uniform(small + large + 3, min(SIDE - 4 - small - large, small + large + 14))
    aside = rng.uniform(-0.4, 0.4) * far
    dx, dy = RELATIONS[relation]
    offset = np.array([dx * far + dy * aside, dy * far + dx * aside])  # from the large thing to the small one
    low, high = np.maximum(large + 2, small + 2 - offset), np.minimum(SIDE - 2 - large, SIDE - 2 - small - offset)
    at = rng.uniform(low, high)
    other = list(COLOURS)[rng.integers(len(COLOURS))], KINDS[rng.integers(len(KINDS))]
    things = Thing(colour, kind, small, tuple(at + offset)), Thing(*other, large, tuple(at))
    article = "an" if other[0][0] in "aeiou" else "a"
    caption = f"a small {colour} {kind} {relation} {article} {other[0]} {other[1]}"
    return Scene(draw(rng, things), caption, things, relation)


def draw(rng, things) -> np.ndarray:
    """The things on a light ground with some noise; each colour a little different every time."""
    from PIL import Image, ImageDraw

    ground = tuple(int(v) for v in rng.integers(205, 250, 3))
    image = Image.new("RGB", (SIDE * FINE, SIDE * FINE), ground)
    pen = ImageDraw.Draw(image)
    for thing in things:
        colour = tuple(int(v) for v in np.clip(np.add(COLOURS[thing.colour], rng.integers(-12, 13, 3)), 0, 255))
        x, y, r = (FINE * v for v in (*thing.at, thing.radius))
        corners = lambda *pairs, x=x, y=y, r=r: [(x + r * a, y + r * b) for a, b in pairs]
        if thing.kind == "circle":
            pen.ellipse(corners((-0.95, -0.95), (0.95, 0.95)), fill=colour)
        elif thing.kind == "ring":
            pen.ellipse(corners((-1, -1), (1, 1)), fill=colour)
            pen.ellipse(corners((-0.5, -0.5), (0.5, 0.5)), fill=ground)
        elif thing.kind == "square":
            pen.rectangle(corners((-0.8, -0.8), (0.8, 0.8)), fill=colour)
        elif thing.kind == "triangle":
            pen.polygon(corners((0, -1), (0.95, 0.8), (-0.95, 0.8)), fill=colour)
        elif thing.kind == "diamond":
            pen.polygon(corners((0, -1), (0.75, 0), (0, 1), (-0.75, 0)), fill=colour)
        else:
            pen.rectangle(corners((-1, -0.32), (1, 0.32)), fill=colour)
            pen.rectangle(corners((-0.32, -1), (0.32, 1)), fill=colour)
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX), float)
    return np.clip(small + rng.normal(0, 5, small.shape), 0, 255).astype(np.uint8)
