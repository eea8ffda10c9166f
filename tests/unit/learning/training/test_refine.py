import numpy as np
import pytest
import torch

from sequal.anatomy.models import model_of
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.learning.training.refine import refine_labels
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.state import file_digest
from unit.synthetic_study import make_study, settings, write_label

CPU = torch.device("cpu")


class _Bright(torch.nn.Module):
    """Sure of the layer where the frame is bright."""

    def forward(self, x):
        p = (x > 0.6).float() * 0.98 + 0.01
        return torch.cat([(1 - p).log(), p.log()], dim=1)


class _Nothing(torch.nn.Module):
    """Sure that there is no layer."""

    def forward(self, x):
        return torch.cat([torch.full_like(x, 5.0), torch.full_like(x, -5.0)], dim=1)


class _Pair:
    def __init__(self, teacher):
        self.shown, self.early = teacher, _Nothing()


def _refine(study, teacher, chosen=settings()):  # noqa: B008
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, study.state.refined, chosen)
    store = study.state.refined.stage(4)
    report = refine_labels(
        labels.usable(study.labelled),
        _Pair(teacher),
        frames,
        labels,
        store,
        chosen,
        epoch=2,
        round_number=4,
        checkpoint_digest="abc",
        model=model_of(chosen),
        device=CPU,
    )
    return report, labels, store


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study", labelled=2, unlabelled=0)


def test_the_columns_that_the_expert_left_out_are_filled(study):
    contents = [item.label.read_bytes() for item in study.labelled]
    report, labels, store = _refine(study, _Bright())
    item = study.labelled[0]
    refined, expert = labels.current(item), labels.expert(item)
    assert (expert[:10] == 255).all()
    # The band of image 0 is at depths 20 to 27; its edge pixels may be off by the resampling.
    assert (refined[2:94, 21:27] == 1).mean() > 0.95
    assert (refined[:, 40:] != 1).all()
    assert report.epoch == 2
    assert report.images == 2
    assert report.rejected == 0
    changed = [np.count_nonzero(labels.current(i) != labels.expert(i)) for i in study.labelled]
    assert report.pixels_changed == sum(changed)
    provenance = store.provenance("im0")
    assert provenance.label_digest == file_digest(item.label)
    assert (provenance.round, provenance.checkpoint_digest, provenance.fusion_lambda) == (4, "abc", 0.8)
    assert provenance.fraction_changed == pytest.approx(changed[0] / (96 * 64))
    np.testing.assert_array_equal(store.get("im0", provenance.label_digest), refined)
    # Staged, not committed; and the expert's files are as they were.
    assert study.state.refined.image_ids() == []
    assert [i.label.read_bytes() for i in study.labelled] == contents


def test_a_teacher_that_sees_nothing_is_refused(study):
    report, labels, store = _refine(study, _Nothing())
    assert (report.images, report.rejected, report.pixels_changed) == (0, 2, 0)
    assert store.image_ids() == []
    np.testing.assert_array_equal(labels.current(study.labelled[0]), labels.expert(study.labelled[0]))


def test_frames_that_the_expert_did_not_draw_in_stay_unknown(tmp_path):
    study = make_study(tmp_path / "clip", labelled=1, unlabelled=0, frames=3)
    label = np.zeros((96, 64, 3), np.uint8)
    label[10:80, 20:28, 1] = 1
    write_label(study.labelled[0].label, label)
    report, labels, _ = _refine(study, _Bright())
    refined = labels.current(study.labelled[0])
    assert report.images == 1
    assert (refined[:, :, [0, 2]] == 255).all()
    assert (refined[:, :, 1] == 1).sum() > 8 * 85


def test_a_label_that_is_edited_meanwhile_leaves_a_stale_copy_only(study):
    item = study.labelled[0]
    frames = WorkingFrames(settings())
    labels = LabelsInUse(frames, study.state.refined, settings())
    usable = labels.usable(study.labelled)
    write_label(item.label, np.ones((96, 64, 1)))
    study.labelled[1].label.unlink()
    store = study.state.refined.stage(1)
    refine_labels(
        usable,
        _Pair(_Bright()),
        frames,
        labels,
        store,
        settings(),
        epoch=1,
        round_number=1,
        checkpoint_digest="abc",
        model=model_of(settings()),
        device=CPU,
    )
    study.state.refined.commit(1)
    assert study.state.refined.get("im0", file_digest(item.label)) is None


@pytest.mark.parametrize("supervision", ["columns", "full"])
def test_refinement_leaves_an_empty_label_alone(study, supervision):
    write_label(study.labelled[0].label, np.zeros((96, 64, 1)))
    chosen = settings(supervision=supervision, fusion_min_agreement=0.0, fusion_min_foreground=0.0, fusion_scope="all")
    report, labels, store = _refine(study, _Bright(), chosen)
    assert (labels.current(study.labelled[0]) == 0).all()
    assert store.image_ids() == ["im1"]
    assert (report.images, report.rejected) == (1, 0)
