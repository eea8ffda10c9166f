import nibabel as nib
import numpy as np
import pytest

from sequal.errors import ImageError
from sequal.files.imaging import Calibration, calibrate, given_calibration
from sequal.files.imaging.dicom_calibration import dicom_calibration
from sequal.files.imaging.nifti import nifti_calibration


@pytest.mark.parametrize("spacing", [(0.06, 0.06), (0.12, 0.04), (0.005, 0.5)])
def test_credible_spacing_calibrates(spacing: tuple[float, float]) -> None:
    found = calibrate(*spacing, "nifti spacing")
    assert found == Calibration(spacing, "nifti spacing")
    assert found.calibrated


@pytest.mark.parametrize(
    ("spacing", "words"),
    [
        ((1.0, 1.0), "default of 1 mm"),
        ((2.0, 2.0), "nifti spacing 2 mm not credible for ultrasound"),
        ((0.06, 2.0), "0.06 x 2 mm not credible"),
        ((0.004, 0.06), "0.004 x 0.06 mm not credible"),
        ((0.0, 0.0), "not credible"),
        ((float("nan"), 0.06), "not credible"),
        ((float("inf"), 0.06), "not credible"),
    ],
)
def test_incredible_spacing_does_not_and_says_why(spacing: tuple[float, float], words: str) -> None:
    found = calibrate(*spacing, "nifti spacing")
    assert not found.calibrated
    assert words in found.source


def test_given_spacing_is_taken_or_refused() -> None:
    assert given_calibration((0.05, 0.06)) == Calibration((0.05, 0.06), "given")
    for wrong in [(1.0, 1.0), (0.0, 0.1), (0.06, float("nan"))]:
        with pytest.raises(ImageError, match="millimetres per pixel"):
            given_calibration(wrong)


@pytest.mark.parametrize(
    ("unit", "size", "expected"),
    [
        ("mm", 0.06, 0.06),
        ("unknown", 0.06, 0.06),
        ("meter", 6e-5, 0.06),
        ("micron", 60.0, 0.06),
        ("micron", 0.06, None),
    ],
)
def test_nifti_units_are_converted(unit: str, size: float, expected: float | None) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 1), np.uint8), np.diag([size, size, size, 1.0]))
    image.header.set_xyzt_units(unit)
    found = nifti_calibration(image.affine, image.header)
    assert (found.spacing_mm[0] if found.spacing_mm else None) == (
        None if expected is None else pytest.approx(expected, rel=1e-5)
    )


def test_an_affine_that_contradicts_pixdim_calibrates_nothing() -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 1), np.uint8), np.diag([0.06, 0.05, 1.0, 1.0]))
    image.header["pixdim"][1:3] = 0.3
    found = nifti_calibration(image.affine, image.header)
    assert found == Calibration(None, "none (nifti pixdim 0.3 mm and sform 0.06 x 0.05 mm contradict each other)")


class _Dataset(dict[str, object]):
    """The one method of a pydicom dataset that calibration uses."""


def _region(width: int, height: int, dx_cm: float, dy_cm: float, **changes: object) -> _Dataset:
    values: dict[str, object] = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": dx_cm,
        "PhysicalDeltaY": dy_cm,
        "RegionLocationMinX0": 10,
        "RegionLocationMinY0": 20,
        "RegionLocationMaxX1": 9 + width,
        "RegionLocationMaxY1": 19 + height,
    }
    return _Dataset({**values, **changes})


def test_ultrasound_region_is_in_centimetres() -> None:
    found = dicom_calibration(_Dataset(SequenceOfUltrasoundRegions=[_region(300, 400, 0.006, -0.005)]))
    assert found.source == "dicom ultrasound regions"
    assert found.spacing_mm == pytest.approx((0.06, 0.05))


def test_pixel_spacing_is_rows_then_columns() -> None:
    found = dicom_calibration(_Dataset(PixelSpacing=[0.05, 0.08]))
    assert found == Calibration((0.08, 0.05), "dicom PixelSpacing")


def test_pixel_spacing_of_the_functional_groups_counts() -> None:
    group = _Dataset(PixelMeasuresSequence=[_Dataset(PixelSpacing=[0.05, 0.08])])
    assert dicom_calibration(_Dataset(SharedFunctionalGroupsSequence=[group])).spacing_mm == (0.08, 0.05)


def test_dicom_without_a_scale_is_not_calibrated() -> None:
    assert dicom_calibration(_Dataset()) == Calibration(None, "none")
