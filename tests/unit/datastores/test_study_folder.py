import json
import shutil
import sys
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException
from monailabel.datastore.local import LocalDatastore

from lib.configs import Study
from lib.datastores import LabelGuard, StudyFolder
from sequal.study.folder import StudyFiles
from sequal.study.state import StudyState
from unit.synthetic_study import settings

SHAPE = (12, 9, 1)
NFC, NFD = (unicodedata.normalize(form, "Jérôme") for form in ("NFC", "NFD"))


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
def watching(studies: Path, guard: LabelGuard) -> StudyFolder:
    return StudyFolder(str(studies), guard, auto_reload=True)


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


@pytest.mark.parametrize(("image", "label"), [(NFC, NFD), (NFD, NFC)])
@pytest.mark.parametrize("later", ["image", "label", "neither"])
def test_a_label_whose_name_only_looks_like_its_images_is_its_label(
    studies: Path, guard: LabelGuard, image: str, label: str, later: str
) -> None:
    files = {"image": studies / f"{image}.nii.gz", "label": studies / "labels" / "final" / f"{label}.nii.gz"}
    made = {"image": _image, "label": _label}
    for name in [name for name in files if name != later]:
        made[name](files[name])
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    if later != "neither":
        made[later](files[later])
        folder.look(anew=True)
    drawn = nib.load(folder.get_label_uri(image, "final")).get_fdata()
    assert drawn.sum() == 21
    assert folder.get_labeled_images() == [image]
    assert StudyFiles.open(studies).labelled == [image]
    assert folder.known_id(label) == folder.known_id(image) == image
    assert folder.known_id("Jero") == "Jero"
    (kept,) = (studies / "labels" / "final").iterdir()
    assert kept.name == f"{image}.nii.gz"


def test_where_both_forms_have_an_image_each_has_its_own_label(studies: Path, guard: LabelGuard) -> None:
    for name in (NFC, NFD):
        _image(studies / f"{name}.nii.gz")
    _label(studies / "labels" / "final" / f"{NFD}.nii.gz")
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    assert folder.get_labeled_images() == StudyFiles.open(studies).labelled == [NFD]
    assert folder.known_id(NFC) == NFC


def test_of_two_labels_that_look_like_one_none_replaces_the_other(studies: Path, guard: LabelGuard) -> None:
    _image(studies / f"{NFC}.nii.gz")
    for name in (NFC, NFD):
        _label(studies / "labels" / "final" / f"{name}.nii.gz")
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    assert folder.get_labeled_images() == [NFC]
    assert len(list((studies / "labels" / "final").iterdir())) == 2


def test_an_upload_whose_name_looks_like_an_images_is_of_that_image(studies: Path, folder: StudyFolder) -> None:
    file = str(_image(studies.parent / "sent.nii.gz"))
    assert folder.add_image(NFD, file, {}) == NFC
    with pytest.raises(HTTPException) as refused:
        folder.add_image(NFD, file, {})
    assert refused.value.status_code == 409


def test_an_upload_whose_id_many_disks_take_for_another_one_is_refused(studies: Path, folder: StudyFolder) -> None:
    file = str(_image(studies.parent / "sent.nii.gz"))
    with pytest.raises(HTTPException, match="more than capitals") as refused:
        folder.add_image("A", file, {})
    assert refused.value.status_code == 409
    assert not (studies / "A.nii.gz").exists()


def test_the_command_line_takes_no_hidden_file_for_an_image(studies: Path) -> None:
    shutil.copy(studies / "a.nii.gz", studies / "._a.nii.gz")
    assert list(StudyFiles.open(studies).images) == ["a", "b", "c"]


def test_a_manifest_may_name_images_that_a_round_does_not_look_at(
    studies: Path, folder: StudyFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {})
    manifest = studies / "patients.csv"
    manifest.write_text("image,patient\na,P\nb,P\nc,Q\n")
    study = Study(settings(), StudyState.open(tmp_path / "state", settings()), None, Path(), manifest, None)
    assert [item.patient for item in study.labelled(folder)] == ["P"]
    assert [item.patient for item in study.unlabelled(folder)] == ["P", "Q"]
    assert "does not have" not in caplog.text
    manifest.write_text("image,patient\na,P\nbb,P\n")
    study.labelled(folder)
    assert "names 1 images that the study does not have" in caplog.text


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
    monkeypatch.setattr("lib.datastores.kept_list.in_task_process", lambda: True)
    monkeypatch.setattr("lib.datastores.kept_list.FolderWatch", pytest.fail)
    store = StudyFolder(str(studies), guard, auto_reload=True)
    store.update_image_info("a", {"who": "the trainer"})
    assert not list(studies.glob("datastore_v2*"))


# What is noted: the list, and the changes beside it


def _list(studies: Path) -> dict[str, Any]:
    return json.loads((studies / "datastore_v2.json").read_text())["objects"]


def test_a_label_is_noted_without_writing_the_list_again(studies: Path, folder: StudyFolder) -> None:
    before = (studies / "datastore_v2.json").stat()
    folder.save_label("b", str(_label(studies.parent / "l.nii.gz")), "final", {"number": 7})
    folder.update_image_info("a", {"who": "anna"})
    after = (studies / "datastore_v2.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    lines = (studies / "datastore_v2.changes.jsonl").read_text().splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["b", "a"]


def test_what_was_noted_is_there_after_a_crash_at_any_byte(studies: Path, guard: LabelGuard, tmp_path: Path) -> None:
    folder, label = StudyFolder(str(studies), guard, auto_reload=False), _label(tmp_path / "l.nii.gz")
    changes, ends = studies / "datastore_v2.changes.jsonl", []
    for number, image in enumerate("abca"):
        folder.save_label(image, str(label), "final", {"number": number})
        ends.append(changes.stat().st_size)
    content = changes.read_bytes()
    for cut in range(len(content) + 1):
        changes.write_bytes(content[:cut])
        store = StudyFolder(str(studies), guard, auto_reload=False)
        assert store.get_labeled_images() == ["a", "b", "c"]
        last = {image: number for number, image in enumerate("abca") if ends[number] <= cut + 1}
        noted = {image: store.get_label_info(image, "final").get("number") for image in "abc"}
        assert noted == {**dict.fromkeys("abc"), **last}
        changes.unlink(missing_ok=True)


def test_a_line_that_was_cut_ends_before_the_next_begins(studies: Path, guard: LabelGuard, folder: StudyFolder) -> None:
    folder.update_image_info("a", {"who": "anna"})
    with (studies / "datastore_v2.changes.jsonl").open("ab") as file:
        file.write(b'{"image":"b","entr')
    StudyFolder(str(studies), guard, auto_reload=False).update_image_info("c", {"who": "carl"})
    store = StudyFolder(str(studies), guard, auto_reload=False)
    assert [store.get_image_info(image).get("who") for image in "abc"] == ["anna", None, "carl"]


def test_the_list_takes_the_changes_in(studies: Path, guard: LabelGuard, folder: StudyFolder) -> None:
    folder.save_label("b", str(_label(studies.parent / "l.nii.gz")), "final", {"number": 7})
    assert "final" not in _list(studies)["b"]["labels"]
    folder.put_changes_into_list()
    assert _list(studies)["b"]["labels"]["final"]["info"]["number"] == 7
    assert not (studies / "datastore_v2.changes.jsonl").exists()
    stock = LocalDatastore(str(studies))
    assert stock.get_label_info("b", "final")["number"] == 7


def test_what_is_noted_while_the_list_is_written_is_kept(
    studies: Path, guard: LabelGuard, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.update_image_info("a", {"who": "anna"})
    monkeypatch.setattr("lib.datastores.kept_list.time.sleep", lambda _: folder.update_image_info("b", {"who": "ben"}))
    folder.put_changes_into_list()
    store = StudyFolder(str(studies), guard, auto_reload=False)
    assert [store.get_image_info(image).get("who") for image in "ab"] == ["anna", "ben"]


def test_a_crash_between_list_and_changes_loses_nothing(
    studies: Path, guard: LabelGuard, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.update_image_info("a", {"who": "anna"})
    monkeypatch.setattr("lib.datastores.change_log.ChangeLog.drop_before", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        folder.put_changes_into_list()
    store = StudyFolder(str(studies), guard, auto_reload=False)
    assert store.get_image_info("a")["who"] == "anna"


def test_two_servers_know_what_the_other_noted(studies: Path, guard: LabelGuard, folder: StudyFolder) -> None:
    other = StudyFolder(str(studies), guard, auto_reload=False)
    label = _label(studies.parent / "l.nii.gz")
    folder.save_label("a", str(label), "final", {"by": "the first"})
    other.save_label("b", str(label), "final", {"by": "the second"})
    folder.update_image_info("c", {"by": "the first"})
    other.put_changes_into_list()
    folder.update_label_info("b", "final", {"seen": True})
    other.look()
    for store in (folder, other, StudyFolder(str(studies), guard, auto_reload=False)):
        assert store.get_labeled_images() == ["a", "b"]
        assert store.get_label_info("a", "final")["by"] == "the first"
        assert store.get_label_info("b", "final")["by"] == "the second"
        assert store.get_label_info("b", "final")["seen"]
        assert store.get_image_info("c")["by"] == "the first"


def test_what_could_not_be_read_back_is_refused_and_replaces_nothing(studies: Path, folder: StudyFolder) -> None:
    label, info = _label(studies.parent / "l.nii.gz"), {"text": "\ud800"}
    for note in (
        lambda: folder.save_label("a", str(label), "final", info),
        lambda: folder.update_image_info("a", info),
        lambda: folder.add_image("d", str(label), info),
    ):
        with pytest.raises(HTTPException) as caught:
            note()
        assert caught.value.status_code == 400
    assert folder.get_labeled_images() == []
    assert folder.list_images() == ["a", "b", "c"]
    assert not (studies / "labels" / "final" / "a.nii.gz").exists()


def test_only_what_came_or_went_is_looked_at(
    studies: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look_at = StudyFolder._look_at
    monkeypatch.setattr(
        StudyFolder, "_look_at", lambda self, image, *more: looked.append(image) or look_at(self, image, *more)
    )
    _image(studies / "d.nii.gz")
    (studies / "a.nii.gz").unlink()
    folder.look()
    assert looked == ["a", "d"]
    assert folder.list_images() == ["b", "c", "d"]
    folder.look()
    assert looked == ["a", "d"]


def test_hidden_files_and_folders_are_no_images(studies: Path, folder: StudyFolder) -> None:
    (studies / "._a.nii.gz").write_bytes(b"resource fork")
    (studies / "folder.png").mkdir()
    folder.refresh()
    assert folder.list_images() == ["a", "b", "c"]


def test_of_two_files_with_one_id_the_first_by_name_counts_until_it_goes(
    studies: Path, folder: StudyFolder, caplog: pytest.LogCaptureFixture
) -> None:
    (studies / "a.nii").write_bytes(b"")
    folder.look()
    assert Path(folder.get_image_uri("a")).name == "a.nii"
    assert "a.nii.gz is not" in caplog.text
    (studies / "a.nii").unlink()
    folder.look()
    assert Path(folder.get_image_uri("a")).name == "a.nii.gz"


def test_labels_of_the_readers_that_the_settings_name_come_with_an_image(
    studies: Path, guard: LabelGuard, tmp_path: Path
) -> None:
    for place in ("final/a", "anna/a", "ben/a", "anna/b"):
        _label(studies / "labels" / f"{place}.nii.gz")
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    for readers, found in (("anna,ben", ["anna", "ben"]), ("ben", ["ben"]), ("", [])):
        chosen = settings(readers=readers)
        study = Study(chosen, StudyState.open(tmp_path / "state", chosen), None, Path(), None, None)
        (item,) = study.labelled(folder)
        assert item.id == "a"
        assert [(reader, path.parent.name) for reader, path in item.readings] == [(name, name) for name in found]
        assert all(not item.readings for item in study.unlabelled(folder))
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "carla", {})
    chosen = settings(readers="carla")
    (item,) = Study(chosen, StudyState.open(tmp_path / "state", chosen), None, Path(), None, None).labelled(folder)
    assert [path.parent.name for _, path in item.readings] == ["carla"]
