import numpy as np
import pytest
import scipy.stats

from sequal.acquisition import BadgeStrategy, Pool, k_means_plus_plus


def draws(points, steps, count):
    return [k_means_plus_plus(points, steps, np.random.default_rng(seed))[0] for seed in range(count)]


def test_worked_by_hand():
    """The longest begins; then only one point is at a distance; copies come last."""
    points = np.array([[1.0, 0.0], [3.0, 4.0], [3.0, 4.0]])
    order, distances = k_means_plus_plus(points, 3, np.random.default_rng(0))
    assert order == [1, 0, 2]
    assert distances == [5.0, pytest.approx(np.hypot(2, 4)), 0.0]


@pytest.mark.parametrize("steps", [2, 1])
def test_the_second_is_drawn_in_proportion_to_the_squared_distance(steps):
    """From 10 the others are at 1, 2 and 3: chances 1/14, 4/14 and 9/14, drawn one by one or in one draw."""
    points = np.array([[10.0], [9.0], [8.0], [7.0]])
    seconds = [order[1] for order in draws(points, steps, 1400)]
    counts = np.bincount(seconds, minlength=4)[1:]
    assert scipy.stats.chisquare(counts, [100, 400, 900]).pvalue > 0.001


def test_the_third_counts_the_distance_to_both():
    """Once 10 and 0 are drawn, 9 (1 away) and 5 (5 away) have chances of 1/26 and 25/26."""
    points = np.array([[10.0], [0.0], [9.0], [5.0]])
    thirds = [order[2] for order in draws(points, 4, 2000) if order[1] == 1]
    counts = [thirds.count(2), thirds.count(3)]
    assert len(thirds) > 1000
    assert scipy.stats.binomtest(counts[0], len(thirds), 1 / 26).pvalue > 0.001


def test_distinct_points_come_before_copies_and_all_come():
    points = np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 4, axis=0)
    for steps in (1, 3, 20):
        order, distances = k_means_plus_plus(points, steps, np.random.default_rng(1))
        assert sorted(order) == list(range(20))
        if steps == 20:
            assert len({index // 4 for index in order[:5]}) == 5
            assert distances[5:] == [0.0] * 15
            assert order[5:] == sorted(order[5:])


def test_equal_points_and_no_points():
    assert k_means_plus_plus(np.zeros((3, 2)), 3, np.random.default_rng(0)) == ([0, 1, 2], [0.0, 0.0, 0.0])
    assert k_means_plus_plus(np.zeros((0, 0)), 3, np.random.default_rng(0)) == ([], [])


def test_against_a_plain_loop():
    """Same draws, distances from scratch in every step."""
    points = np.random.default_rng(3).normal(size=(25, 4))
    rng, expected = np.random.default_rng(7), [int(np.linalg.norm(points, axis=1).argmax())]
    while len(expected) < 10:
        squared = np.min([((points - points[index]) ** 2).sum(axis=1) for index in expected], axis=0)
        expected.append(int(rng.choice(25, p=squared / squared.sum())))
    assert k_means_plus_plus(points, 10, np.random.default_rng(7))[0][:10] == expected


def test_the_strategy_asks_for_the_longest_gradient_first():
    vectors = {"sure": np.float32([0.1, 0]), "unsure": np.float32([3, 4]), "label": np.float32([9, 9])}
    pool = Pool(("new", "sure", "unsure"), ("label",), {}, lambda _: {}, features=lambda _: vectors)
    queries = BadgeStrategy().rank(pool, np.random.default_rng(0))
    assert [query.id for query in queries] == ["unsure", "sure", "new"]
    assert queries[0].score == 5.0
    assert queries[0].reason == "badge: gradient distance 5, rank 1 of 2"
