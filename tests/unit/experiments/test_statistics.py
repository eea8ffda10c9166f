import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from sequal.experiments.statistics import area_under_curve, labels_to, paired_bootstrap, t_interval

CURVES = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=2, max_size=8)


def test_the_area_is_the_trapezoid_rule_over_the_range():
    # 10 labels at a mean of 0.5, 20 at 0.7, 10 at 0.8: (5 + 14 + 8) / 40.
    assert area_under_curve([10, 20, 40, 50], [0.4, 0.6, 0.8, 0.8]) == pytest.approx(27 / 40)
    assert area_under_curve([10], [0.4]) == 0.4


@given(CURVES)
def test_the_area_agrees_with_scipy_and_lies_within_the_curve(curve):
    labels, dice = np.cumsum([step for step, _ in curve]).tolist(), [value for _, value in curve]
    area = area_under_curve(labels, dice)
    assert area == pytest.approx(integrate.trapezoid(dice, labels) / (labels[-1] - labels[0]))
    assert min(dice) - 1e-9 <= area <= max(dice) + 1e-9


def test_labels_to_a_target_are_interpolated():
    labels, dice = [10, 20, 30], [0.5, 0.4, 0.8]
    assert labels_to(labels, dice, 0.5) == 10
    assert labels_to(labels, dice, 0.6) == pytest.approx(25)
    assert labels_to(labels, dice, 0.8) == pytest.approx(30)
    assert labels_to(labels, dice, 0.81) is None


def test_the_bootstrap_of_two_seeds_by_hand():
    # The mean of two draws is 0, 0.5 or 1 with chances 1/4, 1/2, 1/4: the outer ones hold 2.5 % each.
    assert paired_bootstrap([0.0, 1.0]) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_the_bootstrap_of_many_seeds_is_that_of_the_mean():
    values = np.random.default_rng(1).normal(0.02, 0.01, 100)
    found = paired_bootstrap(values.tolist())
    half = 1.96 * values.std() / 10
    assert found["low"] == pytest.approx(values.mean() - half, abs=2e-4)
    assert found["high"] == pytest.approx(values.mean() + half, abs=2e-4)
    assert paired_bootstrap(values.tolist()) == found


def test_one_seed_has_no_interval():
    assert paired_bootstrap([0.1]) == t_interval([0.1]) == {"mean": 0.1, "low": None, "high": None}


def test_student_s_t_by_its_table():
    # n = 5: t = 2.776, s = 0.15811, s / √5 = 0.070711.
    found = t_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found["high"] - found["mean"] == pytest.approx(2.776 * 0.070711, abs=1e-4)
