import copy

import pytest
import torch

from sequal.errors import CheckpointError
from sequal.learning.methods.cross import CrossPair
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.learning.quality.branched import Branched, new_branch
from sequal.learning.quality.error_branch import ErrorBranch, _to_depth, _to_space

TINY = [
    Architecture("unet", filters=4),
    Architecture("dynunet", filters=2, classes=3),
    Architecture("unet", spatial_dims=3, filters=2, classes=3),
    Architecture("vnet", spatial_dims=3, filters=2),
]


def random_branch(features=((3, 2),), classes=2, dims=2, seed=0):
    torch.manual_seed(seed)
    return ErrorBranch(dims, features, classes, width=4)


@pytest.mark.parametrize("shape", TINY, ids=lambda shape: f"{shape.name}-{shape.spatial_dims}d-{shape.classes}")
def test_any_network_gets_a_branch_that_begins_as_its_own_confidence(shape):
    torch.manual_seed(0)
    pair = MeanTeacherPair(shape)
    pair.branch = new_branch(pair, seed=0)
    x = torch.rand(shape.example().shape, generator=torch.Generator().manual_seed(1))
    pair.eval()
    with torch.inference_mode():
        logits, wrong = Branched.shown(pair)(x)
        torch.testing.assert_close(logits[0], pair.teacher(x))
        p = logits[0].softmax(dim=1)
    shown = logits[0].argmax(dim=1, keepdim=True)  # in p two logits may have become one number
    mask = shown == torch.arange(1, shape.classes).view(1, -1, *[1] * shape.spatial_dims)
    torch.testing.assert_close(torch.sigmoid(wrong), torch.where(mask, 1 - p[:, 1:], p[:, 1:]), rtol=1e-3, atol=1e-5)


def test_two_networks_give_their_features_side_by_side():
    pair = CrossPair(Architecture("unet", filters=4), Architecture("dynunet", filters=2))
    pair.branch = new_branch(pair, seed=0)
    assert [coarse for _, coarse in pair.branch.features] == [2, 1]
    pair.eval()
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        logits, wrong = Branched.shown(pair)(x)
        p = pair.shown(x).exp()
    assert len(logits) == 2
    torch.testing.assert_close(torch.sigmoid(wrong)[:, 0], p.amin(dim=1), rtol=1e-3, atol=1e-5)


def test_a_seed_gives_the_branch_and_torchs_generator_is_left_alone():
    pair = MeanTeacherPair(TINY[0])
    state = torch.get_rng_state()
    one, same, other = (new_branch(pair, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.embed.weight, same.embed.weight)
    assert not torch.equal(one.embed.weight, other.embed.weight)
    assert pair.student.training


def test_features_and_probabilities_both_change_the_answer_of_a_trained_branch():
    branch = random_branch()
    torch.nn.init.normal_(branch.correct.weight)
    features, logits = torch.rand(1, 3, 8, 12), torch.randn(1, 2, 16, 24)
    with torch.no_grad():
        before = branch([features], logits)
        assert before.shape == (1, 1, 16, 24)
        assert not torch.allclose(branch([features.roll(1, dims=2)], logits), before)
        doubt = before + (logits[:, 1:] - logits[:, :1]).abs()
        assert not torch.allclose(branch([features], -logits) + (logits[:, 1:] - logits[:, :1]).abs(), doubt)


@pytest.mark.parametrize("classes", [2, 4])
def test_adding_a_number_to_all_logits_changes_nothing(classes):
    branch = random_branch(classes=classes)
    torch.nn.init.normal_(branch.correct.weight)
    features, logits = [torch.rand(1, 3, 8, 8)], torch.randn(1, classes, 16, 16)
    torch.testing.assert_close(branch(features, logits + 5), branch(features, logits), rtol=1e-4, atol=1e-4)


def test_infinitely_sure_probabilities_give_finite_numbers():
    logits = torch.full((1, 3, 16, 16), -torch.inf)
    logits[:, 0] = 0.0
    wrong = random_branch(classes=3)([torch.zeros(1, 3, 8, 8)], logits)
    assert wrong.isfinite().all()
    wrong.sum().backward()


@pytest.mark.parametrize("size", [(8, 12), (4, 8, 12)])
def test_pixels_of_cells_become_channels_and_come_back(size):
    x = torch.rand(2, 3, *size)
    deep = _to_depth(x)
    assert deep.shape == (2, 3 * 4 ** len(size), *(side // 4 for side in size))
    assert torch.equal(_to_space(deep, len(size)), x)
    assert torch.equal(deep[0, : 4 ** len(size), *[0] * len(size)], x[(0, 0, *[slice(4)] * len(size))].flatten())


def test_a_record_builds_the_same_branch_again():
    branch = random_branch(features=((3, 2), (5, 1)), classes=3, dims=3)
    again = ErrorBranch.from_record(branch.record())
    again.load_state_dict(copy.deepcopy(branch.state_dict()))
    features, logits = [torch.rand(1, 3, 4, 4, 4), torch.rand(1, 5, 8, 8, 8)], torch.randn(1, 3, 8, 8, 8)
    assert torch.equal(again(features, logits), branch(features, logits))
    with pytest.raises(CheckpointError, match="error_branch, got 'other'"):
        ErrorBranch.from_record({"name": "other", "kwargs": {}})
