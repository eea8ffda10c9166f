import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException

from lib.datastores import LabelGuard, StudyFolder
from lib.state import StudyState
from unit.synthetic_study import settings

SHAPE = (12, 9, 1)


def _image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.arange(108, dtype=np.uint8).reshape(SHAPE), np.eye(4)), path)
    return path


def _label(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    label = np.zeros(SHAPE, np.uint8)
    label[2:9, 3:6] = 1
    nib.save(nib.Nifti1Image(label, np.eye(4)), path)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        _image(tmp_path / "study" / f"{name}.nii.gz")
    return tmp_path / "study"


@pytest.fixture
def guard(tmp_path: Path) -> LabelGuard:
    return LabelGuard(StudyState.open(tmp_path / "state", settings()))


@pytest.fixture
def folder(studies: Path, guard: LabelGuard) -> StudyFolder:
    return StudyFolder(str(studies), guard, auto_reload=False)


@pytest.fixture
def watching(studies: Path, guard: LabelGuard) -> Iterator[StudyFolder]:
    store = StudyFolder(str(studies), guard, auto_reload=True)
    yield store
    store._observer.stop()
    store._observer.join()


@pytest.mark.parametrize("content", ['{"objects": {"a"', '{"name": "x"}', '{"objects": 3}', "[]", ""])
def test_a_damaged_list_is_set_aside_and_made_again(studies: Path, guard: LabelGuard, content: str) -> None:
    config = studies / "datastore_v2.json"
    config.write_text(content)
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    assert folder.list_images() == ["a", "b", "c"]
    aside = list(studies.glob("datastore_v2.json.corrupt-*"))
    assert [path.read_text() for path in aside] == [content]
    assert set(json.loads(config.read_text())["objects"]) == {"a", "b", "c"}


def test_an_empty_label_counts_as_labelled_and_its_info_says_so(studies: Path, folder: StudyFolder) -> None:
    empty = studies.parent / "empty.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), empty)
    folder.save_label("b", str(empty), "final", {"number": 7})
    assert folder.get_labeled_images() == ["b"]
    assert folder.status()["completed"] == 1
    info = folder.get_label_info("b", "final")
    assert (info["no_layer"], info["number"]) == (True, 7)
    folder.save_label("b", str(_label(studies.parent / "l.nii.gz")), "final", {})
    assert "no_layer" not in folder.get_label_info("b", "final")


def test_a_rescan_keeps_what_is_noted_and_drops_what_is_gone(studies: Path, folder: StudyFolder) -> None:
    folder.update_image_info("b", {"who": "anna"})
    folder.save_label("b", str(_label(studies.parent / "l.nii.gz")), "final", {"number": 7})
    (studies / "a.nii.gz").unlink()
    _image(studies / "d.nii.gz")
    folder.refresh()
    assert folder.list_images() == ["b", "c", "d"]
    assert folder.get_image_info("b")["who"] == "anna"
    assert folder.get_label_info("b", "final")["number"] == 7
    assert folder.get_labeled_images() == ["b"]


def test_a_label_copied_into_the_folder_is_found(studies: Path, folder: StudyFolder) -> None:
    _label(studies / "labels" / "final" / "c.nii.gz")
    _label(studies / "labels" / "final" / "nobody.nii.gz")
    folder.refresh()
    assert folder.get_labeled_images() == ["c"]
    assert folder.list_images() == ["a", "b", "c"]


def test_a_missing_labels_folder_is_no_error(studies: Path, folder: StudyFolder) -> None:
    for path in sorted((studies / "labels").rglob("*"), reverse=True):
        path.rmdir()
    (studies / "labels").rmdir()
    folder.refresh()
    assert folder.list_images() == ["a", "b", "c"]


def test_labels_find_their_image_while_another_thread_rescans(studies: Path, folder: StudyFolder) -> None:
    label, done, seen = _label(studies.parent / "l.nii.gz"), threading.Event(), []

    def rescan() -> None:
        while not done.is_set():
            folder.refresh()

    other, usual = threading.Thread(target=rescan), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # the threads change places at every chance
    other.start()
    try:
        for number in range(200):
            folder.save_label("b", str(label), "final", {"number": number})
            seen.append((len(folder.list_images()), folder.get_label_info("b", "final").get("number")))
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(usual)
    assert seen == [(3, number) for number in range(200)]


def test_an_image_that_is_renamed_into_place_is_noticed(studies: Path, watching: StudyFolder) -> None:
    _image(studies / ".part.nii.gz").rename(studies / "late.nii.gz")
    end = time.monotonic() + 20
    while "late" not in watching.list_images() and time.monotonic() < end:
        time.sleep(0.05)
    assert "late" in watching.list_images()


@pytest.mark.parametrize("image", ["../x", "a/b", "..", ".hidden", "a\\b"])
def test_an_image_id_that_is_no_file_name_is_refused(studies: Path, folder: StudyFolder, image: str) -> None:
    before = sorted(studies.parent.rglob("*"))
    with pytest.raises(HTTPException) as caught:
        folder.add_image(image, str(studies / "a.nii.gz"), {})
    assert caught.value.status_code == 400
    assert image in caught.value.detail or repr(image) in caught.value.detail
    assert sorted(studies.parent.rglob("*")) == before


def test_an_image_of_no_known_kind_is_refused(studies: Path, folder: StudyFolder) -> None:
    note = studies.parent / "note.txt"
    note.write_text("hello")
    with pytest.raises(HTTPException, match=r"\.nii\.gz"):
        folder.add_image("note", str(note), {})
    assert folder.list_images() == ["a", "b", "c"]


def test_a_label_that_cannot_be_written_leaves_the_former_one(
    studies: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = _label(studies.parent / "l.nii.gz")
    folder.save_label("a", str(label), "final", {})
    former = (studies / "labels" / "final" / "a.nii.gz").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lib.datastores.local.shutil.copyfileobj", full)
    with pytest.raises(HTTPException, match="No space left") as caught:
        folder.save_label("a", str(label), "final", {})
    assert caught.value.status_code == 507
    assert (studies / "labels" / "final" / "a.nii.gz").read_bytes() == former
    assert sorted(path.name for path in (studies / "labels" / "final").iterdir()) == ["a.nii.gz"]


def test_a_task_process_writes_no_list(studies: Path, guard: LabelGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.datastores.local._in_task_process", lambda: True)
    store = StudyFolder(str(studies), guard, auto_reload=True)
    store.update_image_info("a", {"who": "the trainer"})
    assert not (studies / "datastore_v2.json").exists()
    assert not hasattr(store, "_observer")
