import numpy as np
import pytest

from sequal.errors import LabelError
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from sequal.study.state import Provenance, file_digest
from unit.synthetic_study import make_study, settings, write_label


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study", labelled=2, unlabelled=0)


def _labels(study, **changes):
    chosen = settings(**changes)
    return LabelsInUse(WorkingFrames(chosen), study.state.refined, chosen)


def _provenance(digest):
    return Provenance(digest, 1, "checkpoint", 0.8, 0.1, 0.0)


def test_the_experts_label_with_the_supervision_rule(study):
    item = study.labelled[0]
    by_columns, full = _labels(study).expert(item), _labels(study, supervision="full").expert(item)
    assert by_columns.shape == full.shape == (96, 64, 1)
    assert (by_columns[:10] == 255).all()
    assert (by_columns[80:] == 255).all()
    np.testing.assert_array_equal(by_columns[10:80], full[10:80])
    assert set(np.unique(full)) == {0, 1}


def test_a_refined_label_counts_for_the_version_it_came_from(study):
    item = study.labelled[0]
    refined = np.ones((96, 64, 1), np.uint8)
    study.state.refined.put("im0", refined, _provenance(file_digest(item.label)))
    labels = _labels(study)
    np.testing.assert_array_equal(labels.current(item), refined)
    assert (labels.working(item) == 1).all()
    # What the expert said stays what he said.
    assert (labels.expert(item) != 1).any()


def test_a_refined_label_of_another_version_is_dropped(study):
    item = study.labelled[0]
    study.state.refined.put("im0", np.ones((96, 64, 1), np.uint8), _provenance("another"))
    labels = _labels(study)
    np.testing.assert_array_equal(labels.current(item), labels.expert(item))
    assert study.state.refined.image_ids() == []


def test_a_refined_label_of_another_grid_is_not_used(study):
    item = study.labelled[0]
    study.state.refined.put("im0", np.ones((50, 64, 1), np.uint8), _provenance(file_digest(item.label)))
    labels = _labels(study)
    np.testing.assert_array_equal(labels.current(item), labels.expert(item))


def test_a_round_sees_one_version_of_a_label(study):
    item = study.labelled[0]
    labels = _labels(study)
    before, digest = labels.expert(item).copy(), labels.digest(item)
    write_label(item.label, np.ones((96, 64, 1)))
    assert digest != file_digest(item.label)
    np.testing.assert_array_equal(labels.expert(item), before)
    assert labels.digest(item) == digest
    item.label.unlink()
    np.testing.assert_array_equal(labels.current(item), before)


def test_replacing_writes_nothing(study):
    item = study.labelled[0]
    labels = _labels(study)
    labels.working(item)
    content = item.label.read_bytes()
    labels.replace(item, np.ones((96, 64, 1), np.uint8))
    assert (labels.current(item) == 1).all()
    assert (labels.working(item) == 1).all()
    assert (labels.expert(item) != 1).any()
    assert item.label.read_bytes() == content
    assert study.state.refined.image_ids() == []


def test_a_clip_by_frame(tmp_path):
    study = make_study(tmp_path / "clip", labelled=1, unlabelled=0, frames=3)
    item = study.labelled[0]
    label = np.zeros((96, 64, 3), np.uint8)
    label[:, 20:28, 1] = 1
    write_label(item.label, label)
    labels = _labels(study)
    assert (labels.expert(item)[:, :, [0, 2]] == 255).all()
    assert labels.working(item).shape == (3, 48, 64)
    assert (labels.working(item)[1] == 1).any()


@pytest.mark.parametrize("supervision", ["columns", "full"])
def test_an_empty_label_is_background_everywhere(study, supervision):
    item = study.labelled[0]
    write_label(item.label, np.zeros((96, 64, 1)))
    chosen = settings(supervision=supervision)
    labels = LabelsInUse(WorkingFrames(chosen), study.state.refined, chosen)
    assert labels.usable([item]) == [item]
    assert labels.no_layer(item)
    assert not labels.no_layer(study.labelled[1])
    for found in (labels.expert(item), labels.current(item), labels.working(item)):
        assert (found == 0).all()


def test_an_empty_clip_says_no_layer_and_an_empty_frame_of_a_drawn_clip_nothing(tmp_path):
    study = make_study(tmp_path / "clip", labelled=2, unlabelled=0, frames=3)
    drawn = np.zeros((96, 64, 3), np.uint8)
    drawn[:, 20:28, 1] = 1
    for item, label in zip(study.labelled, (drawn, np.zeros_like(drawn)), strict=True):
        write_label(item.label, label)
    labels = _labels(study)
    partly, wholly = (labels.expert(item) for item in study.labelled)
    assert (partly[:, :, [0, 2]] == 255).all()
    assert (wholly == 0).all()


def _spoil(study):
    """Every way in which a label cannot be used, by image id."""
    rng_image = study.labelled[0].image
    folder = study.folder
    (folder / "junk.nii.gz").write_bytes(b"junk")
    (folder / "junk.png").write_bytes(b"junk")
    good = study.labelled[0].label
    return [
        Item("unknown", rng_image, write_label(folder / "unknown.nii.gz", np.full((96, 64, 1), 255))),
        Item("shape", rng_image, write_label(folder / "shape.nii.gz", np.ones((64, 96, 1)))),
        Item("junk", rng_image, folder / "junk.nii.gz"),
        Item("gone", rng_image, folder / "gone.nii.gz"),
        Item("none", rng_image, None),
        Item("image", folder / "junk.png", good),
        Item("strays", rng_image, write_label(folder / "strays.nii.gz", np.full((96, 64, 1), 4))),
    ]


def test_unusable_labels_are_named_and_not_fatal(study, caplog):
    bad = _spoil(study)
    labels = _labels(study)
    assert labels.usable([bad[0], study.labelled[0], *bad[1:], study.labelled[1]]) == study.labelled
    assert set(labels.unusable) == {item.id for item in bad}
    for item in bad:
        assert item.id in labels.unusable[item.id] or item.label.name in labels.unusable[item.id]
        assert any(item.id in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("index", range(7))
def test_every_unusable_label_is_a_label_error(study, index):
    item = _spoil(study)[index]
    labels = _labels(study)
    for ask in (labels.expert, labels.current, labels.working, labels.digest):
        with pytest.raises(LabelError):
            ask(item)
