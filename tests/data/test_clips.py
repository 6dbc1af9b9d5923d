"""Clips: what moves is what is said, backwards is the reverse; ragged clips; clips of one's own, and what is wrong."""

import re

import numpy as np
import pytest
from PIL import Image

from rnn_jax.data import DataError, captions, clips

BACK = {"up": "down", "down": "up", "left": "right", "right": "left"}


def config(**changes):
    out = clips.defaults()
    out.update({"sizes": (60, 5, 5)} | changes)
    return out


def ways(text):
    return [word for word in text.split() if word in clips.DIRECTIONS]


def centres(frames):
    """(x, y) of what differs from the ground, in each frame."""
    away = np.abs(frames.astype(float) - np.median(frames, axis=(0, 1, 2))).sum(-1)
    away = np.where(away > 90, away, 0)
    y, x = np.mgrid[: frames.shape[1], : frames.shape[2]]
    return np.stack([(away * x).sum((1, 2)), (away * y).sum((1, 2))], -1) / away.sum((1, 2))[:, None]


@pytest.mark.parametrize("source", ["shapes", "digits"])
def test_what_moves_is_what_is_said(source, request):
    root = str(request.getfixturevalue("data_root")) if source == "digits" else ""
    found = clips.load(config(source=source, root=root))
    kinds = set()
    for clip in found.train:
        assert clip.source.shape == (12, 32, 32, 3) and clip.source.dtype == np.uint8
        said = ways(clip.captions[0])
        moves = np.diff(centres(clip.source), axis=0)
        first, last = moves[:3].sum(0), moves[-3:].sum(0)
        for way, move in ((said[0], first), (said[-1], last)):
            dx, dy = clips.DIRECTIONS[way]
            along, across = move @ [dx, dy], abs(move @ [dy, dx])
            assert along > 1.5 and along > 2 * across, (clip.captions, move)
        kinds.add(tuple(said))
    assert len(kinds) > 8 and {len(k) for k in kinds} == {1, 2}
    again = clips.load(config(source=source, root=root))
    np.testing.assert_array_equal(found.test[3].source, again.test[3].source)


def test_the_frames_without_their_order_do_not_tell_a_path_from_its_reverse():
    """Of many clips, the same share begins near each border, whichever way they go: the positions are symmetric."""
    found = clips.load(config(sizes=(1500, 1, 1))).train
    places = {way: [] for way in clips.DIRECTIONS}
    for clip in found:
        said = ways(clip.captions[0])
        if len(said) == 1:
            places[said[0]].append(centres(clip.source).mean(0))
    for way, axis in (("up", 1), ("left", 0)):
        one, two = np.array(places[way])[:, axis], np.array(places[BACK[way]])[:, axis]
        assert abs(one.mean() - two.mean()) < 4 * np.sqrt(one.var() / len(one) + two.var() / len(two))
    frames, counts, _ = clips.frames(config(shuffle=True), found[:20])
    for clip, mixed in zip(found, frames, strict=False):
        order = lambda a: a[np.lexsort(a.reshape(12, -1).T[:50])]
        np.testing.assert_array_equal(order(clip.source), order(mixed))
    assert counts.tolist() == [12] * 20 and (frames[0] != found[0].source).any()


def written(path, rows):
    path.mkdir(exist_ok=True)
    (path / "captions.csv").write_text("clip,caption,split\n" + "".join(",".join(row) + "\n" for row in rows))


def test_one_s_own_clips(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "mine"
    rows = [("one", "a b", "train"), ("two.gif", "a c", "valid"), ("three", "b", "test"), ("cut.gif", "a", "train")]
    written(path, [*rows, ("lost", "a", "train"), ("bare", "", "test"), ("empty", "a", "train")])
    images = [Image.fromarray(rng.integers(255, size=(20, 30, 3), dtype=np.uint8)) for _ in range(7)]
    for name, count in (("one", 7), ("three", 2), ("bare", 1), ("empty", 0)):
        (path / name).mkdir()
        for i in range(count):
            images[i].save(path / name / f"{i:02}.png")
    images[0].save(path / "two.gif", save_all=True, append_images=images[1:5])
    (path / "cut.gif").write_bytes((path / "two.gif").read_bytes()[:200])
    (path / "unnamed").mkdir()
    images[0].save(path / "unnamed.gif")
    np.savez(path / "no_clip.npz", features=np.ones((2, 5)))
    want = config(source="folder", path=str(path), frames=4, pixels=16)
    found = clips.load(want)
    assert [p.name for p in found.train] == ["one", "cut.gif", "empty"]
    for told in ("1 caption left out, empty", "1 clip left out, not there: ", "3 clips left out, without a caption: "):
        assert told in found.report
    frames, counts, bad = clips.frames(want, found.train)
    assert frames.shape == (3, 4, 16, 16, 3) and counts.tolist()[0] == 4 and not frames[2].any()
    assert [i for i, _ in bad] == [1, 2] and "cannot be read as a clip" in bad[0][1] and "no pictures" in bad[1][1]
    np.testing.assert_array_equal(
        frames[0, -1], clips.pictures.read(path / "one/06.png", 16)
    )  # evenly chosen, the last one too
    frames, counts, bad = clips.frames(want, [*found.valid, *found.test])
    assert counts.tolist() == [4, 2] and not bad and not frames[1, 2:].any()
    for name in ("no_clip.npz", "unnamed", "unnamed.gif"):
        (path / name).rename(tmp_path / name)
    assert [p.name for p in clips.found(str(path))] == ["bare", "cut.gif", "empty", "one", "three", "two.gif"]


def test_clips_and_frames_are_in_the_order_of_their_numbers_whatever_their_names_hold(tmp_path):
    folder = tmp_path / "a, b"
    for clip in ("c10", "c9", "c,1"):
        (folder / clip).mkdir(parents=True)
    np.savez(folder / "c11.npz", features=np.ones((2, 5)))
    for i in (0, 2, 10, 1):
        Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(folder / "c,1" / f"frame_{i}.png")
    names = ["c9", "c10", "c11.npz", "c,1"]
    assert [p.name for p in clips.found(str(folder))] == names
    assert clips.found(str(folder / "c,1")) == [folder / "c,1"]
    other = tmp_path / "other.gif"
    assert clips.found(f"{tmp_path / 'a'},{other}") == [tmp_path / "a", other]
    assert clips.read(folder / "c,1", 8, 12)[:, 0, 0, 0].tolist() == [0, 20, 40, 200]


def test_what_is_transparent_in_a_gif_is_white(tmp_path):
    images = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)) for _ in range(2)]
    for x, image in enumerate(images):
        image.putpixel((x, 3), (255, 0, 0, 255))
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], disposal=2)
    want = np.full((2, 8, 8, 3), 255)
    want[[0, 1], 3, [0, 1]] = 255, 0, 0
    np.testing.assert_array_equal(clips.read(tmp_path / "a.gif", 8, 4), want)


def test_made_up_frames_have_the_side_that_is_asked_for():
    small = config(pixels=8, sizes=(3, 1, 1))
    assert clips.frames(small, clips.load(small).train)[0].shape == (3, 12, 8, 8, 3)


def test_folders_of_clips_with_captions_are_no_clips_without(tmp_path):
    written(tmp_path, [("sub/a", "a b", "train"), ("sub/b", "a", "valid"), ("c.gif", "b", "test")])
    for name in ("sub/a", "sub/b", "d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "c.gif").touch()
    report = clips.load(config(source="folder", path=str(tmp_path))).report
    assert re.search(r"^1 clip left out, without a caption: d$", report, re.MULTILINE)


def test_features(tmp_path):
    path = tmp_path / "f"
    written(path, [(n, "a b", part) for n, part in zip("pqrs", ("train", "train", "valid", "test"), strict=True)])
    for name, shape in (("p", (9, 5)), ("q", (2, 5)), ("r", (3, 5)), ("s", (3, 6))):
        np.savez(path / f"{name}.npz", features=np.ones(shape))
    want = config(source="features", path=str(path), frames=4)
    found = clips.load(want)
    frames, counts, bad = clips.frames(want, found.train)
    assert frames.shape == (2, 4, 5) and frames.dtype == np.float32 and counts.tolist() == [4, 2] and not bad
    frames, counts, bad = clips.frames(want, [*found.test, *found.train])
    assert frames.shape == (3, 4, 5) and counts.tolist() == [0, 4, 2] and not frames[0].any()
    assert bad == [(0, "s has features of 6 numbers; in training most have features of 5 numbers")]
    assert clips.frames(want, [*found.test, *found.train], [6])[1].tolist() == [3, 0, 0]
    with pytest.raises(DataError, match=r"no clip can be used; the first: p has features of 5 numbers; .* 1 number$"):
        clips.frames(want, found.train, (1,))
    np.savez(path / "p.npz", features=np.ones(4))
    (path / "q.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"no clip can be used; the first: .*features \[4\]; want \[t k\]"):
        clips.frames(want, found.train)
    np.savez(path / "more.npz", features=np.ones((3, 5)))
    assert re.search(r"^1 clip left out, without a caption: more$", clips.load(want).report, re.MULTILINE)


@pytest.mark.parametrize("number", [np.nan, -np.inf, 1e300])
def test_features_are_finite(tmp_path, number):
    np.savez(tmp_path / "p.npz", features=np.array([[1, 2], [number, 4]]))
    with pytest.raises(DataError, match=r"p\.npz: 1 of its 4 numbers are not finite"):
        clips.read(tmp_path / "p.npz", 8, 4)


@pytest.mark.parametrize("frames", [4, 5, 21, 22])
def test_every_number_of_frames_has_room_for_two_directions(frames):
    for clip in clips.load(config(frames=frames, sizes=(100, 1, 1))).train:
        said, moves = ways(clip.captions[0]), np.diff(centres(clip.source), axis=0)
        assert len(clip.source) == frames
        for way, move in ((said[0], moves[0]), (said[-1], moves[-1])):
            assert move @ clips.DIRECTIONS[way] > 0.4, (clip.captions, moves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "web"}, "no 'web'; there are shapes, digits, folder, features"),
        ({"source": "folder", "path": "nowhere"}, "nowhere/captions.csv does not exist; want clip,caption"),
        ({"frames": 1}, "config.data.frames=1: want at least 2"),
        *[({"frames": n, "source": s}, f"={n}: want 4 to 22") for n in (2, 3, 23) for s in ("shapes", "digits")],
        ({"sizes": (5, 5)}, "want three"),
        ({"sizes": (5, 0, 5)}, "of at least 1"),
    ],
)
def test_what_is_wrong_is_told(changes, message):
    with pytest.raises(DataError, match=message):
        clips.load(config(**changes))


def test_batches_hold_what_belongs_together():
    found = clips.load(config()).train
    frames, counts, _ = clips.frames(config(), found)
    vocabulary = clips.load(config()).vocabulary
    batches = captions.Batches(found, {"frames": frames, "counts": counts}, vocabulary, 7, 2)
    for i in range(batches.count()):
        batch = batches(i)
        for text, seen, length in zip(batch["target"], batch["frames"], batch["lengths"], strict=True):
            if length:
                at = next(k for k, clip in enumerate(found) if (clip.source == seen).all())
                assert vocabulary.decode(text) == found[at].captions[0]
