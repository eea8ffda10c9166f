from pathlib import Path

import pytest

from sequal.files.imaging import file_kind, image_stem, image_suffix


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("p01_left.nii.gz", "p01_left", ".nii.gz"),
        ("p01.v2.nii", "p01.v2", ".nii"),
        ("p01.seg.nrrd", "p01", ".seg.nrrd"),
        ("p01.nrrd", "p01", ".nrrd"),
        ("P01.NII.GZ", "P01", ".nii.gz"),
        ("1.2.840.113619", "1.2.840.113619", ""),
        ("notes.gz", "notes.gz", ""),
    ],
)
def test_stem_and_suffix(name: str, stem: str, suffix: str) -> None:
    assert image_stem(f"folder.nii.gz/{name}") == stem
    assert image_suffix(f"folder.nii.gz/{name}") == suffix


def test_dicom_is_known_by_its_mark(tmp_path: Path) -> None:
    marked, other = tmp_path / "IM0001", tmp_path / "IM0002"
    marked.write_bytes(bytes(128) + b"DICM")
    other.write_bytes(b"short")
    assert file_kind(marked) == "dicom"
    assert file_kind(other) is None
