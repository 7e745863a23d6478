import random

import numpy as np
import pytest

from scaling_lab.data.preparation.clusters import cluster, siblings
from scaling_lab.data.splits import cluster_keys, split_of


def tune(*numbers: int) -> np.ndarray:
    return np.array(sorted(set(numbers)), dtype=np.uint64)


def test_tunes_that_share_half_of_the_smaller_one_are_siblings():
    assert list(siblings([tune(1, 2, 3, 4), tune(3, 4, 5, 6, 7, 8)])) == [(0, 1)]


def test_tunes_that_share_less_than_half_are_not():
    assert list(siblings([tune(1, 2, 3, 4, 5), tune(4, 5, 6, 7, 8, 9)])) == []


def test_equal_tunes_are_siblings_once():
    assert list(siblings([tune(1, 2), tune(1, 2)])) == [(0, 1)]


def test_tunes_without_shingles_stand_alone():
    assert cluster([tune(), tune(), tune(1)]) == [0, 1, 2]


def test_siblings_of_siblings_are_one_cluster():
    assert cluster([tune(1, 2), tune(9), tune(2, 3), tune(3, 4)]) == [0, 1, 0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_no_pair_is_missed_by_looking_up_rare_shingles_only(seed: int):
    rng = random.Random(seed)
    tunes = [tune(*(rng.randrange(30) for _ in range(rng.randrange(1, 9)))) for _ in range(40)]
    pairs = {
        frozenset((a, b))
        for a in range(40)
        for b in range(a)
        if 2 * len(np.intersect1d(tunes[a], tunes[b])) >= min(len(tunes[a]), len(tunes[b]))
    }
    assert set(map(frozenset, siblings(tunes))) == pairs


def test_a_phrase_of_all_tunes_makes_no_quadratic_work():
    common = range(100)
    tunes = [tune(*common, *range(1000 + 120 * i, 1120 + 120 * i)) for i in range(500)]
    assert len(set(cluster(tunes))) == 500


def test_adding_tunes_moves_no_other_cluster_and_order_does_not_matter():
    melodies = [(bytes([i, i]),) for i in range(200)]
    alone = cluster_keys(range(200), melodies)
    joined = cluster_keys([*range(200), 5], [*melodies, (b"more",)])
    assert [i for i in range(200) if alone[i] != joined[i]] in ([], [5])
    assert cluster_keys(range(200), melodies[::-1]) == alone[::-1]


def test_a_cluster_is_in_one_split():
    keys = cluster_keys([0, 1, 0], [(b"a",), (b"b",), (b"c",)])
    assert keys[0] == keys[2] != keys[1]


def test_about_five_percent_go_to_val_and_to_test():
    splits = [split_of(str(i).encode()) for i in range(10_000)]
    assert 420 < splits.count("val") < 580
    assert 420 < splits.count("test") < 580


def test_the_split_of_a_key_is_the_same_for_ever():
    assert [split_of(bytes([i])) for i in range(24)].count("train") == 22
