import csv

import nibabel as nib
import numpy as np
import pytest

from sequal.errors import StudyError
from sequal.experiments.volume_folder import make_volumes

SMALL = (16, 16, 12)


def _names(folder):
    return sorted(path.name for path in folder.glob("*.nii.gz"))


def test_a_study_with_labels_and_truth(tmp_path):
    seen = []
    make_volumes(tmp_path, count=7, labelled=3, shape=SMALL, progress=lambda *done: seen.append(done))
    names = _names(tmp_path)
    assert names == [f"p{patient:02d}_v{number}.nii.gz" for patient in (1, 2, 3, 4) for number in (1, 2)][:7]
    assert _names(tmp_path / "truth") == names
    assert seen == [(done, 7) for done in range(1, 8)]
    labels = _names(tmp_path / "labels" / "final")
    assert len(labels) == 3
    assert all(name.endswith("_v1.nii.gz") for name in labels)
    for name in labels:
        label, truth = (nib.load(tmp_path / place / name) for place in ("labels/final", "truth"))
        assert np.array_equal(label.dataobj, truth.dataobj)
        assert np.asarray(label.dataobj).any()
    for name in names:
        image, truth = (nib.load(place / name) for place in (tmp_path, tmp_path / "truth"))
        assert image.shape == truth.shape == SMALL
        assert image.header.get_xyzt_units()[0] == "mm"
        assert np.array_equal(image.affine, truth.affine)
        assert (image.get_data_dtype(), truth.get_data_dtype()) == (np.int16, np.uint8)
    with (tmp_path / "patients.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"image": name[:6], "patient": name[:3]} for name in sorted(n[:-7] for n in names)]


def test_each_patient_is_seen_by_both_scanners(tmp_path):
    make_volumes(tmp_path, count=24, shape=SMALL)
    axes = {name: nib.aff2axcodes(nib.load(tmp_path / name).affine) for name in _names(tmp_path)}
    firsts = [axes[f"p{patient:02d}_v1.nii.gz"] for patient in range(1, 13)]
    assert all(
        {axes[f"p{patient:02d}_v{number}.nii.gz"] for number in (1, 2)} == set(firsts) for patient in range(1, 13)
    )
    assert set(firsts) == {("L", "P", "S"), ("P", "I", "R")}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        make_volumes(tmp_path / name, seed=seed, count=4, labelled=1, part="abdomen", shape=SMALL)
    files = [
        sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*") if p.is_file()) for name in "ab"
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 10
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files[0])
    assert (tmp_path / "a" / "p01_v1.nii.gz").read_bytes() != (tmp_path / "c" / "p01_v1.nii.gz").read_bytes()


def test_a_study_is_not_written_over(tmp_path):
    (tmp_path / "patients.csv").write_text("image,patient\n")
    with pytest.raises(StudyError, match="to hold no study"):
        make_volumes(tmp_path, count=2, shape=SMALL)
    assert _names(tmp_path) == []


def test_more_labels_than_patients(tmp_path):
    with pytest.raises(StudyError, match="at most 2 labels, one a patient, got 3"):
        make_volumes(tmp_path, count=3, labelled=3, shape=SMALL)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="to be writable"):
        make_volumes(tmp_path / "file" / "study", count=2, shape=SMALL)
