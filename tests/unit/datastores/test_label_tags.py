"""Labels of every tag are checked alike."""

import os
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from fastapi import HTTPException

from lib.datastores import LabelGuard, StudyFolder
from lib.infers import check_storable, image_file
from sequal.files.importing.walking import walk_files
from sequal.study.state import StudyState
from unit.synthetic_study import settings

SHAPE = (12, 9, 1)


def _save(path: Path, array: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    study = tmp_path / "study"
    study.mkdir()
    _save(study / "a.nii.gz", np.arange(108, dtype=np.uint8).reshape(SHAPE))
    return StudyFolder(str(study), LabelGuard(StudyState.open(tmp_path / "state", settings())), auto_reload=False)


@pytest.fixture
def label(tmp_path: Path) -> Path:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:9, 3:6] = 1
    return _save(tmp_path / "label.nii.gz", mask)


@pytest.mark.parametrize("tag", ["final", "original", "reader-2"])
@pytest.mark.parametrize("name", ["x.html", "x.py", "x.svg", "x.so", "x", "x.pth", "x.mhd", "x.hdr", "x.zip", "x.json"])
def test_what_is_no_label_is_stored_under_no_tag(folder: StudyFolder, label: Path, tag: str, name: str) -> None:
    sent = label.with_name(name)
    sent.write_bytes(label.read_bytes())

    with pytest.raises(HTTPException) as refused:
        folder.save_label("a", str(sent), tag, {})

    assert refused.value.status_code == 400
    assert list((Path(folder._datastore_path) / "labels").rglob("*.*")) == []


@pytest.mark.parametrize("tag", ["final", "original", "reader-2"])
@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"\x1f\x8b", b"NRRD0004\ndata file: /etc/passwd\n\n"]
)
def test_a_known_suffix_does_not_make_a_label(folder: StudyFolder, tmp_path: Path, tag: str, content: bytes) -> None:
    for name in ("x.nii.gz", "x.nrrd", "x.png"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HTTPException) as refused:
            folder.save_label("a", str(tmp_path / name), tag, {})
        assert refused.value.status_code == 400
    assert list((Path(folder._datastore_path) / "labels").rglob("*.*")) == []


@pytest.mark.parametrize("tag", ["original", "reader-2"])
def test_a_label_of_another_grid_belongs_to_no_tag(folder: StudyFolder, tmp_path: Path, tag: str) -> None:
    with pytest.raises(HTTPException, match="the size of its frame"):
        folder.save_label("a", str(_save(tmp_path / "other.nii.gz", np.ones((3, 3, 1), np.uint8))), tag, {})


def test_a_label_of_any_format_is_stored_on_the_grid_of_its_image(folder: StudyFolder, label: Path) -> None:
    mask = np.asarray(nib.load(label).dataobj)
    nrrd.write(str(label.with_name("x.nrrd")), mask)
    folder.save_label("a", str(label.with_name("x.nrrd")), "reader-2", {})

    stored = Path(folder.get_label_uri("a", "reader-2"))
    assert stored.name == "a.nii.gz"
    np.testing.assert_array_equal(np.asarray(nib.load(stored).dataobj), mask)


def test_a_model_that_sees_nothing_may_say_so(folder: StudyFolder, tmp_path: Path) -> None:
    folder.save_label("a", str(_save(tmp_path / "none.nii.gz", np.zeros(SHAPE, np.uint8))), "original", {"model": "x"})
    assert folder.get_label_uri("a", "original")


def test_a_models_mask_never_takes_the_place_of_an_experts_label(folder: StudyFolder, label: Path) -> None:
    folder.save_label("a", str(label), "reader-2", {})
    folder.save_label("a", str(label), "model-2", {"model": "carotid"})

    for tag in ("final", "reader-2"):
        with pytest.raises(HTTPException, match="without an expert's label") as refused:
            check_storable(folder, "a", tag)
        assert refused.value.status_code == 400
    for tag in ("original", "model-2", "new"):
        check_storable(folder, "a", tag)
    folder.save_label("a", str(label), "original", {"reader": "anna"})
    with pytest.raises(HTTPException, match=r"got 'original'\. Name another one"):
        check_storable(folder, "a", "original")


@pytest.mark.parametrize("tag", ["final", "original", "reader-2"])
def test_what_an_expert_drew_is_kept_under_every_tag_and_what_a_model_drew_is_not(
    folder: StudyFolder, label: Path, tag: str
) -> None:
    replaced = Path(folder._datastore_path).parent / "state" / "replaced"
    folder.save_label("a", str(label), tag, {"reader": "anna"})
    first = Path(folder.get_label_uri("a", tag)).read_bytes()
    other = np.asarray(nib.load(label).dataobj).copy()
    other[2:9, 3] = 0
    folder.save_label("a", str(_save(label.with_name("other.nii.gz"), other)), tag, {"reader": "ben"})
    assert [path.read_bytes() for path in replaced.iterdir()] == [first]
    folder.remove_label("a", tag)
    assert len(list(replaced.iterdir())) == 2
    if tag != "final":
        for _ in range(2):
            folder.save_label("a", str(label), tag, {"model": "carotid"})
        assert len(list(replaced.iterdir())) == 2


@pytest.mark.parametrize("there", [True, False])
def test_a_path_is_the_id_of_no_image_whether_there_is_a_file_or_not(
    folder: StudyFolder, label: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.chdir(label.parent)
    answers = set()
    for name in (label.name, str(label), f"../{label.parent.name}/{label.name}", "study/a.nii.gz", "."):
        with pytest.raises(HTTPException) as refused:
            image_file({"image": name if there else f"{name}-not-there"}, folder)
        answers.add((refused.value.status_code, str(refused.value.detail).split("got")[0]))
    assert answers == {(404, "Expected `image` to be one that this study has, ")}


def test_an_image_of_the_study_comes_before_a_file_of_its_name_in_the_working_folder(
    folder: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"another image")
    monkeypatch.chdir(tmp_path)

    assert image_file({"image": "a"}, folder) == str(tmp_path / "study" / "a.nii.gz")
    assert image_file({"sent_file": "/tmp/sent.png", "image": "a"}, folder) == "/tmp/sent.png"


@pytest.mark.parametrize("image", [None, "", 7, ["a"], {"a": 1}])
def test_no_image_is_not_found(folder: StudyFolder, image: object) -> None:
    with pytest.raises(HTTPException) as refused:
        image_file({"image": image}, folder)
    assert refused.value.status_code == 404


@pytest.mark.parametrize("kind", ["pipe", "device", "link out", "link to a link out", "label link"])
def test_what_is_no_file_of_the_study_is_not_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    study = tmp_path / "study"
    (study / "labels" / "final").mkdir(parents=True)
    _save(study / "a.nii.gz", np.ones(SHAPE, np.uint8))
    outside = _save(tmp_path / "outside.nii.gz", np.ones(SHAPE, np.uint8))
    (study / "inside.nii.gz").symlink_to("a.nii.gz")
    if kind == "pipe":
        os.mkfifo(study / "x.nii.gz")
    elif kind == "device":
        (study / "x.nii.gz").symlink_to("/dev/zero")
    elif kind == "link to a link out":
        (tmp_path / "hop").symlink_to(outside)
        (study / "x.nii.gz").symlink_to(tmp_path / "hop")
    else:
        (study / ("labels/final/a.nii.gz" if kind == "label link" else "x.nii.gz")).symlink_to(outside)

    state = StudyState.open(tmp_path / "state", settings())
    folder = StudyFolder(str(study), LabelGuard(state), auto_reload=False)

    assert folder.list_images() == ["a", "inside"]
    assert folder.get_labeled_images() == []
    assert not folder.get_image_uri("x")
    assert ("leads out of it" in caplog.text) == ("link" in kind)


def test_an_import_waits_for_no_pipe(tmp_path: Path) -> None:
    _save(tmp_path / "a.nii.gz", np.ones(SHAPE, np.uint8))
    for name in ("pipe", "pipe.nii.gz"):
        os.mkfifo(tmp_path / name)
    assert [path.name for path in walk_files(tmp_path)] == ["a.nii.gz"]
