"""Made-up pictures and their captions: what is said is what is drawn."""

import re

import numpy as np
import pytest

from rnn_jax.data import shapes

AHEAD = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}  # x, y of a picture's rows
COLOUR, KIND = "|".join(shapes.COLOURS), "|".join(shapes.KINDS)
GRAMMAR = re.compile(
    rf"a (?P<size>small|large) (?P<colour>{COLOUR}) (?P<kind>{KIND})"
    rf"(?: (?P<relation>{'|'.join(shapes.RELATIONS)}) (?P<article>an?) (?P<other>{COLOUR}) (?P<its>{KIND}))?"
)


@pytest.fixture(scope="module")
def parts():
    return shapes.make(1500, 150, 150)


def parsed(scene):
    match = GRAMMAR.fullmatch(scene.caption)
    assert match, scene.caption
    return match


def test_captions_are_of_the_grammar_and_of_the_scene(parts):
    for scene in (scene for part in parts for scene in part):
        said, first = parsed(scene), scene.things[0]
        assert (said["colour"], said["kind"]) == (first.colour, first.kind)
        assert (len(scene.things) == 2) == bool(scene.relation) == bool(said["relation"])
        if said["relation"]:
            second = scene.things[1]
            assert (said["relation"], said["other"], said["its"]) == (scene.relation, second.colour, second.kind)
            assert said["size"] == "small" and first.radius < second.radius - 3
            assert (said["article"] == "an") == (said["other"][0] in "aeiou")
        else:
            assert (said["size"] == "small") == (first.radius < 10)
    assert 0.2 < np.mean([len(scene.things) == 1 for scene in parts[0]]) < 0.3


def test_depends_on_the_seed_alone(parts):
    again, other = shapes.make(20, 5, 5), shapes.make(20, 5, 5, seed=1)
    for one, two, three in zip(parts, again, other, strict=True):
        for a, b in zip(one, two, strict=False):
            np.testing.assert_array_equal(a.image, b.image)
            assert a.caption == b.caption
        assert [s.caption for s in two] != [s.caption for s in three]
        assert two[0].image.shape == (64, 64, 3) and two[0].image.dtype == np.uint8


def test_held_out_combinations_are_never_trained_on(parts):
    of = lambda part: {(s.things[0].colour, s.things[0].kind, s.relation) for s in part if s.relation}
    train, valid, test = map(of, parts)
    assert not train & valid and not train & test and not valid & test
    assert not test & of(shapes.make(300, 1, 1, seed=7)[0])  # whatever the seed
    assert len(train) > 100 and len(test) > 10
    # Each part of what is new is well known.
    for axes in ((0, 1), (0, 2), (1, 2)):
        seen = {tuple(each[i] for i in axes) for each in train}
        assert {tuple(each[i] for i in axes) for each in test | valid} <= seen, axes
    seconds = lambda part: {(s.things[1].colour, s.things[1].kind, s.relation) for s in part if s.relation}
    assert {each[:2] for each in seconds(parts[0])} == {(c, k) for c in shapes.COLOURS for k in shapes.KINDS}


def middle(image, thing, other):
    """Where the pixels are that are nearest to the thing's colour, among its own, the other's and the ground's."""
    ground = np.median(image.reshape(-1, 3), 0)
    colours = np.array([shapes.COLOURS[thing.colour], shapes.COLOURS[other.colour], ground])
    nearest = ((image[:, :, None].astype(float) - colours) ** 2).sum(-1).argmin(-1)
    return np.argwhere(nearest == 0).mean(0)[::-1], int((nearest == 0).sum())


def test_pixels_show_what_is_said(parts):
    """By colour alone: the first thing lies where the relation says, clearly, and is the smaller."""
    pairs = [s for part in parts for s in part if s.relation and s.things[0].colour != s.things[1].colour][:600]
    for scene in pairs:
        one, two = scene.things
        (at, size), (its, large) = middle(scene.image, one, two), middle(scene.image, two, one)
        along, across = AHEAD[scene.relation], AHEAD[scene.relation][::-1]
        ahead = (at - its) @ np.array(along)
        assert ahead > 15 and ahead > 1.8 * abs((at - its) @ np.array(across)), scene.caption
        full = {"ring": 0.6, "cross": 0.45, "diamond": 0.4, "triangle": 0.45, "square": 0.7, "circle": 0.8}
        assert size / full[one.kind] < large / full[two.kind], scene.caption


def test_things_are_apart_and_within(parts):
    for scene in (scene for part in parts for scene in part):
        for thing in scene.things:
            assert all(thing.radius < v < shapes.SIDE - thing.radius for v in thing.at)
        if scene.relation:
            (one, two), axis = scene.things, 0 if shapes.RELATIONS[scene.relation][0] else 1
            assert abs(one.at[axis] - two.at[axis]) > one.radius + two.radius + 2.9


def test_no_two_pictures_are_alike(parts):
    """The ground, the shade and the place differ: the same caption never looks the same."""
    flat = np.stack([s.image for s in parts[0][:200]]).reshape(200, -1).astype(float)
    apart = np.abs(flat[:, None, ::50] - flat[None, :, ::50]).mean(-1) + 100 * np.eye(200)
    assert apart.min() > 3
