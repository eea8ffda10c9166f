from pathlib import Path

import numpy as np
import pytest

from sequal.files.imaging import Calibration, Frame, calibrate
from sequal.prediction import contour_markups

SIZE = (60, 40)
CALIBRATED = calibrate(0.1, 0.05, "nifti spacing")
AFFINE = np.diag([-0.1, -0.05, 2.0, 1.0])


def _probability(top, thickness=8.0, columns=slice(None)):
    """A layer that falls by a quarter of a pixel a column, with soft edges: its 0.5 crossing is exact."""
    x, y = np.arange(SIZE[0])[:, None], np.arange(SIZE[1])[None, :]
    depth = y - (top + 0.25 * x)
    layer = np.clip(0.5 + 0.4 * np.minimum(depth, thickness - depth), 0.0, 1.0)
    result = np.zeros(SIZE, np.float32)
    result[columns] = layer[columns]
    return result


def _case(*frames, calibration=CALIBRATED):
    probability = np.stack(frames, axis=2)
    grid = probability.shape
    shape = grid if grid[2] > 1 else (*SIZE, 1)
    frame = Frame(np.zeros(grid, np.float32), AFFINE, shape, calibration, Path("p01.nii.gz"))
    return frame, probability


def _pixels(markup):
    lps = np.array([point["position"] for point in markup["controlPoints"]])
    return lps * [-1, -1, 1] / np.diag(AFFINE)[:3]


def test_points_lie_on_the_boundaries_and_half_a_millimetre_apart():
    li, ma = contour_markups(*_case(_probability(5.0)))["markups"]
    assert [li["name"], ma["name"]] == ["LI", "MA"]
    points = _pixels(li)
    np.testing.assert_allclose(points[:, 1], 5.0 + 0.25 * points[:, 0], atol=1e-5)
    np.testing.assert_allclose(_pixels(ma)[:, 1], 13.0 + 0.25 * points[:, 0], atol=1e-5)
    np.testing.assert_allclose(np.diff(points[:-1, 0]), 5.0)
    np.testing.assert_allclose(points[:, 2], 0.0, atol=1e-9)


def test_the_thickness_is_in_the_descriptions_and_the_measurements():
    li, ma = contour_markups(*_case(_probability(5.0)))["markups"]
    # 8 pixels of 0.05 mm.
    assert {point["description"] for point in li["controlPoints"]} == {"thickness 0.40 mm"}
    assert li["description"] == "IMT mean 0.40 mm; IMT max 0.40 mm; 60 columns; short length"
    assert li["measurements"] == []
    found = {item["name"]: (item["value"], item["units"]) for item in ma["measurements"]}
    assert found == {"IMT mean": (pytest.approx(0.4, abs=1e-5), "mm"), "IMT max": (pytest.approx(0.4, abs=1e-5), "mm")}


def test_pixels_where_the_image_is_not_calibrated():
    li, _ = contour_markups(*_case(_probability(5.0), calibration=Calibration(None, "none")))["markups"]
    assert {point["description"] for point in li["controlPoints"]} == {"thickness 8.00 px"}
    assert li["description"].endswith("60 columns; not calibrated")
    np.testing.assert_allclose(np.diff(_pixels(li)[:-1, 0]), 8.0)


def test_a_clip_has_curves_in_the_plane_of_every_frame_that_shows_the_layer():
    empty = np.zeros(SIZE, np.float32)
    markups = contour_markups(*_case(_probability(5.0), empty, _probability(9.0)))["markups"]
    assert [markup["name"] for markup in markups] == ["LI (frame 1)", "MA (frame 1)", "LI (frame 3)", "MA (frame 3)"]
    assert [round(float(_pixels(markup)[0, 2])) for markup in markups] == [0, 0, 2, 2]
    assert _pixels(markups[2])[0, 1] == pytest.approx(9.0, abs=1e-5)


def test_a_gap_is_not_bridged():
    probability = _probability(5.0)
    probability[20:35] = 0.0
    markups = contour_markups(*_case(probability))["markups"]
    assert [markup["name"] for markup in markups] == ["LI 1", "MA 1", "LI 2", "MA 2"]
    assert _pixels(markups[0])[-1, 0] == pytest.approx(19)
    assert _pixels(markups[2])[0, 0] == pytest.approx(35)
    assert [bool(markup["measurements"]) for markup in markups] == [False, True, False, False]


def test_without_a_layer_two_curves_say_so():
    markups = contour_markups(*_case(np.zeros(SIZE, np.float32)))["markups"]
    assert [markup["name"] for markup in markups] == [
        "LI: no intima-media layer found",
        "MA: no intima-media layer found",
    ]
    assert [markup["controlPoints"] for markup in markups] == [[], []]
