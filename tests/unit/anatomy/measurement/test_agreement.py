import math

import numpy as np
import pytest

from sequal.anatomy.measurement import bland_altman, icc_2_1
from sequal.errors import MeasurementError

#: Peak expiratory flow, Bland and Altman, Lancet 1986, table 1: first readings of two meters.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

#: Shrout and Fleiss 1979, table 2: six subjects, four judges.
JUDGES = [[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]]


def test_published_example_of_bland_and_altman() -> None:
    found = bland_altman(WRIGHT, MINI)
    assert found.pairs == 17
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.limits == pytest.approx((-78.1, 73.9), abs=0.3)
    # The paper: 95 % interval of the bias -22.0 to 17.8.
    assert found.bias_interval == pytest.approx((-22.0, 17.8), abs=0.1)


def test_intervals_worked_by_hand() -> None:
    found = bland_altman([1.0, 3.0, 2.0, 6.0], [0.0, 0.0, 0.0, 0.0])
    assert (found.bias, found.mean_absolute_error) == (3.0, 3.0)
    sd = math.sqrt(14 / 3)
    t = 3.182446305284263
    half = t * sd * math.sqrt(1 / 4 + 1.959963984540054**2 / 6)
    assert found.sd == pytest.approx(sd)
    assert found.bias_interval == pytest.approx((3 - t * sd / 2, 3 + t * sd / 2))
    assert found.upper_interval == pytest.approx((found.limits[1] - half, found.limits[1] + half))
    assert found.lower_interval == pytest.approx((found.limits[0] - half, found.limits[0] + half))


def test_swapping_the_readers_mirrors_the_analysis() -> None:
    there, back = bland_altman(WRIGHT, MINI), bland_altman(MINI, WRIGHT)
    assert back.bias == -there.bias
    assert back.limits == pytest.approx((-there.limits[1], -there.limits[0]))
    assert back.mean_absolute_error == there.mean_absolute_error


def test_intervals_of_the_limits_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    truth = 1.959963984540054
    hits = 0
    for _ in range(1000):
        low, high = bland_altman(rng.normal(size=30).tolist(), [0.0] * 30).upper_interval
        hits += low <= truth <= high
    # Five standard deviations of the binomial around 950.
    assert 915 <= hits <= 985


def test_published_example_of_shrout_and_fleiss() -> None:
    assert icc_2_1(JUDGES) == pytest.approx(0.2898, abs=5e-5)


def test_icc_knows_a_constant_bias_and_a_perfect_match() -> None:
    subjects = [1.0, 2.0, 3.0, 4.0]
    assert icc_2_1([subjects, subjects]) == 1.0
    # Mean squares: subjects 10/3, readers 2, error 0: (10/3) / (10/3 + 2 * 2 / 4).
    assert icc_2_1([subjects, [value + 1.0 for value in subjects]]) == pytest.approx(10 / 13)


def test_icc_of_constant_measurements_is_not_defined() -> None:
    assert math.isnan(icc_2_1([[0.7, 0.7, 0.7], [0.7, 0.7, 0.7]]))


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0], [1.0], "two or more subjects"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "lengths \\[2, 3\\]"),
        ([1.0, float("nan")], [1.0, 2.0], "got 1 that are not"),
    ],
)
def test_impossible_tables_are_refused(first: list[float], second: list[float], words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        bland_altman(first, second)
    with pytest.raises(MeasurementError, match=words):
        icc_2_1([first, second])
