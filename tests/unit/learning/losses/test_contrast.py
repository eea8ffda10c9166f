import math

import numpy as np
import pytest
import torch

from sequal.learning.losses import prototype_contrast_loss

SHAPES = [(2, 2, (6, 8)), (2, 3, (6, 8)), (1, 2, (3, 4, 5)), (2, 3, (3, 4, 5))]


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _random(batch, classes, spatial, channels=4):
    rng = _generator()
    features = torch.randn((batch, channels, *spatial), generator=rng, requires_grad=True)
    labels = torch.randint(0, classes, (batch, *spatial), generator=rng)
    return features, labels, torch.rand((batch, *spatial), generator=rng) < 0.7


def test_value_by_hand():
    # Prototypes (1, 0) and (0, 1); the uncertain voxel, of class 0, points to (0.6, 0.8) whatever its length.
    features = torch.tensor([[5.0, 0.0, 3.0], [0.0, 2.0, 4.0]]).view(1, 2, 1, 3)
    classes = torch.tensor([0, 1, 0]).view(1, 1, 3)
    reliable = torch.tensor([True, True, False]).view(1, 1, 3)
    loss = prototype_contrast_loss(features, classes, reliable, _generator(), temperature=0.5)
    expected = -math.log(math.exp(0.6 / 0.5) / (math.exp(0.6 / 0.5) + math.exp(0.8 / 0.5)))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("batch", "classes", "spatial"), SHAPES)
def test_against_numpy(batch, classes, spatial):
    features, labels, reliable = _random(batch, classes, spatial)
    f = features.detach().double().movedim(1, -1).flatten(0, -2).numpy()
    f = f / np.linalg.norm(f, axis=1, keepdims=True)
    y, sure = labels.flatten().numpy(), reliable.flatten().numpy()
    prototypes = np.stack([f[sure & (y == c)].mean(axis=0) for c in range(classes)])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    similarity = np.exp(f @ prototypes.T / 0.1)
    expected = -np.log(similarity[np.arange(len(y)), y] / similarity.sum(axis=1))[~sure].mean()
    loss = prototype_contrast_loss(features, labels, reliable, _generator())
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("batch", "classes", "spatial"), SHAPES)
def test_gradient_reaches_uncertain_voxels_and_no_prototype(batch, classes, spatial):
    features, labels, reliable = _random(batch, classes, spatial)
    prototype_contrast_loss(features, labels, reliable, _generator()).backward()
    reached = features.grad.abs().sum(dim=1) > 0
    assert torch.equal(reached, ~reliable)


def test_a_step_down_the_gradient_moves_voxels_to_their_prototype():
    features, labels, reliable = _random(1, 2, (6, 8))
    before = prototype_contrast_loss(features, labels, reliable, _generator())
    before.backward()
    with torch.no_grad():
        after = prototype_contrast_loss(features - 0.1 * features.grad, labels, reliable, _generator())
    assert after < before


@pytest.mark.parametrize(
    ("labels", "reliable"),
    [
        ([0, 1, 0, 1], [True] * 4),  # nothing uncertain
        ([0, 1, 0, 1], [False] * 4),  # nothing reliable
        ([0, 0, 0, 0], [True, True, False, False]),  # one class only
        ([0, 0, 1, 1], [True, True, False, False]),  # no reliable voxel of the other class
        ([0, 1, 2, 2], [True, True, False, False]),  # the uncertain voxels have no prototype
    ],
)
def test_an_empty_side_is_zero(labels, reliable):
    features = torch.randn(1, 3, 1, 4, requires_grad=True)
    loss = prototype_contrast_loss(
        features, torch.tensor(labels).view(1, 1, 4), torch.tensor(reliable).view(1, 1, 4), _generator()
    )
    loss.backward()
    assert loss.item() == 0.0
    assert features.grad.abs().max() == 0.0


def test_features_of_zeros_are_finite():
    features = torch.zeros(1, 3, 1, 4, requires_grad=True)
    loss = prototype_contrast_loss(
        features, torch.tensor([[[0, 1, 0, 1]]]), torch.tensor([[[True, True, False, False]]]), _generator()
    )
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert features.grad.isfinite().all()


def test_at_most_so_many_voxels_of_each_class_count():
    features, labels, reliable = _random(2, 3, (20, 20))
    prototype_contrast_loss(features, labels, reliable, _generator(), voxels_per_class=7).backward()
    reached = features.grad.abs().sum(dim=1) > 0
    assert [int((reached & (labels == c)).sum()) for c in range(3)] == [7, 7, 7]


def test_the_draw_follows_its_generator_alone():
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(len(values))
        features, labels, reliable = _random(2, 3, (20, 20))
        loss = prototype_contrast_loss(features, labels, reliable, _generator(seed), voxels_per_class=7)
        values.append(loss.item())
    assert values[0] == values[1] != values[2]


def test_coarser_features_meet_the_classes_of_their_voxels():
    features, labels, reliable = _random(1, 2, (3, 4))
    fine = [x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2) for x in (labels, reliable)]
    torch.testing.assert_close(
        prototype_contrast_loss(features, *fine, _generator()),
        prototype_contrast_loss(features, labels, reliable, _generator()),
    )


def test_the_mean_of_a_large_patch_is_finite_in_half_precision():
    """As GPUs train: the sum of the features of 150 000 voxels is more than float16 holds."""
    features = torch.ones(1, 2, 400, 400, requires_grad=True)
    classes = (torch.arange(400) < 40).long().expand(1, 400, 400)
    reliable = (torch.arange(400) % 20 > 0).expand(1, 400, 400)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = prototype_contrast_loss(features, classes, reliable, _generator())
    assert loss.item() == pytest.approx(math.log(2), abs=1e-3)
    loss.backward()
    assert bool(features.grad.isfinite().all())


def test_the_gradient_of_features_that_dropout_left_out_is_finite_in_half_precision():
    """Of the first half of the voxels every channel was dropped; the gradient is scaled, as mixed precision has it."""
    _, classes, reliable = _random(1, 2, (6, 8))
    raw = torch.randn(1, 4, 6, 8, generator=_generator()).half().requires_grad_()
    dropped = torch.ones(1, 4, 6, 8).half()
    dropped[:, :, :3] = 0
    with torch.autocast("cpu", dtype=torch.float16):
        loss = prototype_contrast_loss(raw * dropped, classes, reliable, _generator())
    (1024 * loss).backward()
    assert bool(raw.grad.isfinite().all())
    assert raw.grad.abs().max() > 0
