import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.learning.losses import SupervisedLoss


def _batch(seed, shape=(2, 5, 7)):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn((shape[0], 2, *shape[1:]), generator=rng)
    label = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(0, 3, (shape[0], 1, *shape[1:]), generator=rng)]
    return logits, label


def test_value_by_hand():
    # Undecided logits, one pixel of each class: cross-entropy ln 2, Dice 2 · 0.5 / (0.5 + 0.5 + 1) = 1/2.
    label = torch.tensor([[[[0, 1, 255]]]], dtype=torch.uint8)
    logits = torch.zeros(1, 2, 1, 3)
    assert SupervisedLoss(2.0)(logits, label).item() == pytest.approx(math.log(2) + 2 * 0.5, abs=1e-5)
    assert SupervisedLoss(0.0)(logits, label).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("seed", range(3))
def test_against_numpy(seed):
    logits, label = _batch(seed)
    p = np.exp(logits.double().numpy())
    p = p / p.sum(axis=1, keepdims=True)
    y = label[:, 0].numpy()
    known = y != 255
    cross_entropy = -np.log(np.where(y == 1, p[:, 1], p[:, 0])[known]).mean()
    overlap = p[:, 1][y == 1].sum()
    dice = 1 - 2 * overlap / (p[:, 1][known].sum() + (y == 1).sum())
    assert SupervisedLoss(1.25)(logits, label).item() == pytest.approx(cross_entropy + 1.25 * dice, abs=1e-4)


@pytest.mark.parametrize("spatial", [(5, 7), (3, 4, 5)])
def test_several_classes_against_numpy(spatial):
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 3, *spatial), generator=rng)
    label = torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, (2, 1, *spatial), generator=rng)]
    p = np.exp(logits.double().numpy())
    p = p / p.sum(axis=1, keepdims=True)
    y = label[:, 0].numpy()
    known = y != 255
    of_truth = np.take_along_axis(p, np.where(known, y, 0)[:, None], axis=1)[:, 0]
    dice = [1 - 2 * p[:, c][y == c].sum() / (p[:, c][known].sum() + (y == c).sum()) for c in (1, 2)]
    expected = -np.log(of_truth[known]).mean() + 1.25 * np.mean(dice)
    assert SupervisedLoss(1.25)(logits, label).item() == pytest.approx(expected, abs=1e-4)


def test_without_dice_it_is_torchs_cross_entropy():
    logits, label = _batch(3)
    expected = F.cross_entropy(logits, label[:, 0].long(), ignore_index=255)
    torch.testing.assert_close(SupervisedLoss(0.0)(logits, label), expected)


def test_dice_is_over_the_batch():
    """A patch without the layer neither rewards nor punishes by its own 0/0."""
    logits = torch.zeros(2, 2, 1, 2)
    label = torch.tensor([[[[1, 1]]], [[[0, 0]]]], dtype=torch.uint8)
    # Σp = 4 · 0.5, Σy = 2, overlap 1: 1 − 2/4. By patch it would be the mean of 1 − 2/3 and 1 − 0/1.
    assert SupervisedLoss(1.0)(logits, label).item() == pytest.approx(math.log(2) + 0.5, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50))
def test_pixels_without_annotation_change_nothing(seed, shift):
    logits, label = _batch(seed)
    moved = logits.clone()
    moved[:, 1][label[:, 0] == 255] += shift
    loss = SupervisedLoss(1.0)
    torch.testing.assert_close(loss(logits, label), loss(moved, label), rtol=1e-6, atol=1e-6)


def test_pixels_without_annotation_have_no_gradient():
    logits, label = _batch(5)
    logits.requires_grad_()
    SupervisedLoss(1.0)(logits, label).backward()
    unknown = (label == 255).expand_as(logits)
    assert logits.grad[unknown].abs().max() == 0.0
    assert logits.grad[~unknown].abs().min() > 0.0


def test_a_batch_without_annotation_is_zero():
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    loss = SupervisedLoss(1.0)(logits, torch.full((2, 1, 4, 4), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad.abs().max() == 0.0


def test_the_right_answer_costs_least():
    label = torch.tensor([[[[0, 1]]]], dtype=torch.uint8)
    right = torch.tensor([[[[20.0, -20.0]], [[-20.0, 20.0]]]])
    loss = SupervisedLoss(1.0)
    assert loss(right, label).item() == pytest.approx(0.0, abs=1e-4)
    assert loss(-right, label).item() > 10.0
