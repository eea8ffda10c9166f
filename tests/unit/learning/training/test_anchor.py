import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from sequal.anatomy.models import model_of
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture, registry
from sequal.learning.training.anchor import Anchor, find_anchor
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.preparation.working_frames import WorkingFrames
from unit.synthetic_study import make_study, settings, write_label

CPU = torch.device("cpu")


class _Threshold(nn.Module):
    """Finds the layer where the image is bright (or dark)."""

    def __init__(self, sign):
        super().__init__()
        self.sign = sign

    def forward(self, x):
        score = self.sign * (x - 0.5) * 40.0
        return torch.cat([-score, score], dim=1)


class _Pair:
    def __init__(self, sign):
        self.shown = _Threshold(sign)


def _found(study, pair, items=None):
    frames = WorkingFrames(settings())
    labels = LabelsInUse(frames, study.state.refined, settings())
    return find_anchor(pair, study.labelled if items is None else items, frames, labels, model_of(settings()), CPU)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study")


def test_weights_that_find_the_drawn_layer_are_the_anchor(study):
    pair = _Pair(1.0)
    anchor = _found(study, pair)
    assert anchor.pair is pair
    assert anchor.agreement > 0.8


def test_weights_that_know_another_structure_are_none(study):
    anchor = _found(study, _Pair(-1.0))
    assert anchor.pair is None
    assert anchor.agreement < 0.3


def test_two_labels_that_they_miss_do_not_say_that_they_know_another_structure(study):
    pair = _Pair(-1.0)
    for count in (1, 2):
        anchor = _found(study, pair, study.labelled[:count])
        assert anchor.pair is pair
        assert anchor.agreement < 0.3


def test_weights_that_find_a_quarter_of_the_labels_are_the_anchor(tmp_path):
    """On pictures of a scanner on which they miss most walls."""
    study = make_study(tmp_path / "study", labelled=4)
    for item in study.labelled[1:]:
        drawn = np.asarray(nib.load(item.label).dataobj)
        write_label(item.label, np.roll(drawn, -18, axis=1))
    pair = _Pair(1.0)
    assert _found(study, pair).pair is pair
    assert _found(study, pair, study.labelled[1:]).pair is None


def test_the_convention_is_that_of_the_labels(study):
    plain = _found(study, _Pair(1.0)).convention
    for item in study.labelled:
        drawn = np.asarray(nib.load(item.label).dataobj)
        deeper = np.where(np.roll(drawn, 2, axis=1) == 1, 1, drawn)  # MA two pixels deeper
        write_label(item.label, deeper)
    moved = _found(study, _Pair(1.0)).convention
    share = len(study.labelled) / (len(study.labelled) + 2)
    assert moved.li_px == plain.li_px
    assert moved.ma_px == pytest.approx(plain.ma_px + 2 * share, abs=0.01)


def test_labels_without_a_layer_say_nothing(study):
    for item in study.labelled:
        write_label(item.label, np.zeros((96, 64, 1)))
    pair = _Pair(-1.0)
    assert _found(study, pair) == Anchor(pair, None)


def test_no_starting_weights_no_anchor(study):
    assert _found(study, None) == Anchor()


@pytest.fixture
def pairs(monkeypatch):
    monkeypatch.setitem(
        registry._BUILDERS, "unet", lambda _: lambda: nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    )
    trained, start = (MeanTeacherPair(Architecture("unet")) for _ in range(2))
    for pair, value in ((trained, 3.0), (start, 0.0)):
        with torch.no_grad():
            for network in (pair.student, pair.teacher):
                network[0].weight.fill_(value)
                network[1].running_mean.fill_(10 * value)
    return trained, start


def test_the_share_of_the_anchor_falls_with_the_labels(pairs):
    trained, start = pairs
    Anchor(start).hold(trained, labels=10, anchor_labels=5.0)  # a third of the anchor
    for network in (trained.student, trained.teacher):
        assert network[0].weight.flatten().tolist() == pytest.approx([2.0, 2.0])
        assert network[1].running_mean.tolist() == pytest.approx([20.0, 20.0])
    assert start.student[0].weight.flatten().tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("anchored", "count"), [(False, 5.0), (True, 0.0)])
def test_without_an_anchor_the_trained_weights_stay(pairs, anchored, count):
    trained, start = pairs
    Anchor(start if anchored else None).hold(trained, labels=2, anchor_labels=count)
    assert trained.student[0].weight.flatten().tolist() == [3.0, 3.0]
