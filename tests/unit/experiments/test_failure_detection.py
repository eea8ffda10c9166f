import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.experiments.failure_detection import (
    aurc,
    e_aurc,
    error_map_dice,
    failures_first,
    mean_absolute_error,
    pearson,
    spearman,
)

QUALITIES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=6)


def _of_every_order(measure, dice, quality):
    """Mean over every order of images that keeps the qualities in order."""
    found = []
    for order in itertools.permutations(range(len(dice))):
        if all(quality[a] >= quality[b] for a, b in itertools.pairwise(order)):
            found.append(measure([dice[i] for i in order]))
    return np.mean(found)


@settings(max_examples=30, deadline=None)
@given(QUALITIES)
def test_ties_count_as_the_mean_over_their_orders(images):
    dice, quality = zip(*images, strict=True)

    def area(ordered):
        return np.mean([1 - np.mean(ordered[: k + 1]) for k in range(len(ordered))])

    def first(ordered):
        asked = ordered[::-1][: math.ceil(0.3 * len(ordered))]
        return np.mean([value < 0.5 for value in asked])

    assert aurc(dice, quality) == pytest.approx(_of_every_order(area, dice, quality))
    assert failures_first(dice, quality, 0.3) == pytest.approx(_of_every_order(first, dice, quality))
    assert e_aurc(dice, quality) >= -1e-12


def test_only_the_order_counts_for_the_area():
    dice, quality = [0.9, 0.3, 0.7, 0.5], [0.8, 0.2, 0.9, 0.1]
    assert aurc(dice, quality) == aurc(dice, [10 * q - 3 for q in quality])
    # Trusted in the order 0.7, 0.9, 0.3, 0.5: risks 0.3, 0.2, 0.3667, 0.4.
    assert aurc(dice, quality) == pytest.approx((0.3 + 0.2 + 11 / 30 + 0.4) / 4)


def test_what_has_no_answer_is_nan():
    assert math.isnan(aurc([], []))
    assert math.isnan(failures_first([], []))
    assert math.isnan(mean_absolute_error([], []))
    assert math.isnan(pearson([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]))
    assert math.isnan(spearman([0.1, 0.2], [0.1, 0.2]))


def test_an_error_map_is_judged_where_there_are_errors():
    right = np.zeros(4, bool)
    assert error_map_dice(np.ones(4), right) is None
    wrong = np.array([True, True, False, False])
    assert error_map_dice(np.array([0.6, 0.4, 0.4, 0.6]), wrong) == 0.5
    assert error_map_dice(np.array([0.6, 0.4, 0.4, 0.6]), wrong, threshold=0.3) == pytest.approx(2 / 3)
