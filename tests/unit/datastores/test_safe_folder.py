"""Nothing that an expert drew is lost in a studies folder, whatever the disk, a client or another server does."""

import errno
import json
import os
import tempfile
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from fastapi import HTTPException

from lib.datastores import LabelGuard, StudyFolder
from lib.datastores.change_log import ChangeLog
from sequal.study.state import StudyState
from unit.synthetic_study import settings

SHAPE = (12, 9, 1)


def _image(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, SHAPE, dtype=np.uint8)
    nib.save(nib.Nifti1Image(pixels, np.eye(4)), path)
    return path


def _label(path: Path, column: int = 3) -> Path:
    label = np.zeros(SHAPE, np.uint8)
    label[2:9, column : column + 3] = 1
    nib.save(nib.Nifti1Image(label, np.eye(4)), path)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    for number, name in enumerate("abc"):
        _image(tmp_path / "study" / f"{name}.nii.gz", number)
    return tmp_path / "study"


@pytest.fixture
def state(tmp_path: Path) -> StudyState:
    return StudyState.open(tmp_path / "state", settings())


@pytest.fixture
def guard(state: StudyState) -> LabelGuard:
    return LabelGuard(state)


@pytest.fixture
def folder(studies: Path, guard: LabelGuard) -> StudyFolder:
    return StudyFolder(str(studies), guard, auto_reload=False)


def _replaced(state: StudyState) -> list[bytes]:
    return [path.read_bytes() for path in sorted((state.root / "replaced").glob("*"))]


def _refused(call: Callable[[], object]) -> HTTPException:
    with pytest.raises(HTTPException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("info", [{"a": "\ud800"}, {"a": float("nan")}, json.loads('{"a":' * 220 + "1" + "}" * 220)])
def test_an_info_that_cannot_be_read_back_is_refused_everywhere(
    tmp_path: Path, studies: Path, guard: LabelGuard, folder: StudyFolder, info: dict[str, Any]
) -> None:
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {"reader": "anna"})
    before = (studies / "labels" / "final" / "a.nii.gz").read_bytes()
    for call in (
        lambda: folder.save_label("a", str(_label(tmp_path / "m.nii.gz", 4)), "final", info),
        lambda: folder.update_label_info("a", "final", info),
        lambda: folder.update_image_info("a", info),
        lambda: folder.add_image("d", str(studies / "b.nii.gz"), info),
    ):
        assert _refused(call).status_code == 400
    assert (studies / "labels" / "final" / "a.nii.gz").read_bytes() == before
    again = StudyFolder(str(studies), guard, auto_reload=False)
    assert again.get_label_info("a", "final")["reader"] == "anna"
    assert again.list_images() == ["a", "b", "c"]


def test_a_file_name_that_is_no_text_and_hidden_files_are_no_images(studies: Path, guard: LabelGuard) -> None:
    (studies / os.fsdecode(b"p\xff.nii.gz")).write_bytes((studies / "a.nii.gz").read_bytes())
    (studies / "._a.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    assert StudyFolder(str(studies), guard, auto_reload=False).list_images() == ["a", "b", "c"]
    assert StudyFolder(str(studies), guard, auto_reload=False).list_images() == ["a", "b", "c"]


def test_a_damaged_list_never_costs_the_notes_of_other_labels(
    tmp_path: Path, studies: Path, guard: LabelGuard, folder: StudyFolder
) -> None:
    for image in "abc":
        folder.save_label(image, str(_label(tmp_path / "l.nii.gz")), "final", {"reader": f"of {image}"})
    folder.put_changes_into_list()
    config = studies / "datastore_v2.json"
    assert '"of b"' in config.read_text()
    config.write_text(config.read_text().replace('"of b"', r'"of b \ud800"'))
    again = StudyFolder(str(studies), guard, auto_reload=False)
    assert [again.get_label_info(image, "final")["reader"] for image in "ac"] == ["of a", "of c"]
    config.write_bytes(config.read_bytes()[: config.stat().st_size // 2])
    again = StudyFolder(str(studies), guard, auto_reload=False)
    assert [again.get_label_info(image, "final").get("reader") for image in "ac"] == ["of a", "of c"]


def test_an_image_is_replaced_only_when_asked_for_and_kept(
    tmp_path: Path, studies: Path, state: StudyState, folder: StudyFolder
) -> None:
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {})
    image, label = studies / "a.nii.gz", studies / "labels" / "final" / "a.nii.gz"
    kept = [image.read_bytes(), label.read_bytes()]
    other = _image(tmp_path / "other.nii.gz", 9)
    refused = _refused(lambda: folder.add_image("a", str(other), {}))
    assert refused.status_code == 409
    assert "overwrite" in refused.detail
    assert [image.read_bytes(), label.read_bytes()] == kept
    assert folder.add_image("a", str(other), {}, overwrite=True) == "a"
    assert image.read_bytes() == other.read_bytes()
    assert folder.get_labeled_images() == []
    assert sorted(_replaced(state)) == sorted(kept)


def test_a_removed_image_is_kept_with_its_label(
    tmp_path: Path, studies: Path, state: StudyState, folder: StudyFolder
) -> None:
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {})
    kept = [(studies / "a.nii.gz").read_bytes(), (studies / "labels" / "final" / "a.nii.gz").read_bytes()]
    folder.remove_image("a")
    folder.refresh()
    assert folder.list_images() == ["b", "c"]
    assert sorted(_replaced(state)) == sorted(kept)
    assert not (studies / "labels" / "final" / "a.nii.gz").exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: folder.remove_image("nobody"),
        lambda folder: folder.remove_label("nobody", "final"),
        lambda folder: folder.remove_label("a", "final"),
        lambda folder: folder.remove_label("a", "../../etc"),
        lambda folder: folder.update_image_info("nobody", {}),
        lambda folder: folder.update_label_info("a", "final", {}),
        lambda folder: folder.get_dataset_archive(None),
    ],
)
def test_what_does_not_exist_is_not_found(folder: StudyFolder, call: Callable[[StudyFolder], object]) -> None:
    assert _refused(lambda: call(folder)).status_code == 404


def test_labels_are_saved_while_the_study_is_packed(
    tmp_path: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save_label("a", str(_label(tmp_path / "first.nii.gz")), "final", {})
    packing, saved = threading.Event(), threading.Event()
    write = zipfile.ZipFile.write

    def slow(archive: zipfile.ZipFile, *args: Any, **more: Any) -> None:
        packing.set()
        assert saved.wait(30)
        write(archive, *args, **more)

    monkeypatch.setattr(zipfile.ZipFile, "write", slow)
    with ThreadPoolExecutor(1) as other:
        made = other.submit(folder.get_dataset_archive, None)
        assert packing.wait(30)
        assert folder.save_label("b", str(_label(tmp_path / "second.nii.gz")), "final", {}) == "b"
        saved.set()
        archive = Path(made.result())
    with zipfile.ZipFile(archive) as content:
        assert set(content.namelist()) == {"image/a.nii.gz", "label/a.nii.gz", "metadata.json"}
    archive.unlink()


def test_an_archive_that_has_no_room_leaves_nothing(
    tmp_path: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save_label("a", str(_label(tmp_path / "first.nii.gz")), "final", {})
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(zipfile.ZipFile, "write", _full)
    with pytest.raises(OSError, match="No space left"):
        folder.get_dataset_archive(None)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_upload_that_is_no_image_leaves_nothing(tmp_path: Path, studies: Path, folder: StudyFolder) -> None:
    before = sorted(path.name for path in studies.iterdir())
    (tmp_path / "x.nii.gz").write_bytes(b"no image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("x.nii.gz", "empty.png"):
        refused = _refused(lambda name=name: folder.add_image("x", str(tmp_path / name), {}))
        assert refused.status_code == 400
    assert _refused(lambda: folder.add_image("x" * 200, str(studies / "a.nii.gz"), {})).status_code == 400
    assert sorted(path.name for path in studies.iterdir()) == before


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_image_that_cannot_be_written_leaves_no_empty_file(
    studies: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path.name for path in studies.iterdir())
    monkeypatch.setattr("lib.datastores.local.shutil.copyfileobj", _full)
    refused = _refused(lambda: folder.add_image("new", str(studies / "a.nii.gz"), {}))
    assert refused.status_code == 507
    assert sorted(path.name for path in studies.iterdir()) == before
    assert folder.list_images() == ["a", "b", "c"]


def test_a_stored_label_is_acknowledged_though_its_note_cannot_be_written(
    tmp_path: Path, studies: Path, guard: LabelGuard, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(ChangeLog, "append", _full)
        assert folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {"reader": "anna"}) == "a"
        assert _refused(lambda: folder.update_label_info("a", "final", {"reader": "ben"})).status_code == 507
    assert folder.get_label_info("a", "final")["reader"] == "anna"
    folder.save_label("b", str(_label(tmp_path / "l.nii.gz")), "final", {})
    again = StudyFolder(str(studies), guard, auto_reload=False)
    assert again.get_labeled_images() == ["a", "b"]
    assert again.get_label_info("a", "final")["reader"] == "anna"


def test_a_label_that_cannot_be_kept_is_not_replaced(
    tmp_path: Path, studies: Path, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {})
    former = (studies / "labels" / "final" / "a.nii.gz").read_bytes()
    monkeypatch.setattr("lib.datastores.label_guard.shutil.copyfileobj", _full)
    for call in (
        lambda: folder.save_label("a", str(_label(tmp_path / "m.nii.gz", 4)), "final", {}),
        lambda: folder.remove_label("a", "final"),
        lambda: folder.remove_image("a"),
    ):
        assert _refused(call).status_code == 507
    assert (studies / "labels" / "final" / "a.nii.gz").read_bytes() == former
    assert (studies / "a.nii.gz").exists()


def test_a_folder_that_cannot_be_written_is_served_for_reading(
    tmp_path: Path, studies: Path, guard: LabelGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lib.datastores.kept_list.is_writable", lambda _: False)
    before = sorted(path.name for path in studies.rglob("*"))
    folder = StudyFolder(str(studies), guard, auto_reload=False)
    assert folder.read_only
    assert folder.list_images() == ["a", "b", "c"]
    assert Path(folder.get_image_uri("a")).exists()
    refused = _refused(lambda: folder.save_label("a", str(_label(tmp_path / "l.nii.gz")), "final", {}))
    assert refused.status_code == 507
    assert "read-only" in refused.detail
    assert _refused(lambda: folder.remove_image("a")).status_code == 507
    assert sorted(path.name for path in studies.rglob("*")) == before


def test_two_servers_on_one_folder_lose_no_note(tmp_path: Path, studies: Path, guard: LabelGuard) -> None:
    for number in range(12):
        _image(studies / f"i{number:02d}.nii.gz", number)
    servers = [StudyFolder(str(studies), guard, auto_reload=False) for _ in range(2)]
    label = _label(tmp_path / "l.nii.gz")
    errors: list[BaseException] = []

    def annotate(server: StudyFolder, images: list[str]) -> None:
        try:
            for image in images:
                server.save_label(image, str(label), "final", {"reader": image})
                server.update_image_info(image, {"seen": image})
        except BaseException as error:
            errors.append(error)

    images = [f"i{number:02d}" for number in range(12)]
    threads = [threading.Thread(target=annotate, args=(servers[number % 2], images[number::4])) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    again = StudyFolder(str(studies), guard, auto_reload=False)
    assert again.get_labeled_images() == images
    assert [again.get_label_info(image, "final")["reader"] for image in images] == images
    assert [again.get_image_info(image)["seen"] for image in images] == images


def test_a_label_never_lands_outside_while_the_list_is_read_again(
    tmp_path: Path, studies: Path, guard: LabelGuard, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    label, other, done = _label(tmp_path / "l.nii.gz"), StudyFolder(str(studies), guard, auto_reload=False), []

    def write() -> None:
        while not done:
            other.update_image_info("b", {"n": len(done)})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(40):
            folder.save_label("a", str(label), "final", {})
    finally:
        done.append(True)
        thread.join()
    assert list(work.rglob("*")) == []
    assert (studies / "labels" / "final" / "a.nii.gz").exists()
