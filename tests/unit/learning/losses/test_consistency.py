import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sequal.learning.losses import consistency_loss, consistency_weight, paper_consistency_weight


def test_value_by_hand():
    student = torch.tensor([0.8, 0.2]).log().view(1, 2, 1, 1)
    teacher = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1)
    assert consistency_loss(student, teacher).item() == pytest.approx(0.3**2)


def test_against_numpy():
    rng = np.random.default_rng(0)
    student, teacher = (rng.normal(size=(2, 2, 3, 4)) for _ in range(2))

    def softmax(x):
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    expected = ((softmax(student) - softmax(teacher)) ** 2).mean()
    assert consistency_loss(torch.tensor(student), torch.tensor(teacher)).item() == pytest.approx(expected)


def test_no_gradient_reaches_the_teacher():
    student, teacher = (torch.randn(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    consistency_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().max() > 0.0


def test_networks_that_agree_cost_nothing():
    logits = torch.randn(1, 2, 3, 3)
    assert consistency_loss(logits, logits + 7.0).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [(0.0, 3 * math.exp(-5)), (0.2, 3 * math.exp(-1.25)), (0.4, 3.0), (0.7, 3.0), (1.0, 3.0)],
)
def test_ramp_is_a_fraction_of_the_round(progress, expected):
    assert consistency_weight(progress, w_max=3.0, ramp_fraction=0.4) == pytest.approx(expected)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1))
def test_ramp_never_falls(first, second, fraction):
    low, high = sorted((first, second))
    assert consistency_weight(low, 1.0, fraction) <= consistency_weight(high, 1.0, fraction) <= 1.0


@pytest.mark.parametrize(
    ("iteration", "t"), [(0, 0.0), (149, 0.0), (150, 1 / 40), (1499, 9 / 40), (6000, 1.0), (9000, 1.0)]
)
def test_published_ramp_goes_by_units_of_150(iteration, t):
    assert paper_consistency_weight(iteration, w_max=2.0) == pytest.approx(2.0 * math.exp(-5 * (1 - t) ** 2))
