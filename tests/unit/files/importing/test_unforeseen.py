"""No file ends an import, whatever it makes a library raise."""

import json

import nibabel as nib
import numpy as np
import pytest

from sequal.files.imaging import read_frame
from sequal.files.importing import ImportOptions, run_import
from unit.files.importing.sources import layer_mask, pixels, region, write_cubs, write_dicom, write_picture


def imported(source, tmp_path, **options):
    return run_import(source, tmp_path / "studies", ImportOptions(**options))


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError, np.linalg.LinAlgError, RecursionError])
@pytest.mark.parametrize(
    "where",
    [
        "sequal.files.importing.sources.picture_candidate",
        "sequal.files.importing.pictures.read_frame",
        "sequal.files.importing.masks.read_mask",
    ],
)
def test_one_file_is_named_and_the_rest_comes_in(tmp_path, monkeypatch, error, where):
    source = tmp_path / "source"
    for name in ("a", "b", "c"):
        write_picture(source / f"{name}.png", pixels(ord(name)))
        write_picture(source / "masks" / f"{name}.png", layer_mask())
    module, _, function = where.rpartition(".")
    original = getattr(__import__(module, fromlist=[function]), function)

    def fails(*arguments, **more):
        if any("b.png" in str(argument) for argument in arguments):
            raise error("of its own kind")
        return original(*arguments, **more)

    monkeypatch.setattr(where, fails)
    report = imported(source, tmp_path)
    named = [problem.reason for problem in report.problems if problem.name in ("b.png", "masks/b.png")]
    assert any(error.__name__ in reason for reason in named)
    assert {image.image for image in report.imported} >= {"a", "c"}


def test_headers_that_no_reader_foresaw_are_named(tmp_path):
    source = tmp_path / "source"
    write_picture(source / "good.png", pixels())
    singular = nib.Nifti1Image(pixels().T[:, :, None], None)
    singular.header.set_sform(np.diag([0.1, 0.1, 0.0, 1.0]), 1)
    nib.save(singular, source / "singular.nii.gz")
    write_dicom(source / "scale.dcm", pixels(1), [region(delta_cm=(float("nan"), 0.01))])
    (source / "good.json").write_text(json.dumps({"spacing_mm": 0.06}))
    report = imported(source, tmp_path)
    assert [problem.name for problem in report.problems] == ["singular.nii.gz"]
    assert sorted(image.calibration.calibrated for image in report.imported) == [False, True]


def test_a_profile_of_cubs_that_no_reader_foresaw_leaves_the_others(tmp_path, monkeypatch):
    write_cubs(tmp_path / "source")

    def fails(*_):
        raise ArithmeticError("unforeseen")

    monkeypatch.setattr("sequal.files.importing.cubs.mask_between", fails)
    report = imported(tmp_path / "source", tmp_path)
    assert len(report.imported) == 3
    assert len(report.problems) == 3
    assert all("ArithmeticError: unforeseen" in problem.reason for problem in report.problems)


def test_regions_that_an_import_leaves_out_are_named(tmp_path):
    stored = pixels(width=120)
    left, right = region((2, 2, 50, 37)), region((55, 2, 115, 37), delta_cm=(0.003, 0.003))
    write_dicom(tmp_path / "source" / "dual.dcm", stored, [left, right])
    report = imported(tmp_path / "source", tmp_path)
    (image,) = report.imported
    assert image.grid == (61, 36, 1)
    assert image.calibration.spacing_mm == pytest.approx((0.03, 0.03))
    (note,) = report.notes
    assert "61 x 36 pixels at column 55, row 2 is kept; left out: 49 x 36 pixels at column 2, row 2" in note.reason


def test_what_was_mended_while_reading_is_said(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    sheared = np.diag([-0.1, -0.1, 1.0, 1.0])
    sheared[0, 1] = 2e-5
    image = nib.Nifti1Image(pixels().T[:, :, None], None)
    image.header.set_sform(sheared, 2)
    nib.save(image, source / "shear.nii.gz")
    report = imported(source, tmp_path)
    assert [image.image for image in report.imported] == ["shear"]
    assert "straightened" in report.notes[0].reason


def test_what_contradicts_itself_does_not_come_back_calibrated(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    image = nib.Nifti1Image(pixels().T[:, :, None], None)
    image.header.set_qform(np.diag([0.1, 0.1, 1.0, 1.0]), 1)
    image.header.set_sform(np.diag([0.05, 0.05, 1.0, 1.0]), 1)
    nib.save(image, source / "two.nii.gz")
    imported(source, tmp_path)
    found = read_frame(tmp_path / "studies" / "two.nii.gz").calibration
    assert found.spacing_mm is None
    assert "pixdim 0.1 mm and sform 0.05 mm contradict" in found.source
