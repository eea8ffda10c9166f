"""How many millimetres a pixel is, where that was read, and whether it can be believed."""

import math
import re
from dataclasses import dataclass, replace
from typing import Final

from sequal.errors import ImageError

__all__ = [
    "MAX_SPACING_MM",
    "MIN_SPACING_MM",
    "NOT_CALIBRATED",
    "Calibration",
    "Region",
    "calibrate",
    "calibration_note",
    "contradiction",
    "given_calibration",
    "is_credible",
    "not_calibrated",
    "noted_calibration",
    "same_scale",
]

#: Vascular probes show 2 to 6 cm of depth on 400 to 1000 rows: 0.04 to 0.1 mm a pixel; the range leaves room
#: around it.
MIN_SPACING_MM: Final = 0.005
MAX_SPACING_MM: Final = 0.5
#: Two scales that differ by no more are one: scanners round what they write.
_TOLERANCE: Final = 0.01
_NOTE: Final = "calibration: "
_NOTED_REGION: Final = re.compile(r" \[(\d+),(\d+),(\d+),(\d+)\]$")

#: Columns and rows of a part of the frame: (x0, y0, x1, y1), the last two exclusive.
Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class Calibration:
    """Size of a pixel, and where it comes from.

    Attributes:
        spacing_mm: `(dx, dy)`, lateral and axial millimetres per pixel; `None` when the image is not
            calibrated.
        source: Where it was read (`"nifti spacing"`, `"dicom PixelSpacing"`, `"dicom ultrasound regions"`,
            `"given"`), or why there is none.
        region: The part of the frame for which it holds; `None`: all of it.
    """

    spacing_mm: tuple[float, float] | None
    source: str
    region: Region | None = None

    @property
    def calibrated(self) -> bool:
        """Whether lengths in this image may be given in millimetres."""
        return self.spacing_mm is not None

    def cropped(self, part: Region) -> "Calibration":
        """The calibration of a part of the frame, counted from its corner.

        >>> Calibration((0.1, 0.1), "given", (10, 10, 50, 50)).cropped((20, 0, 60, 40)).region
        (0, 10, 30, 40)
        >>> Calibration((0.1, 0.1), "given", (10, 10, 50, 50)).cropped((10, 10, 50, 50)).region is None
        True
        """
        if self.region is None:
            return self
        (x0, y0, x1, y1), (left, top, right, bottom) = self.region, part
        x0, x1 = (min(max(x, left), right) - left for x in (x0, x1))
        y0, y1 = (min(max(y, top), bottom) - top for y in (y0, y1))
        whole = (x0, y0, x1, y1) == (0, 0, right - left, bottom - top)
        return replace(self, region=None if whole else (x0, y0, x1, y1))


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
    Calibration(spacing_mm=(0.06, 0.05), source='nifti spacing', region=None)
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


def not_calibrated(reason: str) -> Calibration:
    """No calibration, and why.

    >>> not_calibrated("two scales").source
    'none (two scales)'
    """
    return Calibration(None, f"none ({reason})")


def same_scale(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two spacings are equal but for rounding.

    >>> same_scale((0.1, 0.1), (0.1005, 0.1)), same_scale((0.1, 0.1), (0.1, 0.05))
    (True, False)
    """
    return all(math.isclose(a, b, rel_tol=_TOLERANCE) for a, b in zip(one, other, strict=True))


def contradiction(
    one: str, one_mm: tuple[float, float], other: str, other_mm: tuple[float, float]
) -> Calibration | None:
    """No calibration where a file states two different spacings; `None` where they agree.

    >>> contradiction("pixdim", (0.1, 0.1), "sform", (0.05, 0.05)).source
    'none (pixdim 0.1 mm and sform 0.05 mm contradict each other)'
    """
    if same_scale(one_mm, other_mm):
        return None
    return not_calibrated(
        f"{one} {_spacing_text(*one_mm)} mm and {other} {_spacing_text(*other_mm)} mm contradict each other"
    )


def calibration_note(calibration: Calibration) -> str:
    """What `noted_calibration` reads back from a file that cannot hold a calibration otherwise.

    >>> calibration_note(Calibration((0.1, 0.1), "dicom ultrasound regions", (10, 10, 317, 251)))
    'calibration: dicom ultrasound regions [10,10,317,251]'
    """
    within = "" if calibration.region is None else " [{},{},{},{}]".format(*calibration.region)
    return f"{_NOTE}{calibration.source}{within}"


def noted_calibration(note: str, found: Calibration) -> Calibration:
    """A calibration with the reason or the region that was noted in its file.

    Args:
        note: As `calibration_note` gives it, or any other text.
        found: What the file's spacing says.

    >>> noted_calibration("calibration: none (two scales)", Calibration(None, "none (1 mm)")).source
    'none (two scales)'
    """
    if not note.startswith(_NOTE):
        return found
    if not found.calibrated:
        source = note.removeprefix(_NOTE)
        return replace(found, source=source) if source.startswith("none") else found
    within = _NOTED_REGION.search(note)
    if within is None:
        return found
    x0, y0, x1, y1 = (int(value) for value in within.groups())
    return replace(found, region=(x0, y0, x1, y1))


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
