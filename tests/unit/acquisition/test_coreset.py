from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sequal.acquisition import CoresetStrategy, Pool, k_centre_greedy


def test_worked_by_hand():
    """Points 1, 2, 5, 9 and 10 on a line, a label at 0: 10 is farthest; then 5 (5 from both); then 2 (2), 1 and 9."""
    points = np.array([[1.0], [2.0], [5.0], [9.0], [10.0]])
    order, distances = k_centre_greedy(points, np.array([[0.0]]), steps=5)
    assert order == [4, 2, 1, 0, 3]
    assert distances == [10.0, 5.0, 2.0, 1.0, 1.0]


def test_after_the_steps_the_rest_follows_by_distance():
    points = np.array([[1.0], [2.0], [5.0], [9.0], [10.0]])
    order, distances = k_centre_greedy(points, np.array([[0.0]]), steps=1)
    # To 0 or 10: 1 has 1, 2 has 2, 5 has 5, 9 has 1.
    assert order == [4, 2, 1, 0, 3]
    assert distances == [10.0, 5.0, 2.0, 1.0, 1.0]
    assert k_centre_greedy(points, np.array([[0.0]]), steps=2)[0] == [4, 2, 1, 0, 3]


def test_without_centres_the_first_point_begins():
    assert k_centre_greedy(np.array([[3.0], [0.0], [8.0]]), np.zeros((0, 0)), steps=3) == ([0, 2, 1], [0.0, 5.0, 3.0])


def test_copies_of_a_centre_come_last():
    points = np.array([[0.0, 1.0], [5.0, 5.0], [5.0, 5.0], [0.0, 1.0]])
    order, distances = k_centre_greedy(points, np.array([[0.0, 1.0]]), steps=4)
    assert order[0] == 1
    assert distances[1:] == [0.0, 0.0, 0.0]


def _brute_force(points, centres, count):
    """The definition, word by word: from scratch in every step."""
    chosen = []
    while len(chosen) < count:
        held = [*centres, *points[chosen]]
        chosen.append(int(cdist(points, held).min(axis=1).argmax()))
    return chosen


@pytest.mark.parametrize("seed", range(5))
def test_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    points, centres = rng.normal(size=(30, 6)), rng.normal(size=(4, 6))
    order, distances = k_centre_greedy(points, centres, steps=12)
    assert order[:12] == _brute_force(points, centres, 12)
    assert sorted(order) == list(range(30))
    assert distances[:12] == sorted(distances[:12], reverse=True)
    assert distances[12:] == sorted(distances[12:], reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_cover_is_at_most_twice_the_best(seed):
    """Theorem of k-centre greedy, against every choice of three out of nine."""
    points = np.random.default_rng(seed).normal(size=(9, 2))
    between = cdist(points, points)
    best = min(between[:, list(choice)].min(axis=1).max() for choice in combinations(range(9), 3))
    order, _ = k_centre_greedy(points, np.zeros((0, 0)), steps=3)
    assert between[:, order[:3]].min(axis=1).max() <= 2 * best


def test_the_strategy_keeps_away_from_the_labelled_images():
    vectors = {name: np.float32([at]) for name, at in {"label": 0, "near": 1, "far": 7, "middle": 4}.items()}
    pool = Pool(("far", "middle", "near", "new"), ("label",), {}, lambda _: {}, features=lambda _: vectors)
    queries = CoresetStrategy().rank(pool, np.random.default_rng(0))
    assert [query.id for query in queries] == ["far", "middle", "near", "new"]
    assert [query.score for query in queries] == [7.0, 3.0, 1.0, None]
    assert queries[0].reason == "coreset: distance to the nearest label 7, rank 1 of 3"


def test_labelled_images_without_a_feature_are_not_seen():
    pool = Pool(("a", "b"), ("old",), {}, lambda _: {}, features=lambda _: {"a": np.ones(2), "b": np.zeros(2)})
    firsts = {CoresetStrategy().rank(pool, np.random.default_rng(seed))[0].id for seed in range(20)}
    assert firsts == {"a", "b"}
