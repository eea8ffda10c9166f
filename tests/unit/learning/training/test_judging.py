import numpy as np
import pytest
import torch

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.learning.training.judging import LabelJudges, early_step
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.prediction import predict
from sequal.preparation.working_frames import WorkingFrames
from unit.synthetic_study import make_study, settings, write_image, write_label

CPU = torch.device("cpu")


class _Bright(torch.nn.Module):
    """Sure of the layer where the frame is bright."""

    def forward(self, x):
        p = (x > 0.6).float() * 0.98 + 0.01
        return torch.cat([(1 - p).log(), p.log()], dim=1)


class _BrightAndLineAbove(_Bright):
    """Also sees a thin layer above, which `Model.clean` takes away: there is one far wall."""

    def forward(self, x):
        logits = super().forward(x)
        logits[..., 2:4] = logits[..., 2:4].flip(1).abs() * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
        return logits


class _Nothing(torch.nn.Module):
    """Sure that there is no layer."""

    def forward(self, x):
        return torch.cat([torch.full_like(x, 5.0), torch.full_like(x, -5.0)], dim=1)


class _Pair:
    def __init__(self, teacher, student=None):
        self.shown, self.early = teacher, student or _Nothing()


@pytest.fixture
def study(tmp_path):
    """With more than 2 mm of the scan above the band, else `Model.clean` takes it for the edge."""
    return make_study(tmp_path / "study", labelled=3, unlabelled=0, top=42)


def _judges(study, known=(), held_out=(), chosen=settings(supervision="full")):  # noqa: B008
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, study.state.refined, chosen)
    learnt = [item for item in labels.usable(study.labelled) if item not in held_out]
    model = model_of(settings())
    return LabelJudges(learnt, held_out, known, frames, labels, model, CPU, seed=0, before=None, after={}), labels


def test_dice_by_hand():
    mask = np.array([True, True, False, False, True])
    label = np.array([1, 0, 1, 0, 255], np.uint8)
    assert label_dice(mask.astype(np.uint8), label) == pytest.approx(2 * 1 / (2 + 2))
    assert label_dice(np.zeros(5, np.uint8), np.zeros(5, np.uint8)) == 1.0
    assert label_dice(np.ones(5, np.uint8), np.zeros(5, np.uint8)) == 0.0


def test_every_label_sees_the_teacher_and_early_the_student(study):
    judges, _ = _judges(study, known={"im0"})
    judges.look("before", _Pair(_Nothing(), _Bright()))
    judges.look("early", _Pair(_Nothing(), _Bright()))
    judges.look("after", _Pair(_Bright()))
    figures = judges.figures()
    assert [(label.image, label.patient, label.new) for label in figures] == [
        ("im0", "p0", False),
        ("im1", "p1", True),
        ("im2", "p2", True),
    ]
    for label in figures:
        assert label.before == 0.0
        # All of the band is found, 70 of 96 columns are drawn: 2 · 70 / (96 + 70) with every pixel annotated.
        assert label.early == label.after == pytest.approx(2 * 70 / (96 + 70), abs=0.03)


def test_where_columns_are_unknown_only_the_drawn_ones_judge(study):
    judges, _ = _judges(study, chosen=settings())
    for moment in ("before", "after"):
        judges.look(moment, _Pair(_Bright()))
    assert all(label.after > 0.95 for label in judges.figures())


def test_what_annotators_are_not_shown_does_not_judge(study):
    network = _BrightAndLineAbove()
    judges, labels = _judges(study, chosen=settings())
    item = study.labelled[0]
    raw = predict(network, WorkingFrames(settings()).get(item), model_of(settings()), CPU)
    assert label_dice(raw.classes, labels.expert(item)) < 0.9
    for moment in ("before", "early", "after"):
        judges.look(moment, _Pair(network, network))
    for label in judges.figures():
        assert min(label.before, label.early, label.after) > 0.95


def test_the_experts_label_judges_and_not_its_refined_copy(study):
    judges, labels = _judges(study)
    labels.replace(study.labelled[0], np.zeros((96, 64, 1), np.uint8))
    for moment in ("before", "after"):
        judges.look(moment, _Pair(_Bright()))
    assert judges.figures()[0].after > 0.8


def test_a_frame_without_a_layer_is_right_when_nothing_is_found(study):
    for item in study.labelled:
        write_label(item.label, np.zeros((96, 64, 1)))
    judges, _ = _judges(study)
    judges.look("before", _Pair(_Nothing()))
    judges.look("after", _Pair(_Bright()))
    assert {(label.before, label.after) for label in judges.figures()} == {(1.0, 0.0)}


def test_new_labels_say_what_the_masks_in_service_promised_and_were(study):
    judges, _ = _judges(study, known={"im0"}, chosen=settings())
    judges.look("before", _Pair(_Bright()))
    pairs = judges.expected_and_found()
    assert len(pairs) == 2
    for expected, found in pairs:
        assert 0.9 < expected < 1  # sure where the frame is bright, and 0.01 elsewhere
        assert found > 0.95
    nothing, _ = _judges(study)
    nothing.look("before", _Pair(_Nothing()))
    assert nothing.expected_and_found() == []  # no mask, no promise


def test_without_an_early_look_the_end_counts_and_held_out_labels_have_none(study):
    judges, _ = _judges(study, held_out=study.labelled[2:])
    judges.look("before", _Pair(_Nothing()))
    judges.look("after", _Pair(_Bright()))
    first, _, last = judges.figures()
    assert (first.early, last.early) == (first.after, None)


def test_an_image_that_is_gone_judges_no_more(study):
    judges, _ = _judges(study)
    judges.look("before", _Pair(_Bright()))
    judges._items.pop()
    judges.look("after", _Pair(_Bright()))
    assert [label.image for label in judges.figures()] == ["im0", "im1"]


def test_an_image_that_was_replaced_by_one_of_another_size_judges_no_more(study, caplog):
    judges, _ = _judges(study)
    judges.look("before", _Pair(_Bright()))
    write_image(study.labelled[0].image, np.zeros((80, 64, 1)))
    judges.look("after", _Pair(_Bright()))
    assert [label.image for label in judges.figures()] == ["im1", "im2"]
    assert "Do not replace an image" in caplog.text


def test_of_many_labels_the_new_ones_judge_first(tmp_path, monkeypatch):
    monkeypatch.setattr("sequal.learning.training.judging._MOST_JUDGES", 3)
    study = make_study(tmp_path / "study", labelled=6, unlabelled=0)
    judges, _ = _judges(study, known={"im0", "im1", "im2", "im3"})
    assert {"im4", "im5"} < {item.id for item in judges._items}
    assert len(judges._items) == 3


def test_a_network_is_left_in_the_mode_in_which_it_came(study):
    judges, _ = _judges(study)
    pair = _Pair(_Bright())
    for mode in (True, False):
        pair.shown.train(mode)
        judges.look("after", pair)
        assert pair.shown.training is mode


def test_the_early_look_is_taken_within_the_first_half():
    assert early_step(5, settings(epochs=30, iterations_per_epoch=10)) == 40
    assert early_step(5, settings(epochs=1, iterations_per_epoch=1)) == 1
    assert early_step(500, settings(epochs=30, iterations_per_epoch=10)) == 150
