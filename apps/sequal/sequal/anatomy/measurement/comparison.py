"""Two labels of one image beside each other: overlap, size, and where the boundaries lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement.boundaries import boundaries_from_mask
from sequal.anatomy.measurement.imt import measure_imt
from sequal.anatomy.measurement.label_dice import label_dice
from sequal.files.imaging.calibration import Calibration
from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["Compared", "compare_layers", "compare_volumes"]


@dataclass(frozen=True)
class Compared:
    """One structure in two labels of one image, where both annotate it.

    Attributes:
        label: name of the structure.
        dice: 0..1; 1 where neither shows it, 0 where only one does.
        first: thickness of a layer, volume of another structure; None where there is nothing to measure in both.
        second: the same of the second label.
        unit: of these; a layer without calibration is measured in pixels.
        li: by how much the first has LI deeper than the second, median over the columns, in `unit`; None where it is no
            layer or has no column in common.
        ma: the same of MA.
    """

    label: str
    dice: float
    first: float | None
    second: float | None
    unit: Literal["mm", "px", "ml"]
    li: float | None = None
    ma: float | None = None


def compare_layers(
    first: NDArray[np.uint8], second: NDArray[np.uint8], calibration: Calibration, name: str
) -> Compared:
    """Compare a layer in two labels of a frame or a clip.

    Thickness and boundaries are those of the columns in which both have the layer: two readers who traced different
    lengths of a wall that grows thicker do not differ by that.

    Args:
        first: uint8 (W, H, F) in {0, 1, 255}.
        second: the same.
        calibration: of the image.
        name: of the layer.
    """
    one, other = _where_both(first, second)
    sizes: list[tuple[float, float]] = []
    moved: list[NDArray[np.float64]] = []
    unit: Literal["mm", "px"] = "mm" if calibration.calibrated else "px"
    for f in range(one.shape[2]):
        pair = [boundaries_from_mask(label[:, :, f]) for label in (one, other)]
        both = pair[0].measured & pair[1].measured
        measured = [measure_imt(boundaries.within(both), calibration) for boundaries in pair]
        means = [imt.mean for imt in measured]
        if means[0] is None or means[1] is None:
            continue
        unit = measured[0].unit
        sizes.append((means[0], means[1]))
        moved.append(np.stack([(pair[0].li - pair[1].li)[both], (pair[0].ma - pair[1].ma)[both]]))
    dice = label_dice(one, other)
    if not sizes:
        return Compared(name, dice, None, None, unit)
    scale = calibration.spacing_mm[1] if calibration.spacing_mm is not None and unit == "mm" else 1.0
    li, ma = scale * np.median(np.concatenate(moved, axis=1), axis=1)
    thick, other_thick = np.mean(sizes, axis=0)
    return Compared(name, dice, float(thick), float(other_thick), unit, float(li), float(ma))


def compare_volumes(
    first: NDArray[np.uint8], second: NDArray[np.uint8], voxel_ml: float, labels: Mapping[str, int]
) -> tuple[Compared, ...]:
    """Compare each structure in two labels of a volume.

    Args:
        first: uint8 of any shape, classes and 255.
        second: the same.
        voxel_ml: millilitres of a voxel.
        labels: number of each structure by its name.
    """
    one, other = _where_both(first, second)
    found = []
    for name, number in labels.items():
        pair = [np.where(label == IGNORE, IGNORE, (label == number).astype(np.uint8)) for label in (one, other)]
        sizes = [voxel_ml * int(np.count_nonzero(label == INTIMA_MEDIA)) for label in pair]
        found.append(Compared(name, label_dice(pair[0], pair[1]), sizes[0], sizes[1], "ml"))
    return tuple(found)


def _where_both(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both labels, with 255 wherever one of them does not annotate."""
    unknown = (first == IGNORE) | (second == IGNORE)
    return np.where(unknown, np.uint8(IGNORE), first), np.where(unknown, np.uint8(IGNORE), second)
