from dataclasses import replace
from itertools import islice
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.models import model_of
from sequal.learning.training import run_round
from sequal.learning.training.batches import TwoStreamBatches
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.learning.training.readings import Readings
from sequal.preparation.working_frames import WorkingFrames
from sequal.study.items import Item
from unit.synthetic_study import make_study, settings, write_label

#: Second readings of real frames, beside the project where somebody has them; never in CI.
_PLACES = (parent / "shared" / "data" / "carotid" for parent in Path(__file__).parents)
REAL = next((place for place in _PLACES if (place / "second_reading").is_dir()), None)


def prepared(items, readers, state, chosen=settings()):  # noqa: B008
    """The further readings of items, and the study's own labels."""
    frames = WorkingFrames(chosen)
    labels = LabelsInUse(frames, state.refined, chosen)
    return Readings(items, readers, frames, labels, model_of(chosen)), labels, frames


def drawn_by_ben(study, down=2, images=3):
    """The items with a label of a second reader, who draws both boundaries deeper and traces every column."""
    items = []
    for index, item in enumerate(study.labelled):
        label = np.zeros((96, 64, 1), np.uint8)
        label[:, 20 + 3 * index + down : 28 + 3 * index + down] = 1
        path = write_label(study.folder / f"{item.id}-ben.nii.gz", label)
        items.append(replace(item, readings=(("ben", path),)) if index < images else item)
    return items


def tops(label):
    """Rows where the layer begins, by column in which there is one (one frame on the working grid)."""
    columns = (label[0] == 1).any(axis=1)
    return (label[0] == 1).argmax(axis=1)[columns]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("readings") / "study")


def test_each_drawing_of_an_image_is_learnt_from_as_often_and_in_the_convention_of_the_study(study):
    items = drawn_by_ben(study)
    readings, labels, _ = prepared(items, ["ben"], study.state)
    # He is two rows deeper; three images count 3 / 5 of it.
    assert readings.conventions["ben"].li_px == pytest.approx(-1.2, abs=0.05)
    assert readings.conventions["ben"].ma_px == pytest.approx(-1.2, abs=0.05)
    rng, own = np.random.default_rng(0), labels.working(items[0])
    draws = [readings.drawn(items[0], own, rng) for _ in range(300)]
    his = [draw for draw in draws if draw is not own]
    assert len(his) == pytest.approx(150, abs=30)
    assert set(np.unique(own)) == {0, 1, 255}, "the expert traced a part, ben all of it"
    assert all((draw[0] == 1).any(axis=1).all() for draw in his)
    assert np.mean([tops(draw).mean() for draw in his]) == pytest.approx(tops(own).mean() + 2 - 1.2, abs=0.1)


def test_a_round_trains_on_all_readers_and_their_files_stay(study):
    items = drawn_by_ben(study)
    before = {path: path.read_bytes() for path in study.folder.glob("*.nii.gz")}
    chosen = settings(readers="ben", trigger="never")
    readings, labels, frames = prepared(items, chosen.reader_tags, study.state, chosen)
    one = TwoStreamBatches(items, [], frames, labels, chosen, 0, None, readings)
    other = TwoStreamBatches(items, [], frames, labels, chosen, 0)
    assert any(not np.array_equal(a.label, b.label) for a, b in zip(islice(one, 4), islice(other, 4), strict=True))
    report = run_round(items, study.unlabelled, study.state, chosen, score=False, gate=False)
    assert report.trained_on == 3
    assert report.left_out == {}
    assert {path: path.read_bytes() for path in study.folder.glob("*.nii.gz")} == before


def test_without_further_labels_an_image_is_drawn_as_before(study):
    items = drawn_by_ben(study, images=1)
    readings, labels, _ = prepared(items, ["ben"], study.state)
    rng = np.random.default_rng(0)
    own = labels.working(items[1])
    assert readings.drawn(items[1], own, rng) is own
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_labels_that_cannot_be_used_and_readers_without_any_are_named(study):
    other_grid = write_label(study.folder / "other.nii.gz", np.ones((10, 10, 1), np.uint8))
    items = [replace(study.labelled[0], readings=(("ben", other_grid),)), *study.labelled[1:]]
    readings, labels, _ = prepared(items, ["ben", "carla"], study.state)
    assert "10 x 10" in readings.unusable["im0, ben"]
    assert set(readings.unusable) == {"im0, ben", "reader carla"}
    assert "take the name out of `readers`" in readings.unusable["reader carla"]
    own = labels.working(items[0])
    assert readings.drawn(items[0], own, np.random.default_rng(0)) is own


def test_readers_who_contradict_each_other_about_the_layer_are_both_heard(study):
    empty = write_label(study.folder / "empty.nii.gz", np.zeros((96, 64, 1), np.uint8))
    items = [replace(study.labelled[0], readings=(("ben", empty),)), *study.labelled[1:]]
    readings, labels, _ = prepared(items, ["ben"], study.state)
    rng, own = np.random.default_rng(0), labels.working(items[0])
    his = [draw for draw in (readings.drawn(items[0], own, rng) for _ in range(20)) if draw is not own]
    assert his
    assert all((draw == 0).all() for draw in his)


def test_volumes_of_several_readers_are_taken_as_they_were_drawn(tmp_path):
    chosen = settings(models="volume", labels="liver", volume_spacing="2,2,2", volume_patch="16,16,32", network="unet")
    voxels = np.random.default_rng(0).normal(50, 5, (16, 16, 32)).astype(np.float32)
    label = np.zeros((16, 16, 32), np.uint8)
    label[4:9, 4:9, 4:9] = 1
    for name, array in (("v", voxels), ("anna", label), ("ben", np.roll(label, 2, axis=0))):
        nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / f"{name}.nii.gz")
    item = Item("v", tmp_path / "v.nii.gz", tmp_path / "anna.nii.gz", readings=(("ben", tmp_path / "ben.nii.gz"),))
    state = make_study(tmp_path / "study").state
    readings, labels, _ = prepared([item], ["ben"], state, chosen)
    assert readings.conventions["ben"] is None
    rng, own = np.random.default_rng(0), labels.working(item)
    his = next(draw for draw in (readings.drawn(item, own, rng) for _ in range(20)) if draw is not own)
    assert np.array_equal(his.sum(), own.sum())
    assert not np.array_equal(his, own)


@pytest.mark.skipif(REAL is None, reason="the real carotid frames with second readings are not on this machine")
def test_a_round_learns_from_both_readings_of_real_frames_which_have_no_bias(tmp_path):
    items = [
        Item(path.name[:-7], REAL / "study" / path.name, REAL / "truth" / path.name, readings=(("second", path),))
        for path in sorted((REAL / "second_reading").glob("*.nii.gz"))
    ]
    assert len(items) == 7
    chosen = settings()
    readings, labels, _ = prepared(items, ["second"], make_study(tmp_path / "study").state, chosen)
    assert readings.unusable == {}
    convention = readings.conventions["second"]
    assert max(abs(convention.li_px), abs(convention.ma_px)) < 0.5
    rng, dice = np.random.default_rng(0), []
    for item in items:
        own = labels.working(item)
        his = next(draw for draw in (readings.drawn(item, own, rng) for _ in range(50)) if draw is not own)
        both = (own != 255) & (his != 255)
        dice.append(label_dice(his[both], own[both]))
    # Of all nineteen second readings the set's own figure is 0.893, on the grid of the pictures.
    assert np.mean(dice) == pytest.approx(0.893, abs=0.04)
