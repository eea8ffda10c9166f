import math

import numpy as np
import pytest
import torch

from sequal.learning.losses import CrossPseudoLoss

SHAPES = [(2, 2, 5, 7), (2, 3, 5, 7), (1, 2, 3, 4, 5), (2, 3, 3, 4, 5)]
SWITCHES = [(None, False), (0.7, False), (None, True), (0.7, True)]


def _random(shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [(2 * torch.randn(shape, generator=rng)).requires_grad_() for _ in range(2)]


def _logits(p):
    p = torch.tensor(p)
    return torch.stack([1 - p, p]).log().view(1, 2, 1, -1)


def test_value_by_hand():
    a, b = _logits([0.8]), _logits([0.4])
    # B says background (1 − 0.8 = 0.2 in A), A says foreground (0.4 in B).
    plain = -math.log(0.2) - math.log(0.4)
    assert CrossPseudoLoss(None, kl_weight=False)(a, b).item() == pytest.approx(plain, rel=1e-5)
    kl = 0.8 * math.log(0.8 / 0.4) + 0.2 * math.log(0.2 / 0.6)
    assert CrossPseudoLoss(None)(a, b).item() == pytest.approx(math.exp(-kl) * plain + kl, rel=1e-5)


def test_entropy_filter_by_hand():
    # B teaches at its surer voxel alone (the first), A at its own (the second).
    a, b = _logits([0.7, 0.9]), _logits([0.95, 0.6])
    assert CrossPseudoLoss(0.5, kl_weight=False)(a, b).item() == pytest.approx(-math.log(0.7) - math.log(0.6), rel=1e-5)


@pytest.mark.parametrize(("quantile", "kl_weight"), SWITCHES)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_numpy(shape, quantile, kl_weight):
    a, b = _random(shape)
    p_a, p_b = (torch.softmax(x.detach().double(), dim=1).movedim(1, -1).flatten(0, -2).numpy() for x in (a, b))
    kl = (p_a * np.log(p_a / p_b)).sum(axis=1)
    weight = np.exp(-kl) if kl_weight else np.ones_like(kl)
    expected = kl.mean() if kl_weight else 0.0
    for learner, teacher in ((p_a, p_b), (p_b, p_a)):
        classes, entropy = teacher.argmax(axis=1), -(teacher * np.log(teacher)).sum(axis=1)
        kept = np.ones(len(classes), dtype=bool)
        for number in np.unique(classes) if quantile else ():
            values = np.sort(entropy[classes == number])
            kept[(classes == number) & (entropy > values[math.ceil(quantile * len(values)) - 1])] = False
        expected += (weight * -np.log(learner[np.arange(len(classes)), classes]))[kept].mean()
    assert CrossPseudoLoss(quantile, kl_weight)(a, b).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_network_learns_from_the_other_only_where_it_is_sure(shape):
    a, b = _random(shape)
    CrossPseudoLoss(0.5, kl_weight=False)(a, b).backward()
    for learner, teacher in ((a, b), (b, a)):
        log_p = torch.log_softmax(teacher.detach(), dim=1)
        entropy, classes = -(log_p.exp() * log_p).sum(dim=1), log_p.argmax(dim=1)
        kept = torch.zeros_like(classes, dtype=torch.bool)
        for number in range(shape[1]):
            here = classes == number
            kept |= here & (entropy <= entropy[here].sort().values[math.ceil(0.5 * int(here.sum())) - 1])
        reached = learner.grad.abs().sum(dim=1) > 0
        assert torch.equal(reached, kept)
        # Down the gradient the learner's probability of the other's label rises: softmax minus one-hot.
        assert (learner.grad.gather(1, classes[:, None])[:, 0][kept] < 0).all()


def test_no_gradient_flows_through_the_weight():
    """The gradient is that of w · CE + KL with w as a number; through w the networks would gain by moving apart."""
    a, b = _random((1, 2, 3, 3))
    CrossPseudoLoss(None)(a, b).backward()
    c, d = (x.detach().clone().requires_grad_() for x in (a, b))
    log_c, log_d = (torch.log_softmax(x, dim=1) for x in (c, d))
    kl = (log_c.exp() * (log_c - log_d)).sum(dim=1)
    w = torch.exp(-kl).detach()
    own = [torch.nn.functional.cross_entropy(x, y.argmax(dim=1), reduction="none") for x, y in ((c, d), (d, c))]
    (sum((w * loss).mean() for loss in own) + kl.mean()).backward()
    torch.testing.assert_close(a.grad, c.grad)
    torch.testing.assert_close(b.grad, d.grad)


def test_the_mean_kl_reaches_both_networks():
    a, b = _random((1, 2, 3, 3))
    plain = CrossPseudoLoss(None, kl_weight=False)
    weighted = CrossPseudoLoss(None)
    by_plain = torch.autograd.grad(plain(a, b), (a, b))
    by_weighted = torch.autograd.grad(weighted(a, b), (a, b))
    for one, two in zip(by_plain, by_weighted, strict=True):
        assert (one - two).abs().max() > 1e-3


@pytest.mark.parametrize(("quantile", "kl_weight"), SWITCHES)
def test_networks_that_are_certain_and_opposed_are_finite(quantile, kl_weight):
    a = torch.tensor([[200.0, -200.0]]).view(1, 2, 1, 1).expand(1, 2, 3, 3).clone().requires_grad_()
    b = (-a).detach().requires_grad_()
    loss = CrossPseudoLoss(quantile, kl_weight)(a, b)
    loss.backward()
    assert loss.isfinite()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()


def test_networks_that_agree_and_are_sure_cost_nothing():
    logits = torch.tensor([40.0, -40.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert CrossPseudoLoss()(logits, logits).item() == pytest.approx(0.0, abs=1e-6)
