import copy

import numpy as np
import pytest
import torch
from torch import nn

from sequal.errors import CheckpointError
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import NETWORK_STRIDE, Architecture, create_network
from sequal.prediction import checkpoint_payload
from sequal.settings import NETWORK_NAMES
from sequal.study.state import load_checkpoint, save_checkpoint


@pytest.fixture
def tiny(monkeypatch):
    """A pair of 1x1 convolutions with batch norm, so that every value can be followed."""

    def build(alpha_max=0.99):
        monkeypatch.setattr(
            "sequal.learning.methods.sequal.build",
            lambda _: nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)),
        )
        return MeanTeacherPair(Architecture("tiny"), alpha_max)

    return build


def _set(pair, value):
    with torch.no_grad():
        pair.student[0].weight.fill_(value)
        pair.student[1].running_mean.fill_(10 * value)
        pair.student[1].num_batches_tracked.fill_(int(value))


def test_moving_average_by_hand(tiny):
    pair = tiny(alpha_max=0.6)
    # α = min(1 − 1/(t+1), 0.6) = 0, 1/2, 0.6, 0.6 for t = 0, 1, 2, 3 and θ = 8, 4, 2, 1:
    # φ = 8; 4 + 2 = 6; 3.6 + 0.8 = 4.4; 2.64 + 0.4 = 3.04
    for student, teacher in [(8.0, 8.0), (4.0, 6.0), (2.0, 4.4), (1.0, 3.04)]:
        _set(pair, student)
        pair.after_step()
        assert pair.teacher[0].weight.flatten().tolist() == pytest.approx([teacher] * 2)
        assert pair.teacher[1].running_mean.tolist() == pytest.approx([10 * teacher] * 2)
        assert pair.teacher[1].num_batches_tracked.item() == int(student)
    assert pair.updates == 4


def test_frozen_statistics_stay_while_the_student_trains(tiny):
    pair = tiny()
    pair.freeze_statistics()
    pair.train()
    before = pair.student[1].running_mean.clone()
    output = pair.student(torch.full((2, 1, 4, 4), 7.0))
    output.sum().backward()
    assert torch.equal(pair.student[1].running_mean, before)
    assert pair.student[0].training
    assert pair.student[1].weight.grad is not None
    free = tiny()
    free.train()
    free.student(torch.full((2, 1, 4, 4), 7.0))
    assert not torch.equal(free.student[1].running_mean, before)


@pytest.mark.parametrize("alpha_max", [0.0, 0.9, 0.999])
def test_moving_average_against_numpy(tiny, alpha_max):
    pair, rng = tiny(alpha_max), np.random.default_rng(0)
    expected = 0.0
    for t in range(30):
        value = float(rng.normal())
        alpha = min(1 - 1 / (t + 1), alpha_max)
        expected = alpha * expected + (1 - alpha) * value
        with torch.no_grad():
            pair.student[0].weight.fill_(value)
        pair.after_step()
    assert pair.teacher[0].weight[0].item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_t_counts_over_the_life_of_the_pair(tiny, tmp_path):
    pair = tiny(alpha_max=0.9)
    _set(pair, 1.0)
    for _ in range(3):
        pair.after_step()
    save_checkpoint(tmp_path / "c.pt", checkpoint_payload(pair, {"iterations": pair.updates}))
    stored = load_checkpoint(tmp_path / "c.pt")
    again = tiny(alpha_max=0.9)
    weights = {name: member.weights for name, member in stored.members.items()}
    again.load_weights(weights, stored.meta["iterations"])
    assert again.updates == 3
    _set(again, 5.0)
    again.after_step()
    # t = 3: α = 3/4, so 0.75 · 1 + 0.25 · 5; a pair that began anew would have copied the 5.
    assert again.teacher[0].weight[0].item() == pytest.approx(2.0)


def test_a_deep_copy_follows_its_own_student(tiny):
    pair = tiny(alpha_max=0.5)
    _set(pair, 1.0)
    pair.after_step()
    twin = copy.deepcopy(pair)
    _set(twin, 3.0)
    twin.after_step()
    assert twin.teacher[0].weight[0].item() == pytest.approx(2.0)
    assert pair.teacher[0].weight[0].item() == pytest.approx(1.0)
    assert (twin.updates, pair.updates) == (2, 1)


def test_the_average_of_two_pairs_is_taken_network_by_network(tiny):
    pair, other = tiny(alpha_max=0.5), tiny(alpha_max=0.5)
    for one, value in ((pair, 1.0), (other, 3.0)):
        _set(one, value)
        one.after_step()
    _set(pair, 5.0)  # student 5, teacher 1; the other pair 3 and 3
    third = copy.deepcopy(other)
    _set(third, 7.0)  # its teacher stays at 3
    pair.average_with([other, third])
    assert pair.student[0].weight[0].item() == pytest.approx((5 + 3 + 7) / 3)
    assert pair.teacher[0].weight[0].item() == pytest.approx((1 + 3 + 3) / 3)
    assert other.teacher[0].weight[0].item() == pytest.approx(3.0)


def test_only_the_student_trains():
    pair = MeanTeacherPair(Architecture("unet"))
    pair.train()
    assert pair.student.training
    assert not any(module.training for module in pair.teacher.modules())
    student, teacher = pair(torch.rand(2, 1, 32, 32))
    (student.sum() + teacher.sum()).backward()
    assert all(p.grad is not None for p in pair.student.parameters())
    assert all(p.grad is None and not p.requires_grad for p in pair.teacher.parameters())
    assert not teacher.requires_grad
    pair.eval()
    assert not pair.student.training


def test_the_teacher_is_independent_of_the_student():
    pair = MeanTeacherPair(Architecture("unet"))
    before = {k: v.clone() for k, v in pair.teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in pair.student.parameters():
            parameter.add_(1.0)
    pair.train()
    pair(torch.rand(2, 1, 32, 32))
    assert all(torch.equal(before[k], v) for k, v in pair.teacher.state_dict().items())


def test_default_checkpoint_with_both_networks_is_under_ten_megabytes(tmp_path):
    pair = MeanTeacherPair(Architecture("dynunet"))
    save_checkpoint(tmp_path / "c.pt", checkpoint_payload(pair, {}))
    assert (tmp_path / "c.pt").stat().st_size < 10e6
    stored = load_checkpoint(tmp_path / "c.pt")
    again = MeanTeacherPair(Architecture("dynunet"))
    again.load_weights({name: member.weights for name, member in stored.members.items()}, 0)
    x = torch.rand(1, 1, 32, 32)
    for first, second in zip(pair.eval()(x), again.eval()(x), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_weights_are_a_snapshot():
    pair = MeanTeacherPair(Architecture("unet"))
    weights = pair.weights()
    key = next(iter(weights["student"]))
    kept = weights["student"][key].clone()
    with torch.no_grad():
        for parameter in pair.student.parameters():
            parameter.add_(1.0)
    assert torch.equal(weights["student"][key], kept)


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_network_that_can_be_set_keeps_the_grid(name):
    network = create_network(Architecture(name)).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 1, NETWORK_STRIDE, 2 * NETWORK_STRIDE)).shape == (1, 2, 32, 64)


def test_unknown_network_is_refused():
    with pytest.raises(CheckpointError, match="'resnet'"):
        create_network(Architecture("resnet"))
