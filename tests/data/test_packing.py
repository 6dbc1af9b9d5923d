"""Packing and bucketing: nothing is lost, nothing is twice, little is padding."""

import numpy as np
import pytest

from rnn_jax.data import DataError, packing


def lengths(n=3000, seed=0):
    """Of pairs like those of captions: correlated, a few very long."""
    rng = np.random.default_rng(seed)
    one = np.clip(rng.gamma(9, 1.5, n).astype(int), 3, 45)
    return np.stack([one, np.clip(one + rng.integers(-3, 4, n), 3, 45)], 1)


def packed(n=3000, row=48, rows=16, seed=0):
    sequences = [[np.arange(1, k + 1) + 100 * i for i, k in enumerate(column)] for column in lengths(n).T]
    return packing.Packed({"source": (sequences[0], row), "target": (sequences[1], row)}, rows, seed), sequences


def test_every_pair_is_in_every_epoch_once_and_whole():
    each, (sources, targets) = packed(400)
    for epoch in range(2):
        found = []
        for i in range(each.count(0) * epoch, each.count(0) * epoch + each.count(epoch)):
            batch = each(i)
            for row in range(16):
                numbers = np.unique(batch["source_segments"][row])
                numbers = numbers[numbers > 0]
                assert {*numbers, 0} == {*np.unique(batch["target_segments"][row]), 0}
                for k in numbers:
                    source = batch["source"][row][batch["source_segments"][row] == k]
                    target = batch["target"][row][batch["target_segments"][row] == k]
                    item = (source[0] - 1) // 100
                    np.testing.assert_array_equal(source, sources[item])
                    np.testing.assert_array_equal(target, targets[item])
                    found.append(int(item))
        assert sorted(found) == list(range(400))


def test_little_of_it_is_padding():
    """Under 10 % of the positions, with one shape."""
    assert packed()[0].waste() < 0.08


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    one, two, other = packed(300)[0], packed(300)[0], packed(300, seed=1)[0]
    n = one.count() + 2
    late = two(n)
    for i in range(n):
        one(i)
    np.testing.assert_array_equal(one(n)["source"], late["source"])
    assert (other(0)["source"] != one(0)["source"]).any() and (one(0)["source"] != one(one.count())["source"]).any()


def test_what_is_longer_than_a_row_is_left_out_and_counted():
    each = packing.Packed({"source": ([[1] * 5, [2] * 9], 8), "target": ([[1], [2]], 8)}, 2)
    assert each.too_long == 1 and each.count() == 1 and each(0)["source"].max() == 1


def test_rows_that_hold_nothing_are_one_line():
    each = packing.Packed({"source": ([[1] * 5, [2] * 9], 4), "target": ([[1], [2]], 8)}, 2)
    for use in (each.count, each.waste, lambda: each(0)):
        with pytest.raises(
            DataError, match=r"every item is longer than a row \(source 4, target 8\): want longer rows"
        ):
            use()


@pytest.mark.parametrize("shapes", [1, 2, 5, 60])
def test_buckets_pad_least(shapes):
    found = lengths(500)[:, 0]
    bounds = packing.buckets(found, shapes)
    assert len(bounds) <= shapes and bounds[-1] == found.max() and (np.diff(bounds) > 0).all()
    cost = lambda bounds: np.asarray(bounds)[np.searchsorted(bounds, found)].sum()
    rng = np.random.default_rng(0)
    values = np.unique(found)
    for _ in range(200):  # no other bounds do better
        other = np.unique([*rng.choice(values, min(shapes, len(values)) - 1, replace=False), values[-1]])
        assert cost(bounds) <= cost(other)


def test_groups_hold_everything_once():
    found = lengths(501)[:, 0]
    groups = list(packing.grouped(found, 40, shapes=5))
    assert sorted(i for items, _ in groups for i in items) == list(range(501))
    assert all(len(items) <= 40 and found[items].max() <= bound for items, bound in groups)
    assert len({bound for _, bound in groups}) <= 5
    padded = sum(len(items) * bound for items, bound in groups)
    assert 1 - found.sum() / padded < 0.12


def bucketed(n=1000, batch=16, shapes=4, seed=0):
    found = lengths(n)[:, 0]
    target = [np.arange(k) + 100 * i + 1 for i, k in enumerate(found)]
    return packing.Bucketed({"inputs": [t - 1 for t in target], "target": target}, batch, shapes, seed), target


@pytest.mark.parametrize(("n", "batch", "shapes"), [(1000, 16, 4), (1000, 999, 3), (5, 16, 4), (32, 16, 1), (50, 1, 2)])
def test_every_item_is_in_every_epoch_once(n, batch, shapes):
    each, target = bucketed(n, batch, shapes)
    count = each.count()
    assert count == -(-n // batch)
    for epoch in range(2):
        found, sizes = [], set()
        for i in range(count * epoch, count * (epoch + 1)):
            here = each(i)
            assert {v.dtype for v in here.values()} == {np.dtype(np.int32)}
            assert here["inputs"].shape == here["target"].shape == (batch, here["target"].shape[1])
            sizes.add(here["target"].shape[1])
            for row, (item, length) in enumerate(zip(here["items"], here["lengths"], strict=True)):
                assert not here["target"][row, length:].any() and not here["inputs"][row, length:].any()
                if length:
                    np.testing.assert_array_equal(here["target"][row, :length], target[item])
                    np.testing.assert_array_equal(here["inputs"][row, :length], target[item] - 1)
                    found.append(int(item))
                else:
                    assert item == 0
        assert sorted(found) == list(range(n)) and len(sizes) <= shapes


def test_buckets_of_an_epoch_are_in_no_order_and_waste_little():
    each, _ = bucketed(3000, 32, 4)
    sizes = [each(i)["target"].shape[1] for i in range(each.count())]
    assert sorted(sizes) not in (sizes, sizes[::-1]) and len(set(sizes)) == 4
    real = sum(int(each(i)["lengths"].sum()) for i in range(each.count()))
    least = 1 - real / each.bounds[np.searchsorted(each.bounds, each.lengths)].sum()
    assert each.waste() == pytest.approx(1 - real / (32 * sum(sizes))) and each.waste() < least + 0.02


def test_a_batch_of_buckets_depends_on_its_number_and_the_seed_alone():
    one, two, other = bucketed()[0], bucketed()[0], bucketed(seed=1)[0]
    n = one.count() + 2
    late = two(n)
    for i in range(n):
        one(i)
    assert all((one(n)[k] == late[k]).all() for k in late)
    order = lambda make, epoch: [int(j) for i in range(one.count()) for j in make(i + epoch * one.count())["items"]]
    assert order(one, 0) != order(one, 1) and order(one, 0) != order(other, 0)
