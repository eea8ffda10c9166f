import math

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from sequal.anatomy.measurement import score_segmentation
from sequal.errors import MeasurementError


def _block(x0: int, x1: int, y0: int, y1: int) -> np.ndarray:
    mask = np.zeros((30, 40), dtype=np.uint8)
    mask[x0:x1, y0:y1] = 1
    return mask


def _border_distances(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances between border pixels, every pair."""
    borders = [np.argwhere(m & ~binary_erosion(m)) * np.array(spacing) for m in (a == 1, b == 1)]
    pairs = np.hypot(*(borders[0][:, None] - borders[1][None]).transpose(2, 0, 1))
    return pairs.min(axis=1), pairs.min(axis=0)


def test_overlap_worked_by_hand() -> None:
    found = score_segmentation(_block(0, 10, 10, 20), _block(0, 10, 12, 22))
    assert found.dice == pytest.approx(0.8)
    assert found.iou == pytest.approx(80 / 120)
    assert found.hd95 == pytest.approx(2.0)
    assert found.unit == "px"


def test_distances_use_the_spacing_of_each_axis() -> None:
    across = score_segmentation(_block(5, 6, 10, 30), _block(8, 9, 10, 30), spacing_mm=(0.1, 0.05))
    along = score_segmentation(_block(5, 25, 10, 11), _block(5, 25, 13, 14), spacing_mm=(0.1, 0.05))
    assert (across.hd95, across.asd) == pytest.approx((0.3, 0.3))
    assert (along.hd95, along.asd) == pytest.approx((0.15, 0.15))
    assert along.unit == "mm"


def test_distances_agree_with_every_pair_of_border_pixels() -> None:
    rng = np.random.default_rng(2)
    a, b = _block(3, 20, 8, 18), _block(5, 24, 9, 21)
    a[rng.random(a.shape) < 0.02] = 1
    there, back = _border_distances(a, b, (0.08, 0.05))
    found = score_segmentation(a, b, spacing_mm=(0.08, 0.05))
    assert found.asd == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-5)
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)


def test_pixels_that_are_not_annotated_count_for_nothing() -> None:
    reference = _block(0, 10, 10, 20)
    reference[10:] = 255
    prediction = _block(0, 30, 10, 20)
    found = score_segmentation(prediction, reference)
    assert (found.dice, found.iou, found.hd95, found.asd) == (1.0, 1.0, 0.0, 0.0)


def test_empty_masks() -> None:
    nothing, something = _block(0, 0, 0, 0), _block(1, 4, 1, 4)
    both = score_segmentation(nothing, nothing)
    assert (both.dice, both.iou, both.hd95, both.asd) == (1.0, 1.0, 0.0, 0.0)
    for one in (score_segmentation(something, nothing), score_segmentation(nothing, something)):
        assert (one.dice, one.iou, one.hd95, one.asd) == (0.0, 0.0, math.inf, math.inf)


def test_unequal_grids_are_refused() -> None:
    with pytest.raises(MeasurementError, match="one grid"):
        score_segmentation(np.zeros((3, 4)), np.zeros((4, 3)))
