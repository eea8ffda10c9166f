import json
import logging
import shutil
import threading
import time
from pathlib import Path
from unittest.mock import patch

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException
from numpy.typing import NDArray

from lib.configs import Study
from lib.datastores import DicomWebStudy, LabelGuard
from lib.datastores import listing as listing_module
from lib.datastores.outbox import Outbox
from lib.datastores.series_cache import SeriesCache
from sequal.files.imaging import read_frame, read_label
from sequal.files.imaging.dicom_seg import read_segmentation
from sequal.files.imaging.dicom_series import read_series_headers
from sequal.study.state import StudyState
from unit.datastores.fake_archive import HEIGHT, WIDTH, FakeArchive, mask, pixels, segmentation, ultrasound
from unit.synthetic_study import settings

GRID = (WIDTH, HEIGHT, 1)
LONG_AGO, LATER = 1_000_000_000, 4_000_000_000


@pytest.fixture
def archive() -> FakeArchive:
    return FakeArchive()


@pytest.fixture
def state(tmp_path: Path) -> StudyState:
    return StudyState.open(tmp_path / "state", settings())


class _Opener:
    """Opens studies of one PACS, whose labels are sent when a test says so and not by a thread."""

    def __init__(self, archive: FakeArchive) -> None:
        self._archive = archive

    def __call__(self, state: StudyState) -> DicomWebStudy:
        return DicomWebStudy(self._archive, {}, state, LabelGuard(state))


@pytest.fixture
def opener(archive: FakeArchive, monkeypatch: pytest.MonkeyPatch) -> _Opener:
    monkeypatch.setattr(listing_module, "_FRESH_S", 0.0)
    monkeypatch.setattr(Outbox, "start", lambda outbox: None)
    return _Opener(archive)


def _file(folder: Path, label: NDArray[np.uint8], name: str = "label.nii.gz") -> str:
    folder.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(label, np.eye(4)), folder / name)
    return str(folder / name)


def _label(study: DicomWebStudy, image: str) -> NDArray[np.uint8]:
    return read_label(study.get_label_uri(image, "final"), GRID)


def _read(archive: FakeArchive, image: str) -> list[NDArray[np.uint8]]:
    """The PACS' segmentations of an image on its slices, in the order in which they came."""
    images = archive.instances(archive.find(image))
    images.sort(key=lambda instance: instance.ImagePositionPatient[2])
    return [read_segmentation(dataset, images) for dataset in archive.labels_of(image)]


def test_ultrasound_alone_is_listed_and_the_rest_is_named(archive, state, opener, caplog) -> None:
    image = archive.put(*ultrasound(1))
    other = archive.put(*ultrasound(2, Modality="CT"))
    study = opener(state)
    assert study.list_images() == study.get_unlabeled_images() == [image]
    assert f"Leaving out series {other}: expected Modality US, got CT" in caplog.text
    with pytest.raises(HTTPException, match=rf"to be a series of Modality US, got {other}, which is of CT") as refused:
        study.get_image_uri(other)
    assert refused.value.status_code == 400
    assert study.get_image_uri("1.2.3") == study.get_image_uri("../../etc/passwd") == ""


def test_a_frame_is_fetched_once_and_read_as_one(archive, state, opener) -> None:
    image, clip = archive.put(*ultrasound(1)), archive.put(*ultrasound(2, frames=3))
    study = opener(state)
    frame = read_frame(study.get_image_uri(image))
    assert (frame.grid, frame.shape) == (GRID, (WIDTH, HEIGHT, 2))
    assert frame.calibration.spacing_mm == (0.06, 0.06)
    np.testing.assert_array_equal(frame.pixels, pixels(1))
    # The slices stand as viewers stack them, the last frame of an exported clip first.
    np.testing.assert_array_equal(read_frame(study.get_image_uri(clip)).pixels, pixels(2, 3)[:, :, ::-1])
    study.get_image_uri(image)
    assert archive.asked.count(f"download {image}") == 1
    assert study.get_image_info(image)["StudyInstanceUID"] == str(ultrasound(1)[0].StudyInstanceUID)


def test_a_label_counts_at_once_and_is_in_the_pacs(archive, state, opener, tmp_path) -> None:
    image, other = archive.put(*ultrasound(1)), archive.put(*ultrasound(2))
    study = opener(state)
    info = {"label_info": [{"name": "intima-media", "idx": 1}], "segmentation": "forged", "created": LATER}
    assert study.save_label(image, _file(tmp_path, mask(3, 4)), "final", info) == image
    assert study.delivery(image) == {"pacs": "stored"}
    assert study.get_labeled_images() == [image]
    assert study.get_unlabeled_images() == [other]
    assert study.status() == {"total": 2, "completed": 1, "label_tags": {"final": 1}}
    np.testing.assert_array_equal(_label(study, image), mask(3, 4))
    (stored,) = _read(archive, image)
    np.testing.assert_array_equal(stored, np.repeat(mask(3, 4), 2, axis=2))
    assert abs(study.get_label_info(image, "final")["created"] - time.time()) < 60


def test_the_newest_of_several_labels_counts_once_also_from_an_empty_folder(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    for columns in ((1,), (1, 2), (1,)):  # within one second, and the first one again
        study.save_label(image, _file(tmp_path, mask(*columns)), "final", {})
    assert len(archive.labels_of(image)) == 3
    assert study.status()["completed"] == 1
    assert len(list((state.root / "replaced").iterdir())) == 2
    fresh = opener(StudyState.open(tmp_path / "fresh", settings()))
    assert fresh.get_labeled_images() == [image]
    np.testing.assert_array_equal(_label(fresh, image), mask(1))
    assert fresh.json()["objects"][image]["labels"]["final"]["ext"] == ".nii.gz"


def test_a_label_without_a_layer_reaches_the_pacs_and_comes_back_as_one(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    study.save_label(image, _file(tmp_path, mask()), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    fresh = opener(StudyState.open(tmp_path / "fresh", settings()))
    for opened in (study, fresh):
        assert opened.get_labeled_images() == [image]
        assert opened.get_label_info(image, "final")["no_layer"] is True
        np.testing.assert_array_equal(_label(opened, image), mask())
    assert fresh.json()["objects"][image]["labels"]["final"]["info"]["no_layer"] is True
    later = segmentation(archive.instances(archive.find(image)), mask(3), LATER)
    archive.put(later)
    assert "no_layer" not in fresh.get_label_info(image, "final")


def test_an_empty_segmentation_of_another_program_is_no_label(archive, state, opener, caplog) -> None:
    image = archive.put(*ultrasound(1))
    archive.put(segmentation(archive.instances(archive.find(image)), mask(), LATER, ContentLabel="SEGMENTATION"))
    study = opener(state)
    assert study.get_labeled_images() == []
    assert "to show intima-media, got an empty one" in caplog.text


def test_the_edited_slice_is_the_label(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    state.shown.put(image, mask(3, 4, 5)[:, :, 0])
    drawn = np.concatenate([mask(3, 4, 5), mask(4, 5, 6)], axis=2)  # on the second slice: 3 erased, 6 drawn
    (tmp_path / "label.bin").write_bytes(drawn.ravel(order="F").tobytes())
    study.save_label(image, str(tmp_path / "label.bin"), "final", {})
    np.testing.assert_array_equal(_label(study, image), mask(4, 5, 6))


def test_labels_of_a_clip_are_per_frame(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1, frames=3))
    study = opener(state)
    drawn = np.concatenate([mask(1), mask(), mask(2, 3)], axis=2)
    study.save_label(image, _file(tmp_path, drawn), "final", {})
    fresh = opener(StudyState.open(tmp_path / "fresh", settings()))
    for opened in (study, fresh):
        np.testing.assert_array_equal(read_label(opened.get_label_uri(image, "final"), drawn.shape), drawn)


def test_pixels_that_are_not_annotated_survive_the_pacs(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    label = mask(3, 4)
    label[10:] = 255
    opener(state).save_label(image, _file(tmp_path, label), "final", {})
    fresh = opener(StudyState.open(tmp_path / "fresh", settings()))
    np.testing.assert_array_equal(_label(fresh, image), label)


def test_a_label_of_another_station_counts_while_it_is_newer(archive, state, opener, tmp_path) -> None:
    images = ultrasound(1)
    image = archive.put(*images)
    study = opener(state)
    study.save_label(image, _file(tmp_path, mask(1)), "final", {})
    archive.put(segmentation(images, mask(2), LONG_AGO))
    np.testing.assert_array_equal(_label(study, image), mask(1))
    archive.put(segmentation(images, mask(3), LATER))
    np.testing.assert_array_equal(_label(study, image), mask(3))
    # What the expert submitted here is still there, and the next submission counts again.
    submitted = state.root / "dicomweb" / "labels" / "final" / f"{image}.nii.gz"
    np.testing.assert_array_equal(read_label(submitted, GRID), mask(1))
    study.save_label(image, _file(tmp_path, mask(4)), "final", {})
    np.testing.assert_array_equal(_label(study, image), mask(4))
    assert len(list((state.root / "replaced").iterdir())) == 1


def test_two_states_on_one_pacs_lose_no_label_agree_on_the_newest_and_say_so(
    archive, state, opener, tmp_path, monkeypatch
) -> None:
    image, other = archive.put(*ultrasound(1)), archive.put(*ultrasound(2))
    studies = [opener(state), opener(StudyState.open(tmp_path / "second", settings()))]
    now = int(time.time()) + 10
    monkeypatch.setattr(time, "time", lambda: now)
    for study in studies:
        study.list_images()
    # Neither has seen the other's label yet, and both submit within one second.
    with monkeypatch.context() as unseen:
        unseen.setattr(DicomWebStudy, "_from_pacs", lambda _: {})
        for column, study in enumerate(studies, 1):
            study.save_label(image, _file(tmp_path, mask(column)), "final", {})
    assert sorted(mask_.sum() for mask_ in _read(archive, image)) == [8, 8]
    labels = [_label(study, image) for study in studies]
    np.testing.assert_array_equal(labels[0], labels[1])
    for study in studies:
        assert study.get_unlabeled_images() == [other]
        (warning,) = study.warnings()
        assert image in warning
        assert "--conf state" in warning
    # One of the two goes on, and the other one asks for nothing more.
    assert sorted(bool(study.refused()) for study in studies) == [False, True]
    now += 10
    studies[0].save_label(image, _file(tmp_path, mask(3)), "final", {})
    for study in studies:
        np.testing.assert_array_equal(_label(study, image), mask(3))


def test_of_two_states_the_one_that_sent_no_label_before_is_refused(
    archive, state, opener, tmp_path, monkeypatch
) -> None:
    image, _ = archive.put(*ultrasound(1)), archive.put(*ultrasound(2))
    now = int(time.time()) + 10
    monkeypatch.setattr(time, "time", lambda: now)
    first = opener(state)
    first.save_label(image, _file(tmp_path, mask(1)), "final", {})
    now += 10
    second = opener(StudyState.open(tmp_path / "second", settings()))
    assert second.get_labeled_images() == [image]
    assert second.refused() == ""  # the first one may have ended long ago
    now += 10
    first.save_label(image, _file(tmp_path, mask(2)), "final", {})
    for study in (first, second):
        study.get_labeled_images()
    assert first.refused() == ""
    assert "stop one" in second.refused()


def test_a_server_does_not_warn_of_its_own_labels_and_of_old_ones(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    first = opener(state)
    for column in (1, 2):
        first.save_label(image, _file(tmp_path, mask(column)), "final", {})
    assert first.get_labeled_images() == [image]
    assert first.warnings() == []
    time.sleep(max(0.0, first.get_label_info(image, "final")["created"] + 0.01 - time.time()))
    later = opener(StudyState.open(tmp_path / "later", settings()))
    assert later.get_labeled_images() == [image]
    assert later.warnings() == []


def test_nobody_waits_for_a_pacs_that_somebody_elses_label_waits_for(
    archive, state, opener, tmp_path, monkeypatch
) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    study.get_image_uri(image)
    asked, answer = threading.Event(), threading.Event()

    def slow(_: DicomWebStudy) -> dict[str, object]:
        asked.set()
        assert answer.wait(30)
        return {}

    monkeypatch.setattr(DicomWebStudy, "_from_pacs", slow)
    saving = threading.Thread(target=study.save_label, args=(image, _file(tmp_path, mask(1)), "final", {}))
    saving.start()
    assert asked.wait(30)
    study.update_image_info(image, {"seen": True})
    assert study.get_image_info(image)["seen"] is True
    assert saving.is_alive()
    answer.set()
    saving.join()


def test_what_is_no_label_of_this_app_is_left_out_and_named(archive, state, opener, caplog) -> None:
    images = ultrasound(1)
    image = archive.put(*images)
    broken = segmentation(images, mask(1), LATER)
    broken.PixelData = broken.PixelData[:4]
    plaque = segmentation(images, mask(1), LATER + 1)
    plaque.SegmentSequence[0].SegmentLabel = "plaque"
    refined = segmentation(images, mask(1), LATER + 2, ContentLabel="REFINED")
    left_out = [archive.put(dataset) for dataset in (broken, plaque, refined)]
    study = opener(state)
    assert study.get_labeled_images() == study.datalist() == []
    assert all(f"Leaving out segmentation {uid}" in caplog.text for uid in left_out)
    archive.put(segmentation(images, mask(5), LONG_AGO))  # the newest that can be used counts
    assert study.get_labeled_images() == [image]
    np.testing.assert_array_equal(_label(study, image), mask(5))
    archive.asked.clear()
    study.get_labeled_images()
    assert not [what for what in archive.asked if what.startswith("instances")]  # each is looked at once


def test_a_segmentation_on_another_grid_stops_nothing(archive, state, opener, caplog) -> None:
    images, others = ultrasound(1), ultrasound(2)
    image, other = archive.put(*images), archive.put(*others)
    wrong = segmentation(images, mask(1), LATER)
    wrong.Rows, wrong.Columns = wrong.Columns, wrong.Rows
    archive.put(wrong)
    archive.put(segmentation(others, mask(2), LATER))
    study = opener(state)
    assert [Path(pair["label"]).exists() for pair in study.datalist()] == [True]
    assert study.get_labeled_images() == [other]
    assert image in study.get_unlabeled_images()
    assert "It belongs to another image" in caplog.text


def test_an_unusable_series_is_named_passed_over_and_tried_again_when_it_changes(archive, state, opener) -> None:
    good = archive.put(*ultrasound(1))
    instances = ultrasound(2)
    for instance in instances:
        instance.PixelData = instance.PixelData[:100]
    bad = archive.put(*instances)
    study = opener(state)
    assert set(study.list_images()) == {good, bad}
    with pytest.raises(HTTPException, match=f"series {bad}") as refused:
        study.get_image_uri(bad)
    assert refused.value.status_code == 400
    assert study.list_images() == [good]
    with patch.object(SeriesCache, "unusable", autospec=True, side_effect=SeriesCache.unusable) as opened:
        (told,) = study.left_out()
    assert bad in told
    assert [call.args[1].uid for call in opened.call_args_list] == [bad]  # no file for each series of a PACS
    archive.contents[bad].clear()
    archive.put(*ultrasound(3, frames=3, SeriesInstanceUID=bad))
    assert set(study.list_images()) == {good, bad}
    assert study.left_out() == []
    assert read_frame(study.get_image_uri(bad)).grid == (WIDTH, HEIGHT, 3)


def test_while_the_pacs_is_down_the_last_list_holds_and_labels_wait(archive, state, opener, tmp_path, caplog) -> None:
    images = [archive.put(*ultrasound(seed)) for seed in (1, 2)]
    study = opener(state)
    study.get_image_uri(images[0])
    archive.up = False
    assert study.list_images() == sorted(images)
    with pytest.raises(HTTPException) as silent:
        study.get_image_uri(images[1])
    assert silent.value.status_code == 503
    with pytest.raises(HTTPException, match="Start the PACS") as silent:
        study.check_answers()
    assert silent.value.status_code == 503

    study.save_label(images[0], _file(tmp_path, mask(1)), "final", {})
    assert study.delivery(images[0])["pacs"] == "waiting"
    assert "Start the PACS" in study.delivery(images[0])["reason"]
    assert study.get_labeled_images() == [images[0]]
    with pytest.raises(HTTPException):
        study.save_label(images[1], _file(tmp_path, mask(2)), "final", {})
    assert len(list((state.root / "rejected").glob("*.nii.gz"))) == 1

    # After a restart, still without the PACS: nothing is forgotten.
    again = opener(state)
    assert again.list_images() == sorted(images)
    assert again.get_labeled_images() == [images[0]]
    again._outbox.flush()
    archive.up = True
    again._outbox.flush()
    assert again.delivery(images[0]) == {"pacs": "stored"}
    np.testing.assert_array_equal(_read(archive, images[0])[0][:, :, :1], mask(1))
    again._outbox.flush()
    assert len(archive.labels_of(images[0])) == 1
    assert caplog.text.count("Working with what the PACS said last") == 2  # once an opened study, not once a request


def test_a_pacs_that_never_answered_is_an_empty_study(archive, state, opener) -> None:
    archive.up = False
    study = opener(state)
    assert study.status() == {"total": 0, "completed": 0, "label_tags": {}}
    assert study.get_unlabeled_images() == study.datalist() == []
    image = archive.put(*ultrasound(1))
    archive.up = True
    assert study.list_images() == [image]


def test_a_refused_label_waits_without_keeping_others_back(archive, state, opener, tmp_path) -> None:
    images = [archive.put(*ultrasound(seed)) for seed in (1, 2)]
    study = opener(state)
    archive.takes = False
    for image in images:
        study.save_label(image, _file(tmp_path, mask(1)), "final", {})
    assert "HTTP 403" in study.delivery(images[1])["reason"]
    archive.takes = True
    study._outbox.flush()
    assert [study.delivery(image)["pacs"] for image in images] == ["stored", "stored"]


def test_a_series_without_geometry_can_be_labelled_too(archive, state, opener, tmp_path) -> None:
    (instance, _) = ultrasound(1)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PixelSpacing"):
        delattr(instance, keyword)
    for keyword in ("PatientBirthDate", "StudyDescription", "AccessionNumber"):
        delattr(instance, keyword)
    image = archive.put(instance)
    study = opener(state)
    frame = read_frame(study.get_image_uri(image))
    assert frame.grid == GRID
    assert frame.calibration.spacing_mm == (0.06, 0.06)  # of the ultrasound region
    study.save_label(image, _file(tmp_path, mask(3)), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    fresh = opener(StudyState.open(tmp_path / "fresh", settings()))
    np.testing.assert_array_equal(_label(fresh, image), mask(3))


def test_a_label_taken_out_stays_out_until_the_next_one(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    study.save_label(image, _file(tmp_path, mask(1)), "final", {})
    study.remove_label(image, "final")
    assert study.get_labeled_images() == []
    assert len(list((state.root / "replaced").iterdir())) == 1
    assert opener(state).get_labeled_images() == []  # the PACS still has the segmentation
    study.save_label(image, _file(tmp_path, mask(2)), "final", {})
    assert study.get_labeled_images() == [image]
    np.testing.assert_array_equal(_label(study, image), mask(2))


def test_removing_the_cached_images_loses_no_label(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    opener(state).save_label(image, _file(tmp_path, mask(1)), "final", {})
    folder = state.root / "dicomweb"
    (folder / f"{image}.nii.gz").unlink()
    (folder / "datastore_v2.json").write_text("damaged")
    study = opener(state)
    assert study.get_labeled_images() == [image]
    np.testing.assert_array_equal(_label(study, image), mask(1))
    assert Path(study.get_image_uri(image)).exists()


def test_what_was_removed_from_the_folder_is_fetched_again(archive, state, opener, tmp_path) -> None:
    images = ultrasound(1)
    image = archive.put(*images)
    archive.put(segmentation(images, mask(1), LONG_AGO))
    study = opener(state)
    np.testing.assert_array_equal(_label(study, image), mask(1))
    folder = state.root / "dicomweb"
    shutil.rmtree(folder / image)
    study.save_label(image, _file(tmp_path, mask(2)), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    assert study.delivery("1.2.3") == {}

    study.remove_label(image, "final")
    archive.put(segmentation(images, mask(3), LATER))
    assert study.get_labeled_images() == [image]
    (copy,) = (
        path
        for path in (folder / "segmentations").glob("*.dcm")
        if path.stat().st_mtime_ns
        == max(other.stat().st_mtime_ns for other in (folder / "segmentations").glob("*.dcm"))
    )
    copy.write_bytes(b"damaged")
    with pytest.raises(HTTPException, match="It is fetched again") as refused:
        study.get_label_uri(image, "final")
    assert refused.value.status_code == 400
    np.testing.assert_array_equal(_label(study, image), mask(3))


def test_patients_are_grouped_by_a_pseudonym_and_shared_ids_are_named(archive, state, opener, caplog) -> None:
    ids = {
        name: archive.put(*ultrasound(seed, **tags))
        for seed, (name, tags) in enumerate(
            {
                "anna left": {"PatientID": "id of two", "PatientName": "Anna"},
                "anna right": {"PatientID": "id of two", "PatientName": "Anna"},
                "bert": {"PatientID": "id of two", "PatientName": "Bert"},
                "carl": {"PatientID": "another id", "PatientName": "Carl"},
                "nobody": {"PatientID": "", "PatientName": ""},
                "no one": {"PatientID": "", "PatientName": ""},
            }.items()
        )
    }
    study = opener(state)
    patients = study.patients(study.list_images())
    assert patients[ids["anna left"]] == patients[ids["anna right"]] == patients[ids["bert"]]
    assert len(set(patients.values())) == 4
    assert "have one PatientID but different names" in caplog.text
    kept = (state.root / "dicomweb" / "listing.json").read_text()
    assert not any(name in kept + json.dumps(patients) + caplog.text for name in ("Anna", "Bert", "id of two"))


def test_a_study_takes_its_patients_from_the_pacs(archive, state, opener) -> None:
    image = archive.put(*ultrasound(1, "p1"))
    store = opener(state)
    study = Study(settings(), state, None, Path(), None, None)
    (item,) = study.unlabelled(store)
    assert (item.id, item.patient) == (image, store.patients([image])[image])
    assert item.image.exists()
    archive.put(*ultrasound(2, "p2"))
    archive.asked.clear()
    assert len(study.listed(store)[1]) == 2
    assert not [what for what in archive.asked if what.startswith("download")]


def test_an_image_that_cannot_be_had_is_left_out_of_a_round(archive, state, opener, caplog) -> None:
    images = [archive.put(*ultrasound(seed)) for seed in (1, 2)]
    store = opener(state)
    store.get_image_uri(images[0])
    archive.up = False
    study = Study(settings(), state, None, Path(), None, None)
    with caplog.at_level(logging.WARNING):
        assert [item.id for item in study.unlabelled(store)] == [images[0]]
    assert f"Leaving out image {images[1]}" in caplog.text


def test_images_are_added_and_removed_in_the_pacs(archive, state, opener, tmp_path) -> None:
    image = archive.put(*ultrasound(1))
    study = opener(state)
    for ask in (lambda: study.add_image("x", _file(tmp_path, mask(1)), {}), lambda: study.remove_image(image)):
        with pytest.raises(HTTPException, match="in its PACS") as refused:
            ask()
        assert refused.value.status_code == 400
    assert study.list_images() == [image]


def _without(*keywords):
    def edit(instances):
        for instance in instances:
            for keyword in keywords:
                delattr(instance, keyword)

    return edit


def _in_one_place(instances):
    for instance in instances:
        instance.ImagePositionPatient = [0, 0, 0]


def _in_frames_of_reference_of_their_own(instances):
    for number, instance in enumerate(instances):
        instance.FrameOfReferenceUID = f"1.2.3.{number + 1}"


def _with(**tags):
    def edit(instances):
        for instance in instances:
            for keyword, value in tags.items():
                setattr(instance, keyword, value)

    return edit


GEOMETRY = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient")


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(
    "edit",
    [
        _without("FrameOfReferenceUID"),
        _without(*GEOMETRY),
        _without("ImagePositionPatient"),
        _without("PixelSpacing", "PatientID", "StudyDate"),
        _in_one_place,
        _in_frames_of_reference_of_their_own,
        _with(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
        _with(LossyImageCompression="01"),
        _with(LossyImageCompression="01", LossyImageCompressionRatio="10"),
        _with(LossyImageCompression="01", LossyImageCompressionMethod="ISO_10918_1"),
        _with(NumberOfFrames="1"),
    ],
)
def test_labels_of_what_scanners_write_reach_the_pacs(archive, state, opener, tmp_path, frames, edit) -> None:
    instances = ultrasound(1, frames=frames)
    edit(instances)
    image = archive.put(*instances)
    study = opener(state)
    drawn = np.concatenate([mask(2 + number, 9) for number in range(frames)], axis=2)
    study.save_label(image, _file(tmp_path, drawn), "final", {})
    assert study.delivery(image) == {"pacs": "stored"}
    (sent,) = archive.labels_of(image)
    slices = read_segmentation(sent, read_series_headers(study._instances(image)))
    np.testing.assert_array_equal(slices, np.repeat(drawn, 2, axis=2) if frames == 1 else drawn)
    if "LossyImageCompression" in instances[0] and instances[0].LossyImageCompression == "01":
        assert sent.LossyImageCompressionMethod
        assert sent.LossyImageCompressionRatio


def test_a_label_that_no_segmentation_can_hold_is_said_at_once(archive, state, opener, tmp_path) -> None:
    instance = ultrasound(1)[0]
    instance.NumberOfFrames = 3
    instance.PixelData = pixels(1, 3).astype(np.uint8).T.tobytes()
    for keyword in GEOMETRY:
        delattr(instance, keyword)
    image = archive.put(instance)
    study = opener(state)
    drawn = np.concatenate([mask(2), mask(3), mask(4)], axis=2)
    study.save_label(image, _file(tmp_path, drawn), "final", {})
    told = study.delivery(image)
    assert told["pacs"] == "kept here"
    assert "got a clip in one instance" in told["reason"]
    np.testing.assert_array_equal(read_label(study.get_label_uri(image, "final"), (WIDTH, HEIGHT, 3)), drawn)


def test_stills_of_one_series_with_two_zooms_are_not_calibrated(archive, state, opener) -> None:
    instances = ultrasound(1, frames=3)
    for instance, delta in zip(instances, (0.006, 0.012, 0.006), strict=True):
        region = instance.SequenceOfUltrasoundRegions[0]
        region.PhysicalDeltaX = region.PhysicalDeltaY = delta
        instance.PixelSpacing = [delta * 10, delta * 10]
    image = archive.put(*instances)
    frame = read_frame(opener(state).get_image_uri(image))
    assert frame.calibration.source == "none (instances 1 and 2 of the series differ: 0.06 and 0.12 mm)"


def test_a_region_that_does_not_cover_the_picture_is_known_of_an_image_from_the_pacs(archive, state, opener) -> None:
    instances = ultrasound(1)
    for instance in instances:
        instance.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = 11
    image = archive.put(*instances)
    found = read_frame(opener(state).get_image_uri(image)).calibration
    assert found.spacing_mm == (0.06, 0.06)
    assert found.region == (0, 0, 12, HEIGHT)


def test_images_that_an_older_version_made_are_made_anew(archive, state, opener) -> None:
    image = archive.put(*ultrasound(1))
    file = Path(opener(state).get_image_uri(image))
    nib.save(nib.Nifti1Image(np.zeros((WIDTH, HEIGHT, 2), np.uint8), np.diag([0.3, 0.3, 1, 1])), file)
    (file.parent / ".form").unlink()
    assert read_frame(opener(state).get_image_uri(image)).calibration.spacing_mm == (0.06, 0.06)
