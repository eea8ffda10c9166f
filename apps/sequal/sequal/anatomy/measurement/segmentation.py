"""Overlap and surface distance of two masks, pixels without annotation left out."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from numpy.typing import NDArray

from sequal.errors import MeasurementError
from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["SegmentationScores", "score_masks", "score_segmentation"]

_PERCENTILE: Final = 95


@dataclass(frozen=True)
class SegmentationScores:
    """How well a mask agrees with its reference.

    Attributes:
        dice: 2 TP / (2 TP + FP + FN); 1 is best.
        iou: TP / (TP + FP + FN); 1 is best.
        hd95: 95th percentile of the distances between the borders, the larger of both directions; 0 is best.
        asd: Mean distance between the borders, both directions pooled; 0 is best.
        unit: `"mm"` or `"px"`, of the distances.
    """

    dice: float
    iou: float
    hd95: float
    asd: float
    unit: str


def score_segmentation(
    prediction: NDArray[Any], reference: NDArray[Any], spacing_mm: tuple[float, float] | None = None
) -> SegmentationScores:
    """Compare the intima-media class of two labels.

    Pixels that the reference does not annotate (255) count for nothing: they become background in both, so
    the borders that this cuts coincide. Distances are MONAI's.

    Args:
        prediction: `(W, H)` label.
        reference: `(W, H)` label.
        spacing_mm: `(dx, dy)`; without it distances are in pixels.

    Returns:
        The scores. Both empty: Dice and IoU 1, distances 0. One empty: Dice and IoU 0, distances infinite;
        leave those out of a mean and count them.

    Raises:
        MeasurementError: The arrays differ in shape or are not two-dimensional.

    >>> found = score_segmentation(np.array([[0, 1, 1, 0]]), np.array([[0, 0, 1, 255]]))
    >>> round(found.dice, 3), found.iou, round(found.hd95, 3), round(found.asd, 3), found.unit
    (0.667, 0.5, 0.95, 0.333, 'px')
    """
    if prediction.shape != reference.shape or prediction.ndim != 2:
        raise MeasurementError(
            f"Expected both labels to be (W, H) on one grid, got {prediction.shape} and {reference.shape}. "
            "Bring them onto the grid of the image, frame by frame."
        )
    annotated = reference != IGNORE
    ours, theirs = (prediction == INTIMA_MEDIA) & annotated, reference == INTIMA_MEDIA
    return score_masks(ours, theirs, spacing_mm)


def score_masks(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], spacing_mm: tuple[float, ...] | None = None
) -> SegmentationScores:
    """Compare two masks of one structure.

    Args:
        ours: bool (W, H) or (X, Y, Z).
        theirs: bool of that shape, the reference.
        spacing_mm: size of a pixel or voxel; without it distances are in pixels.

    Returns:
        As `score_segmentation`.
    """
    both, either = int((ours & theirs).sum()), int((ours | theirs).sum())
    hd95, asd = _surface_distances(ours, theirs, spacing_mm or (1.0,) * ours.ndim)
    return SegmentationScores(
        dice=2.0 * both / (both + either) if either else 1.0,
        iou=both / either if either else 1.0,
        hd95=hd95,
        asd=asd,
        unit="px" if spacing_mm is None else "mm",
    )


def _surface_distances(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], spacing: tuple[float, ...]
) -> tuple[float, float]:
    """HD95 and mean symmetric surface distance."""
    if not ours.any() or not theirs.any():
        distance = 0.0 if ours.any() == theirs.any() else float("inf")
        return distance, distance
    pair = [torch.from_numpy(mask.astype(np.float32))[None, None] for mask in (ours, theirs)]
    shared = {"include_background": True, "spacing": list(spacing)}
    hd95 = compute_hausdorff_distance(*pair, percentile=_PERCENTILE, **shared)
    asd = compute_average_surface_distance(*pair, symmetric=True, **shared)
    return float(hd95), float(asd)
