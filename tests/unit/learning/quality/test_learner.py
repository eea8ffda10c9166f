import copy
from itertools import repeat

import pytest
import torch

from sequal.learning.batch import Batch
from sequal.learning.methods import METHODS
from sequal.learning.networks import Architecture
from sequal.learning.quality.learner import QualityLearner
from sequal.learning.quality.varied import degraded
from unit.synthetic_study import settings

CPU = torch.device("cpu")
METHOD_NAMES = ["sequal", "cross"]


def _batch(dims=2, side=64, classes=2):
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(3, 1, *[side] * dims, generator=generator) for _ in range(2)]
    label = torch.randint(0, classes, views[0].shape, generator=generator).to(torch.uint8)
    label[2] = 255
    return Batch(*views, label)


def _pair(method, dims=2, classes=2):
    torch.manual_seed(0)
    pair = METHODS[method].pair
    shape = Architecture("unet", spatial_dims=dims, classes=classes, filters=4)
    names = dict.fromkeys(pair.member_names, shape)
    if method == "cross":
        names["second"] = Architecture("dynunet", spatial_dims=dims, classes=classes, filters=4)
    return pair.create(names, 0.9)


def _train(pair, batch=None, **changes):
    values = {"epochs": 1, "iterations_per_epoch": 4, "learning_rate": 0.01, "extent_weight": 0, **changes}
    torch.manual_seed(1)
    trainer = METHODS[pair.method].trainer(pair, repeat(batch or _batch()), settings(method=pair.method, **values), CPU)
    trainer.run()
    return trainer


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_detached_the_networks_are_bit_by_bit_those_of_a_training_without_a_branch(method):
    plain, branched = _pair(method), _pair(method)
    _train(plain, quality_weight=0)
    after_plain = torch.rand(3)
    trainer = _train(branched, quality_weight=1)
    assert torch.equal(torch.rand(3), after_plain)
    assert plain.branch is None
    assert branched.branch is not None
    assert trainer.state.output["quality"] > 0
    weights = plain.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in branched.state_dict().items() if key in weights)
    assert len(branched.state_dict()) > len(weights)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_not_detached_the_networks_learn_from_it(method):
    detached, joined = _pair(method), _pair(method)
    detached.branch, joined.branch = (_taught(pair) for pair in (detached, joined))
    for pair, detach in ((detached, True), (joined, False)):
        trainer = QualityLearner(pair, 0, detach=detach)
        trainer.loss(_batch().view, _batch().label).backward()
        reached = [any(p.grad is not None for p in network.parameters()) for network in pair.learners]
        assert reached == [not detach] * len(pair.learners)
        assert all(p.grad is not None for p in pair.branch.correct.parameters())


def _taught(pair):
    """A branch whose correction depends on the features."""
    branch = QualityLearner(copy.deepcopy(pair), 0, detach=True).branch
    torch.nn.init.normal_(branch.correct.weight)
    return branch


@pytest.mark.parametrize(("dims", "classes"), [(2, 2), (3, 3)])
def test_it_learns_where_a_fixed_network_is_wrong(dims, classes):
    pair = _pair("sequal", dims, classes).eval()
    side = 64 if dims == 2 else 32
    batch = _batch(dims, side, classes)
    label = torch.ones_like(batch.label)  # the network knows nothing of it
    learner = QualityLearner(pair, 0, detach=True)
    optimizer = torch.optim.AdamW(pair.branch.parameters(), 0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = learner.loss(batch.view, label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8])


def test_unannotated_patches_give_no_loss():
    learner = QualityLearner(_pair("sequal"), 0, detach=True)
    batch = _batch()
    assert learner.loss(batch.view, torch.full_like(batch.label, 255)).item() == 0.0


def test_a_seed_gives_the_same_losses_and_every_layer_keeps_its_mode():
    def losses(seed):
        pair = _pair("cross").train()
        learner = QualityLearner(pair, seed, detach=True)
        found = [learner.loss(_batch().view, _batch().label).item() for _ in range(6)]
        assert all(module.training for module in pair.modules())
        return found

    assert losses(0) == losses(0) != losses(1)


def test_a_round_without_quality_leaves_the_branch_out():
    pair = _pair("sequal")
    _train(pair)
    assert pair.branch is not None
    _train(pair, quality_weight=0)
    assert pair.branch is None


@pytest.mark.parametrize("size", [(24, 16), (8, 12, 16)])
def test_spoilt_images_differ_and_stay_within_grey_values(size):
    images = torch.rand(3, 1, *size, generator=torch.Generator().manual_seed(0))
    drawn = [degraded(images, torch.Generator().manual_seed(seed)) for seed in range(6)]
    assert all(one.shape == images.shape and one.min() >= 0 and one.max() <= 1 for one in drawn)
    assert all(not torch.equal(one, images) for one in drawn)
    assert torch.equal(drawn[0], degraded(images, torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_pairs_with_and_without_a_branch_are_averaged(method):
    branched, plain = _pair(method), _pair(method)
    branched.branch = _taught(branched)
    kept = copy.deepcopy(branched.branch.state_dict())
    branched.average_with([plain])
    branched.move_towards(plain, 0.5)
    plain.move_towards(branched, 0.5)
    assert all(torch.equal(value, kept[key]) for key, value in branched.branch.state_dict().items())
    other = copy.deepcopy(branched)
    torch.nn.init.zeros_(other.branch.correct.weight)
    branched.move_towards(other, 0.5)
    torch.testing.assert_close(branched.branch.correct.weight, kept["correct.weight"] / 2)
