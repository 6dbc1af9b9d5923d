"""Strings of recordings: what they hold, how they are batched, and which files they are made from."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict
from test_audio import headed, tone, wav

from rnn_jax.data import DataError, audio, fsdd, recordings, tones

FEATURES = ConfigDict({"rate": 8000, "bands": 10, "window": 0.025, "hop": 0.010, "emphasis": 0.97, "stack": 3})


def config(**changed):
    out = recordings.defaults()
    out.update_from_flattened_dict({"batch": 4, "strings": 24, "held_out": 8, "takes": (2, 1, 1)} | changed)
    return out


@pytest.fixture(scope="module")
def found():
    return recordings.load(config(), 8000)


@pytest.fixture
def root(tmp_path):
    """write(part, {name: bytes}) into <root>/fsdd/<part>.zip."""
    (tmp_path / "fsdd").mkdir()

    def write(part, files):
        with zipfile.ZipFile(tmp_path / f"fsdd/{part}.zip", "w") as z:
            for name, content in files.items():
                z.writestr(name, content)
        return str(tmp_path)

    return write


def sounds(indices):
    return {
        f"{digit}_{who}_{i}.wav": wav(tone(300, 1600)) for digit in (0, 7) for who in ("ann", "bob") for i in indices
    }


# ------------------------------------------------------------------------------------------------------------ sources


def test_fsdd_by_index(root):
    for part, indices in {"train": range(5, 9), "test": range(2)}.items():
        where = root(part, sounds(indices))
    parts, bad = fsdd.read(where)
    assert [len(p) for p in parts] == [8, 8, 8] and not bad
    assert {(r.label, r.speaker) for r in parts[1]} == {(0, "ann"), (0, "bob"), (7, "ann"), (7, "bob")}
    np.testing.assert_allclose(parts[0][0].samples, tone(300, 1600), atol=1e-4)
    assert len(fsdd.read(where, 4000)[0][0][0].samples) == 800


def test_bad_recordings_are_counted_and_left_out(root):
    root("test", sounds([0]))
    bad = {"1_ann_9.wav": b"text", "2_ann_9.wav": b"", "hello.wav": wav(tone(9, 1600)), "3_ann_9.wav": wav(tone(9, 80)),
           "4_ann_9.wav": headed(tone(9, 1600), bits=64), "readme.txt": b""}  # fmt: skip
    where = root("train", sounds([5, 7]) | bad)
    got = recordings.load(config(source="fsdd", root=where), 8000)
    assert len(got.train) == 4 and got.report.count("\n") == 1
    assert "5 recordings left out: train.zip: 1_ann_9.wav cannot be read as wav" in got.report


def test_a_recording_that_is_damaged_in_the_zip_is_left_out(root, tmp_path):
    root("test", sounds([0]))
    where = root("train", {})
    with zipfile.ZipFile(tmp_path / "fsdd/train.zip", "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in sounds([5, 7]).items():
            z.writestr(name, content)
        info = z.getinfo("7_bob_7.wav")
    content = bytearray((tmp_path / "fsdd/train.zip").read_bytes())
    begin = info.header_offset + 30 + len(info.filename)
    content[begin : begin + info.compress_size] = b"\xff" * info.compress_size
    (tmp_path / "fsdd/train.zip").write_bytes(content)
    parts, bad = fsdd.read(where)
    assert len(parts[0]) == 3 and len(bad) == 1 and bad[0].startswith("train.zip: ")


def test_no_recording_at_all_is_one_line(root, tmp_path):
    wanted = config(source="fsdd", root=str(tmp_path))
    with pytest.raises(DataError, match=r"train.zip does not exist: fetch the recordings/ of .*RNN_JAX_DATA"):
        recordings.check(wanted)
    root("test", sounds([0]))
    root("train", sounds([5]))
    with pytest.raises(DataError, match="fsdd: the train part holds no recording"):
        recordings.load(wanted, 8000)
    (tmp_path / "fsdd/train.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"train.zip cannot be read \(File is not a zip file\)"):
        recordings.load(wanted, 8000)


def test_official_recordings(data_root):
    if not (data_root / "fsdd").is_dir():
        pytest.skip("no fsdd in RNN_JAX_DATA")
    parts, bad = fsdd.read(str(data_root))
    assert [len(p) for p in parts] == [1080, 120, 300] and not bad
    assert all(sorted({r.label for r in p}) == list(range(10)) and len({r.speaker for r in p}) == 6 for p in parts)


def test_speech_commands_is_its_words(monkeypatch):
    import tensorflow_datasets as tfds

    names, asked = ("up", "go", "_silence_", "_unknown_"), []
    label = SimpleNamespace(int2str=lambda i: names[i])

    class Part(list):
        dataset_info = SimpleNamespace(features={"label": label})

    def data_source(*what, **how):
        asked.append((what, how))
        row = {"audio": np.full(16000, 2**14), "label": 0}
        return [Part([row, row | {"label": 3}, row | {"label": 1}]), Part([row]), Part([row])]

    monkeypatch.setattr(tfds, "data_source", data_source)
    got = recordings.load(config(source="speech_commands"), 8000)
    assert got.symbols == ("go", "up") and [[r.label for r in p] for p in got[:3]] == [[1, 0], [1], [1]]
    assert len(got.train[0].samples) == 8000 and got.train[0].samples[4000] == pytest.approx(0.5, abs=0.01)
    assert asked == [(("speech_commands",), {"split": ["train", "validation", "test"], "download": False})]


def test_speech_commands_that_is_not_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"speech_commands cannot be read .*config.data.download=True") as error:
        recordings.load(config(source="speech_commands"), 8000)
    assert "\n" not in str(error.value)


def test_tones_are_digits_of_other_speakers_in_each_part(found):
    speakers = [{r.speaker for r in part} for part in found[:3]]
    assert [len(s) for s in speakers] == [8, 2, 2] and len(set.union(*speakers)) == 12
    assert [len(p) for p in found[:3]] == [160, 20, 20]
    assert all(1200 <= len(r.samples) <= 3600 and np.isfinite(r.samples).all() for r in found.train)
    np.testing.assert_array_equal(tones.make((1, 1, 1))[2][-1].samples, tones.make((1, 1, 1))[2][-1].samples)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"source": "web"}, "no 'web'; there are tones, fsdd, speech_commands"), ({"words": (0, 3)}, "1 <= least <= most"),
     ({"strings": 3}, "config.data.strings=3: want at least config.data.batch=4"),
     ({"takes": (2, 1)}, r"config.data.takes=\(2, 1\): want three numbers of at least 1"),
     ({"takes": (0, 1, 1)}, "want three numbers of at least 1"),
     ({"dither": 10.0}, "dither=10.0, augment.noise=15.0; want dither >= augment.noise"),
     ({"augment.masks": -1}, "config.data.augment.masks=-1: want at least 0"),
     ({"augment.gain": -1.0}, "config.data.augment.gain=-1.0: want at least 0")],
)  # fmt: skip
def test_a_wrong_request_is_one_line(changed, message):
    with pytest.raises(DataError, match=message):
        recordings.load(config(**changed), 8000)


# ------------------------------------------------------------------------------------------------------------ strings


def test_a_string_is_the_recordings_of_one_speaker_with_silence_between(found):
    strings = recordings.Strings(found.train, config(dither=300.0), FEATURES)
    for batch in strings.epoch(0)[:2]:
        for recipe in batch:
            assert len({found.train[i].speaker for i in recipe.items}) == 1 and 3 <= len(recipe.items) <= 7
            sound, pieces = strings.sound(recipe), strings.pieces(recipe)
            silent = np.ones(len(sound), bool)
            for item, (begin, end) in zip(recipe.items, pieces, strict=True):
                np.testing.assert_allclose(sound[begin:end], found.train[item].samples, atol=1e-6)
                silent[begin:end] = False
            assert abs(sound[silent]).max() < 1e-6 and all(0 <= g <= 1600 for g in recipe.gaps)
            x, labels = strings.render(recipe)
            assert len(x) == strings.length(recipe) and labels == [1 + found.train[i].label for i in recipe.items]


def test_a_batch_depends_on_its_number_and_the_seed_alone(found):
    one, two, other = (recordings.Strings(found.train, config(), FEATURES, seed=s, augment=True) for s in (0, 0, 1))
    late = two(8)
    for i in range(8):
        one(i)
    for name, value in one(8).items():
        np.testing.assert_array_equal(value, late[name])
    same = lambda a, b: a["x"].shape == b["x"].shape and (a["x"] == b["x"]).all()
    assert not same(one(0), one(6)) and not same(one(0), other(0))


def test_few_shapes_full_batches_and_no_string_too_long(found):
    want = config(longest=2.0, shapes=3)
    strings = recordings.Strings(found.train, want, FEATURES, augment=True)
    seen = [strings(i) for i in range(3 * strings.count)]
    assert (
        strings.count == 6
        and len({b["x"].shape for b in seen}) <= 3
        and strings.bounds[-1] == recordings.steps(16000, FEATURES)
    )
    held_out = recordings.Strings(found.test, want, FEATURES, strings=8, bounds=strings.bounds)
    assert held_out.count == 2
    for batch in [*seen, held_out(0), held_out(1)]:
        x, lengths, labels, counts = (batch[k] for k in ("x", "lengths", "labels", "counts"))
        assert x.shape[0] == 4 and x.shape[2] == 30 and x.shape[1] in strings.bounds and labels.shape == (4, 7)
        past = np.arange(x.shape[1]) >= lengths[:, None]
        assert not x[past].any() and np.isfinite(x).all() and lengths.max() <= x.shape[1]
        assert (counts >= 1).all() and ((labels > 0) == (np.arange(7) < counts[:, None])).all() and labels.max() <= 10
        repeated = ((labels[:, 1:] == labels[:, :-1]) & (labels[:, 1:] > 0)).sum(1)
        assert (lengths >= counts + repeated).all()  # CTC finds a path
    assert 0 <= strings.waste() < 0.4


def test_a_word_must_fit(found):
    with pytest.raises(DataError, match=r"config.data.longest=0.5: one word may take 0\.\d+ s; want at least that"):
        recordings.Strings(found.train, config(longest=0.5), FEATURES)


def test_little_is_padding(found):
    strings = recordings.Strings(found.train, config(batch=16, strings=1600), FEATURES)
    assert strings.waste() < 0.2


def test_only_training_is_augmented(found):
    plain, augmented = (recordings.Strings(found.train, config(), FEATURES, augment=a) for a in (False, True))
    assert all((r.speeds == 1).all() and (r.gains == 1).all() and r.noise == 0.01 for r in plain.epoch(0)[0])
    drawn = [r for batch in augmented.epoch(0) for r in batch]
    speeds, gains = (np.concatenate([getattr(r, k) for r in drawn]) for k in ("speeds", "gains"))
    assert 0.9 <= speeds.min() < 0.93 and 1.07 < speeds.max() <= 1.1 and 0.5 < gains.min() < 0.7 < 1.5 < gains.max() < 2
    assert min(r.noise for r in drawn) >= 0.01 and 0.1 < max(r.noise for r in drawn) < 0.18


def test_masks_are_stretches_of_time_and_of_bands():
    want = ConfigDict({"mask_bands": 3, "mask_frames": 12, "masks": 2})
    x = np.ones((40, 30), np.float32)
    recordings.mask(x, want, FEATURES, np.random.default_rng(1))
    frames = x.reshape(-1, 10)
    rows, columns = (frames == 0).all(1), (frames == 0).all(0)
    assert (frames[~rows][:, ~columns] == 1).all() and 0 < columns.sum() <= 6 and 0 < rows.sum() <= 24


def test_features_of_a_string_are_those_of_its_sound(found):
    strings = recordings.Strings(found.test, config(), FEATURES)
    recipe = strings.epoch(0)[0][0]
    wanted = audio.stack(audio.normalise(audio.log_mel(strings.sound(recipe), 8000, bands=10)), 3)
    batch = strings(0)
    np.testing.assert_array_equal(batch["x"][0, : batch["lengths"][0]], wanted)
