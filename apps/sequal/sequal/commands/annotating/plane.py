"""What of an image a picture shows: the first frame, or the slice of a volume with most of what is segmented."""

from dataclasses import dataclass
from typing import Self, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.model import Model
from sequal.files.imaging import Calibration, Frame
from sequal.labels import BACKGROUND, IGNORE

__all__ = ["Plane"]

_Value = TypeVar("_Value", np.float32, np.uint8)
#: Rows of a picture run from front to back, columns from the patient's right to the left, as radiologists look at it.
_SEEN = "LPS"


@dataclass(frozen=True)
class Plane:
    """One plane of an image.

    Attributes:
        turn: orientations as nibabel writes them, that bring the array to how it is looked at; None: of a frame.
        index: of the slice.
        calibration: proportion of its pixels.
    """

    turn: NDArray[np.float64] | None
    index: int
    calibration: Calibration

    @classmethod
    def of(cls, model: Model, frame: Frame, mask: NDArray[np.uint8]) -> Self:
        """The plane of an image with its true mask, uint8 of the same grid."""
        if model.spatial_dims == 2:
            return cls(None, 0, frame.calibration)
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(frame.affine), nib.orientations.axcodes2ornt(_SEEN)
        )
        shown = nib.orientations.apply_orientation((mask != BACKGROUND) & (mask != IGNORE), turn)
        sizes = np.empty(3)
        sizes[turn[:, 0].astype(int)] = np.linalg.norm(frame.affine[:3, :3], axis=0)
        return cls(turn, int(shown.sum(axis=(0, 1)).argmax()), Calibration((sizes[0], sizes[1]), "nifti spacing"))

    def cut(self, array: NDArray[_Value]) -> NDArray[_Value]:
        """The plane (W, H) of an array of the image's grid."""
        if self.turn is None:
            return array[:, :, self.index]
        turned: NDArray[_Value] = nib.orientations.apply_orientation(array, self.turn)
        return turned[:, :, self.index]
