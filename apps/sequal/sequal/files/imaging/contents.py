"""What a reader of one file format finds in a file."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sequal.files.imaging.calibration import Calibration
from sequal.files.imaging.layout import PLAIN, Layout
from sequal.files.imaging.placement import Placement

__all__ = ["Contents"]


@dataclass(frozen=True, eq=False)
class Contents:
    """An image file before it is brought to the form of a frame.

    Attributes:
        array: As in the file, its colour turned to luma.
        place: Of that array.
        calibration: Judged.
        layout: How the frame lies in the array.
        notes: What the user should know although the image can be used.
    """

    array: NDArray[Any]
    place: Placement
    calibration: Calibration
    layout: Layout = PLAIN
    notes: tuple[str, ...] = ()
