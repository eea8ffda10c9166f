"""How many millimetres a pixel is, where that was read, and whether it can be believed."""

import math
from dataclasses import dataclass
from typing import Final

from lib.errors import ImageError

__all__ = [
    "MAX_SPACING_MM",
    "MIN_SPACING_MM",
    "NOT_CALIBRATED",
    "Calibration",
    "calibrate",
    "given_calibration",
    "is_credible",
]

#: Vascular probes show 2 to 6 cm of depth on 400 to 1000 rows: 0.04 to 0.1 mm a pixel; the range leaves room
#: around it.
MIN_SPACING_MM: Final = 0.005
MAX_SPACING_MM: Final = 0.5


@dataclass(frozen=True)
class Calibration:
    """Size of a pixel, and where it comes from.

    Attributes:
        spacing_mm: `(dx, dy)`, lateral and axial millimetres per pixel; `None` when the image is not
            calibrated.
        source: Where it was read (`"nifti spacing"`, `"dicom PixelSpacing"`, `"dicom ultrasound regions"`,
            `"given"`), or why there is none.
    """

    spacing_mm: tuple[float, float] | None
    source: str

    @property
    def calibrated(self) -> bool:
        """Whether lengths in this image may be given in millimetres."""
        return self.spacing_mm is not None


NOT_CALIBRATED: Final = Calibration(None, "none")


def is_credible(spacing: float) -> bool:
    """Whether an ultrasound pixel can be `spacing` millimetres wide.

    >>> is_credible(0.06), is_credible(1.0), is_credible(float("nan"))
    (True, False, False)
    """
    return math.isfinite(spacing) and MIN_SPACING_MM <= spacing <= MAX_SPACING_MM


def calibrate(dx_mm: float, dy_mm: float, source: str) -> Calibration:
    """Judge a spacing that a file carries.

    Exactly `(1, 1)` is what files without any spacing show, so it counts as none; a spacing outside
    0.005 to 0.5 mm counts as an error of the file. In both cases the image is not calibrated, and `source`
    says why.

    Args:
        dx_mm: Lateral spacing, millimetres per pixel.
        dy_mm: Axial spacing, millimetres per pixel.
        source: Where it was read.

    Returns:
        The calibration; never an error.

    >>> calibrate(0.06, 0.05, "nifti spacing")
    Calibration(spacing_mm=(0.06, 0.05), source='nifti spacing')
    >>> calibrate(1.0, 1.0, "nifti spacing").source
    'none (nifti spacing is the default of 1 mm)'
    >>> calibrate(0.06, 2.0, "nifti spacing").source
    'none (nifti spacing 0.06 x 2 mm not credible for ultrasound)'
    """
    if is_credible(dx_mm) and is_credible(dy_mm):
        return Calibration((float(dx_mm), float(dy_mm)), source)
    if math.isclose(dx_mm, 1.0, rel_tol=1e-6) and math.isclose(dy_mm, 1.0, rel_tol=1e-6):
        return Calibration(None, f"none ({source} is the default of 1 mm)")
    return Calibration(None, f"none ({source} {_spacing_text(dx_mm, dy_mm)} mm not credible for ultrasound)")


def given_calibration(spacing_mm: tuple[float, float]) -> Calibration:
    """The calibration that a user states, which overrides what the file says.

    Args:
        spacing_mm: `(dx, dy)`, millimetres per pixel.

    Raises:
        ImageError: A value is outside 0.005 to 0.5 mm; most often another unit was meant.
    """
    if len(spacing_mm) != 2 or not all(is_credible(value) for value in spacing_mm):
        raise ImageError(
            f"Expected `spacing_mm` to be (dx, dy) within {MIN_SPACING_MM} to {MAX_SPACING_MM} mm per pixel, "
            f"got {spacing_mm}. Give millimetres per pixel, not centimetres or pixels per millimetre."
        )
    return Calibration((float(spacing_mm[0]), float(spacing_mm[1])), "given")


def _spacing_text(dx_mm: float, dy_mm: float) -> str:
    return f"{dx_mm:.4g}" if math.isclose(dx_mm, dy_mm) else f"{dx_mm:.4g} x {dy_mm:.4g}"
