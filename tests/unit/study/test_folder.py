import numpy as np
import pytest

from sequal.errors import StudyError
from sequal.study.folder import StudyFiles, images_by_id
from unit.synthetic_study import write_image


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labels" / "final").mkdir(parents=True)
    for name in ("b.nii.gz", "a.png", "A.TIFF", "notes.txt", "labels/final/a.nii.gz", "labels/final/gone.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_images_labels_and_patients_are_found(folder):
    files = StudyFiles.open(folder)
    assert {image: path.name for image, path in files.images.items()} == {"A": "A.TIFF", "a": "a.png", "b": "b.nii.gz"}
    assert files.labelled == ["a"]
    assert files.unlabelled == ["A", "b"]
    (folder / "patients.csv").write_text("image,patient\na.png,p1\n")
    items = files.items(["b", "a"])
    assert [(item.id, item.patient) for item in items] == [("b", "b"), ("a", "p1")]
    assert (items[0].label, items[1].label) == (None, folder / "labels" / "final" / "a.nii.gz")


def test_of_two_files_with_one_id_the_first_counts_and_the_other_is_named(folder, caplog):
    (folder / "b.dcm").write_bytes(b"x")
    assert images_by_id(folder)["b"].name == "b.dcm"
    assert "b.nii.gz is not" in caplog.text


def test_dicom_without_a_suffix_is_an_image_only_where_it_is_wanted(tmp_path):
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "README").write_bytes(bytes(200))
    assert images_by_id(tmp_path) == {}
    assert list(images_by_id(tmp_path, dicom_without_suffix=True)) == ["IM0001"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_a_study_without_images_is_refused(tmp_path, make):
    make(tmp_path / "study")
    with pytest.raises(StudyError, match=r"Expected `.*study`"):
        StudyFiles.open(tmp_path / "study")


def test_ids_are_those_of_the_server(tmp_path):
    # The server's datastore strips the longest known suffix, whatever its case.
    write_image(tmp_path / "scan.v2.nii.gz", np.zeros((4, 4, 1)))
    (tmp_path / "mask.SEG.NRRD").write_bytes(b"x")
    assert sorted(images_by_id(tmp_path)) == ["mask", "scan.v2"]
