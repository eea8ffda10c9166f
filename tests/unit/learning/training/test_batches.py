from dataclasses import replace
from itertools import islice, repeat

import numpy as np
import pytest
import torch

from sequal.errors import StudyError
from sequal.learning.training.batches import TwoStreamBatches
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.preparation.augmentation import IMAGE, LABEL, patch_geometry
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from unit.synthetic_study import make_study, settings, write_image, write_label


def _batches(study, chosen=settings(), seed=0, unlabelled=None):  # noqa: B008
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, study.state.refined, chosen)
    pool = study.unlabelled if unlabelled is None else unlabelled
    return TwoStreamBatches(study.labelled, pool, frames, labels, chosen, seed)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("batches") / "study")


def _plain(monkeypatch):
    """No intensity perturbation."""
    monkeypatch.setattr("sequal.anatomy.models.carotid.intensity_view", lambda: _Same())


class _Same:
    def set_random_state(self, seed):
        return self

    def __call__(self, data):
        return data


def test_shapes_and_types(study):
    batch = next(iter(_batches(study)))
    assert batch.view.shape == batch.other_view.shape == batch.label.shape == (3, 1, 64, 64)
    assert (batch.view.dtype, batch.label.dtype) == (torch.float32, torch.uint8)
    # MONAI's tensor subclass would slow every operation of the networks down.
    assert {type(t) for t in (batch.view, batch.other_view, batch.label)} == {torch.Tensor}
    assert set(batch.label.unique().tolist()) <= {0, 1, 255}


def test_the_same_seed_gives_the_same_batches(study):
    runs = [list(islice(_batches(study, seed=seed), 6)) for seed in (3, 3, 4)]
    for first, second in zip(runs[0], runs[1], strict=True):
        assert torch.equal(first.view, second.view)
        assert torch.equal(first.other_view, second.other_view)
        assert torch.equal(first.label, second.label)
    assert not all(torch.equal(a.view, b.view) for a, b in zip(runs[0], runs[2], strict=True))


def test_simulated_patches_come_last_and_are_counted(study):
    chosen = settings(rehearsal=2)
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, study.state.refined, chosen)
    simulated = repeat((torch.full((1, 64, 64), 0.5), torch.ones((1, 64, 64), dtype=torch.uint8)))
    batch = next(iter(TwoStreamBatches(study.labelled, study.unlabelled, frames, labels, chosen, 0, simulated)))
    assert batch.simulated == 2
    assert batch.view.shape == (5, 1, 64, 64)
    assert (batch.label[-2:] == 1).all()
    assert not torch.equal(batch.view[-1], batch.other_view[-1])
    assert next(iter(_batches(study))).simulated == 0


def test_global_randomness_is_neither_used_nor_changed(study):
    state = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    first = next(iter(_batches(study)))
    np.testing.assert_array_equal(np.random.get_state()[1], state[0])  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), state[1])
    torch.rand(5)
    assert torch.equal(next(iter(_batches(study))).view, first.view)


def test_both_views_have_one_geometry(study, monkeypatch):
    _plain(monkeypatch)
    for batch in islice(_batches(study), 5):
        assert torch.equal(batch.view, batch.other_view)


def test_the_views_differ_in_intensity(study):
    for batch in islice(_batches(study), 5):
        assert not torch.equal(batch.view, batch.other_view)
        # What is bright stays bright in both: the band is where it was.
        bright = [view.flatten(1).argsort(1)[:, -200:] for view in (batch.view, batch.other_view)]
        for a, b in zip(*bright, strict=True):
            assert len(set(a.tolist()) & set(b.tolist())) > 20


def test_image_and_label_move_together(study, monkeypatch):
    _plain(monkeypatch)
    for batch in islice(_batches(study), 8):
        image, label = batch.view[:2], batch.label[:2]
        assert image[label == 1].mean() > 0.7
        assert image[label == 0].mean() < 0.45


def test_the_unlabelled_part_is_unknown_throughout(study):
    for batch in islice(_batches(study), 5):
        assert (batch.label[2] == 255).all()
        assert all((label != 255).any() for label in batch.label[:2])


def test_columns_without_layer_are_unknown_by_default(study):
    by_columns = torch.cat([batch.label[:2] for batch in islice(_batches(study), 6)])
    # What is not drawn in is 255 (a turned patch mixes neighbouring columns, so not every column is pure).
    assert (by_columns == 255).float().mean() > 0.1
    everything = torch.cat([b.label[:2] for b in islice(_batches(study, settings(supervision="full")), 6)])
    # 48 working columns in a patch of 64: only the padding is unknown then.
    assert (everything == 255).sum() < (by_columns == 255).sum()
    assert (everything == 0).sum() > (by_columns == 0).sum()


def test_without_unlabelled_images_or_with_none_wanted(study):
    assert next(iter(_batches(study, unlabelled=[]))).label.shape[0] == 2
    assert next(iter(_batches(study, settings(batch_unlabelled=0)))).label.shape[0] == 2


def test_without_labelled_images():
    with pytest.raises(StudyError, match="labelled image"):
        TwoStreamBatches([], [], None, None, settings(), 0)


def test_every_labelled_image_is_seen_before_any_is_seen_again(study, monkeypatch):
    drawn = []
    real = LabelsInUse.working
    monkeypatch.setattr(LabelsInUse, "working", lambda self, item: drawn.append(item.id) or real(self, item))
    list(islice(_batches(study), 6))
    assert len(drawn) == 12
    for start in range(0, 12, 3):
        assert sorted(drawn[start : start + 3]) == ["im0", "im1", "im2"]


@pytest.mark.parametrize("size", [(40, 30), (9, 200), (1, 1)])
def test_a_frame_smaller_than_the_patch(tmp_path, study, size):
    pixels = np.full((*size, 1), 90.0)
    pixels[0, 0] = 10
    image = write_image(tmp_path / "a.nii.gz", pixels)
    small = replace(study, labelled=[Item("a", image, write_label(tmp_path / "l.nii.gz", np.ones((*size, 1))))])
    batch = next(iter(_batches(small)))
    assert batch.view.shape == (3, 1, 64, 64)
    assert (batch.label[0] == 255).any()
    assert batch.view.isfinite().all()


def test_padding_is_unknown_not_background():
    cut = patch_geometry((64, 64), on_structure=False).set_random_state(seed=0)(
        {IMAGE: torch.ones(1, 20, 20), LABEL: torch.zeros(1, 20, 20, dtype=torch.uint8)}
    )
    cut = cut[0] if isinstance(cut, list) else cut
    counts = dict(zip(*(v.tolist() for v in torch.as_tensor(cut[LABEL]).unique(return_counts=True)), strict=True))
    assert counts.keys() == {0.0, 255.0}
    assert counts[0.0] < 700


def test_patches_are_centred_on_the_layer_two_times_out_of_three(tmp_path):
    """On a tall frame a patch anywhere would mostly miss the layer."""
    study = make_study(tmp_path / "study", labelled=1, unlabelled=0, size=(140, 900))
    labels = [batch.label for batch in islice(_batches(study, settings(batch_labelled=4)), 25)]
    seen = torch.cat([(label == 1).flatten(1).any(dim=1) for label in labels]).float().mean().item()
    assert 0.6 < seen < 0.85


def test_clips_give_the_frames_that_are_drawn_in(tmp_path):
    study = make_study(tmp_path / "study", labelled=1, unlabelled=0, frames=5)
    from sequal.files.imaging import read_label

    label = read_label(study.labelled[0].label, (96, 64, 5))
    label[:, :, [0, 2, 3, 4]] = 0
    write_label(study.labelled[0].label, label)
    for batch in islice(_batches(study), 8):
        assert all((one == 1).any() or (one != 255).any() for one in batch.label)
        assert (batch.label == 1).any()


def test_a_labelled_image_that_disappears_is_named(tmp_path):
    study = make_study(tmp_path / "study", labelled=1, unlabelled=0)
    chosen = settings()
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, study.state.refined, chosen)
    labels.working(study.labelled[0])
    frames.unreadable["im0"] = "gone"
    with pytest.raises(StudyError, match="im0"):
        next(iter(TwoStreamBatches(study.labelled, [], frames, labels, chosen, 0)))
