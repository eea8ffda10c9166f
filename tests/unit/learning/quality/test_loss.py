import math

import pytest
import torch

from sequal.learning.quality.loss import error_loss, error_target

SURE = 20.0


def _logits(classes, number):
    return SURE * torch.nn.functional.one_hot(classes, number).movedim(-1, 1).float()


def test_the_target_is_where_exactly_one_of_both_is_the_class():
    shown, label = torch.tensor([[[0, 1, 2, 2]]]), torch.tensor([[[[1, 1, 1, 2]]]], dtype=torch.uint8)
    target = error_target(_logits(shown, 3), label)
    assert target[0, 0].tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert target[0, 1].tolist() == [[0.0, 0.0, 1.0, 0.0]]


def test_a_class_that_is_missing_everywhere_gives_a_loss_for_the_others():
    shown, label = torch.ones(1, 2, 2, dtype=torch.long), torch.ones(1, 1, 2, 2, dtype=torch.uint8)
    right = torch.full((1, 2, 2, 2), -SURE, requires_grad=True)
    loss = error_loss(right, _logits(shown, 3), label)
    assert loss.item() == pytest.approx(0.0, abs=1e-4)
    loss.backward()
    assert right.grad.isfinite().all()


def test_only_annotated_pixels_count():
    shown, label = torch.tensor([[[1, 1, 0, 1]]]), torch.tensor([[[[1, 0, 255, 255]]]], dtype=torch.uint8)
    claims = torch.tensor([[[[-2.0, 1.0, 9.0, -9.0]]]])
    other = torch.tensor([[[[-2.0, 1.0, -4.0, 3.0]]]])
    assert error_loss(claims, _logits(shown, 2), label) == error_loss(other, _logits(shown, 2), label)
    assert error_loss(claims, _logits(shown, 2), torch.full_like(label, 255)).item() == 0.0


def test_by_hand():
    # One right pixel claimed wrong with odds 1/3, one wrong pixel with odds 1/3; odds are tripled in the cross-entropy.
    shown, label = torch.tensor([[[1, 1]]]), torch.tensor([[[[1, 0]]]], dtype=torch.uint8)
    claims = torch.full((1, 1, 1, 2), math.log(1 / 3))
    cross_entropy = (math.log(2) + 3 * math.log(2)) / 2
    dice = (2 * 0.25 + 1) / (0.5 + 1 + 1)
    predicted, true = (2 * 1.5 + 20) / (2 * 1.5 + 0.5 + 20), (2 * 1 + 20) / (2 * 1 + 1 + 20)
    found = error_loss(claims, _logits(shown, 2), label).item()
    assert found == pytest.approx(cross_entropy + 1 - dice + predicted - true, rel=1e-5)


def test_the_loss_is_least_where_claims_are_right():
    shown = torch.ones(1, 1, 40, dtype=torch.long)
    label = torch.ones(1, 1, 1, 40, dtype=torch.uint8)
    label[..., :8] = 0  # one in five is wrong, and nothing tells which

    def without_overlap(chance):
        claims = torch.full((1, 1, 1, 40), math.log(chance / (1 - chance)))
        overlap = (2 * 8 * chance + 1) / (40 * chance + 8 + 1)
        return error_loss(claims, _logits(shown, 2), label).item() - (1 - overlap)

    chances = torch.linspace(0.02, 0.6, 59).tolist()
    losses = [without_overlap(chance) for chance in chances]
    assert chances[losses.index(min(losses))] == pytest.approx(0.2, abs=0.011)
