import numpy as np
import pytest
import torch

from sequal.learning.losses import confident_disagreement_loss

SHAPES = [((2, 2, 5, 7)), ((2, 3, 5, 7)), ((1, 2, 3, 4, 5)), ((2, 3, 3, 4, 5))]


def _logits(p):
    """One row of voxels (1, 2, 1, n) with the given probabilities of the foreground."""
    p = torch.tensor(p)
    return torch.stack([1 - p, p]).log().view(1, 2, 1, -1)


def _random(shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    logits = [(3 * torch.randn(shape, generator=rng)).requires_grad_() for _ in range(2)]
    classes = torch.tensor([*range(shape[1]), 255])
    return *logits, classes[torch.randint(0, len(classes), (shape[0], 1, *shape[2:]), generator=rng)]


def test_value_by_hand():
    # Voxels 0 and 1 count: exactly one network says foreground with at least 0.6. Voxel 2: both do; 3: neither does;
    # 4: not annotated.
    a = _logits([0.8, 0.3, 0.9, 0.55, 0.9])
    b = _logits([0.5, 0.7, 0.7, 0.2, 0.1])
    label = torch.tensor([1, 0, 0, 1, 255]).view(1, 1, 1, 5)
    mse_a = ((0.8 - 1) ** 2 + 0.3**2) / 2
    mse_b = ((0.5 - 1) ** 2 + 0.7**2) / 2
    assert confident_disagreement_loss(a, b, label).item() == pytest.approx(0.5 * (mse_a + mse_b))
    assert confident_disagreement_loss(a, b, label, confidence=0.75).item() == pytest.approx(
        0.5 * ((0.8 - 1) ** 2 + (0.9 - 0) ** 2 + (0.5 - 1) ** 2 + (0.7 - 0) ** 2) / 2
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_against_numpy(shape):
    a, b, label = _random(shape)
    p_a, p_b = (torch.softmax(x.detach().double(), dim=1).numpy() for x in (a, b))
    total, count = 0.0, 0
    for image, number, *place in np.ndindex(*shape):
        y = int(label[(image, 0, *place)])
        values = [p[(image, number, *place)] for p in (p_a, p_b)]
        if number == 0 or y == 255 or (values[0] >= 0.6) == (values[1] >= 0.6):
            continue
        total += sum((v - (y == number)) ** 2 for v in values)
        count += 1
    assert count > 5
    assert confident_disagreement_loss(a, b, label).item() == pytest.approx(0.5 * total / count, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_reaches_both_networks_and_only_voxels_that_count(shape):
    a, b, label = _random(shape)
    confident_disagreement_loss(a, b, label).backward()
    p_a, p_b = (torch.softmax(x.detach(), dim=1)[:, 1:] for x in (a, b))
    counts = (((p_a >= 0.6) != (p_b >= 0.6)).any(dim=1, keepdim=True) & (label != 255)).expand(shape)
    for logits in (a, b):
        assert logits.grad[~counts].abs().max() == 0.0
        assert logits.grad[counts].abs().min() > 0.0


@pytest.mark.parametrize("annotated", [1, 1000])
def test_one_voxel_that_counts_pulls_as_hard_however_many_are_annotated(annotated):
    a = _logits([0.9] + [0.1] * (annotated - 1)).requires_grad_()
    b = _logits([0.2] + [0.1] * (annotated - 1)).requires_grad_()
    confident_disagreement_loss(a, b, torch.zeros(1, 1, 1, annotated, dtype=torch.uint8)).backward()
    for logits, p in ((a, 0.9), (b, 0.2)):
        by_hand = p * p * (1 - p)  # of 0.5 · p², with dp/dz = p · (1 − p)
        assert logits.grad[0, :, 0, 0].tolist() == pytest.approx([-by_hand, by_hand])


@pytest.mark.parametrize("value", [0, 255])
def test_nothing_that_counts_is_zero(value):
    a, b = (torch.zeros(2, 2, 4, 4, requires_grad=True) for _ in range(2))
    loss = confident_disagreement_loss(a, b, torch.full((2, 1, 4, 4), value, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0.0
    assert a.grad.abs().max() == b.grad.abs().max() == 0.0
