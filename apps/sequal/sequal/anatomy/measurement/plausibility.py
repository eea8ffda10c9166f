"""Whether a label can be one: what no expert draws is refused, what he may not have meant is said."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sequal.anatomy.measurement.boundaries import boundaries_from_mask
from sequal.errors import LabelError
from sequal.files.imaging.calibration import NOT_CALIBRATED, Calibration
from sequal.labels import INTIMA_MEDIA

__all__ = ["label_warnings"]

#: More segments than a person draws; a grey picture has hundreds of values, a mask that was a JPEG dozens.
_MOST_STRAYS: Final = 16
#: A wall is a thin line: it never fills more of the height of the picture in the columns that show it.
_LARGEST_SHARE: Final = 0.5
#: The thickest plaques reach this.
_THICKEST_MM: Final = 4.0
#: A traced wall is one piece or a few.
_MOST_PIECES: Final = 20
#: A stroke by mistake shows in fewer columns.
_FEWEST_COLUMNS: Final = 3
#: Share of the drawn columns that has to be measurable, lest the thickness be that of a corner.
_MEASURED_SHARE: Final = 0.5
_EIGHT_NEIGHBOURS: Final = np.ones((3, 3), dtype=bool)


def label_warnings(
    label: NDArray[np.uint8], calibration: Calibration = NOT_CALIBRATED, dropped: Mapping[int, int] | None = None
) -> tuple[str, ...]:
    """Look at a cleaned label as a clinician would.

    Args:
        label: Uint8 `(W, H, F)` in {0, 1, 255}.
        calibration: Of its image.
        dropped: Pixels by class that `clean_label` dropped from it.

    Returns:
        What the annotator should know, a sentence each; nothing about a label without a layer.

    Raises:
        LabelError: it has more values than a person draws segments, or the layer fills more than half the height of the
            picture where it is: a grey picture, an inverted or filled mask, columns and rows exchanged.

    >>> label = np.zeros((40, 60, 1), np.uint8)
    >>> label[:, 20:26] = 1
    >>> label_warnings(label)
    ()
    >>> label[:, 40:46] = 1
    >>> label_warnings(label)
    ('40 of 40 columns show the layer more than once. Only its longest piece is measured; erase the other wall.',)
    """
    if len(dropped or ()) > _MOST_STRAYS:
        raise LabelError(
            f"Expected a label to hold 0, 1 and 255, got {len(dropped or ())} other values. It looks like a grey "
            "picture, or a mask that was saved as JPEG. Save the mask itself, without loss."
        )
    warnings: dict[str, None] = {}
    if dropped:
        values = ", ".join(str(value) for value in sorted(dropped))
        warnings[
            f"{sum(dropped.values())} pixels of other values ({values}) were left out: {INTIMA_MEDIA} is the layer."
        ] = None
    for index in range(label.shape[2]):
        frame = label[:, :, index]
        place = f"Frame {index + 1}: " if label.shape[2] > 1 else ""
        for warning in _frame_warnings(frame, calibration) if (frame == INTIMA_MEDIA).any() else ():
            warnings[place + warning] = None
    return tuple(warnings)


def _frame_warnings(frame: NDArray[np.uint8], calibration: Calibration) -> list[str]:
    layer = frame == INTIMA_MEDIA
    columns = int(layer.any(axis=1).sum())
    thickness = layer.sum() / columns
    if thickness > _LARGEST_SHARE * frame.shape[1]:
        raise LabelError(
            f"Expected the layer to be a thin line, got {thickness:.0f} of {frame.shape[1]} rows in the {columns} "
            "columns that show it. Layer and background may be exchanged, or columns and rows. Draw the layer alone."
        )
    warnings = []
    boundaries = boundaries_from_mask(frame)
    measured = int(boundaries.measured.sum())
    if columns < _FEWEST_COLUMNS:
        warnings.append(f"Only {columns} of {frame.shape[0]} columns show the layer. Check whether you meant this.")
    elif measured < _MEASURED_SHARE * columns:
        warnings.append(
            f"Only {measured} of the {columns} columns that show the layer can be measured: in the others it touches "
            "the edge of the picture or what is not annotated, or lies beside the longest piece."
        )
    if boundaries.several_pieces:
        warnings.append(
            f"{boundaries.crowded} of {columns} columns show the layer more than once. Only its longest piece is "
            "measured; erase the other wall."
        )
    pieces = ndimage.label(layer, structure=_EIGHT_NEIGHBOURS)[1]
    if pieces > _MOST_PIECES:
        warnings.append(f"The layer is drawn in {pieces} pieces that do not touch. Check whether all of them are wall.")
    if calibration.spacing_mm is not None and thickness * calibration.spacing_mm[1] > _THICKEST_MM:
        mean_mm = thickness * calibration.spacing_mm[1]
        warnings.append(
            f"The layer is {mean_mm:.1f} mm thick on average, more than any wall. Look at the label, and at the "
            "calibration of the image."
        )
    return warnings
