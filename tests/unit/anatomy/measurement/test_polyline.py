import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.anatomy.measurement import distances_to_polyline, polyline, polyline_distance
from sequal.errors import MeasurementError


def _by_loops(points: np.ndarray, line: np.ndarray) -> list[float]:
    """Distance by scalar arithmetic, one segment at a time."""
    found = []
    for px, py in points:
        best = math.inf
        for (ax, ay), (bx, by) in pairwise(line):
            length = (bx - ax) ** 2 + (by - ay) ** 2
            t = 0.0 if length == 0 else ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length
            t = min(1.0, max(0.0, t))
            best = min(best, math.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay)))
        found.append(best)
    return found


def test_foot_is_clamped_to_the_segment() -> None:
    line = np.array([[0.0, 0.0], [4.0, 0.0]])
    points = np.array([[2.0, 3.0], [7.0, 4.0], [-3.0, -4.0], [4.0, 0.0]])
    assert distances_to_polyline(points, line).tolist() == [3.0, 5.0, 5.0, 0.0]


def test_mean_runs_over_the_vertices_of_both() -> None:
    # LI: three vertices at distances 1, 1, 1; MA: one long segment, its ends at distance 1 and hypot(2, 1).
    li = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    ma = np.array([[0.0, 1.0], [4.0, 1.0]])
    assert polyline_distance(li, ma) == pytest.approx((1 + 1 + 1 + 1 + math.hypot(2, 1)) / 5)


def test_tilt_does_not_thicken() -> None:
    x = np.arange(400.0)
    thickness, angle = 12.0, math.radians(20)
    li = np.column_stack((x, x * math.tan(angle)))
    ma = li + np.array([0.0, thickness / math.cos(angle)])
    inner = distances_to_polyline(li[50:-50], ma)
    np.testing.assert_allclose(inner, thickness, rtol=1e-9)


def test_agrees_with_scalar_loops_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    points, line = rng.normal(size=(37, 2)), rng.normal(size=(23, 2))
    line[5] = line[6]
    expected = _by_loops(points, line)
    np.testing.assert_allclose(distances_to_polyline(points, line), expected, rtol=1e-12)
    monkeypatch.setattr(polyline, "_POINTS_AT_ONCE", 3)
    np.testing.assert_allclose(distances_to_polyline(points, line), expected, rtol=1e-12)


def test_single_vertices_are_points() -> None:
    assert polyline_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])) == 5.0


@pytest.mark.parametrize("vertices", [np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(4), np.array([[0.0, np.nan]])])
def test_impossible_vertices_are_refused(vertices: np.ndarray) -> None:
    with pytest.raises(MeasurementError, match="columns without a boundary"):
        polyline_distance(vertices, np.zeros((2, 2)))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 50.0), angle=st.floats(0.0, 6.3))
def test_symmetric_and_equivariant_to_scale_and_turning(seed: int, scale: float, angle: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(12, 2)), rng.normal(size=(9, 2))
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    found = polyline_distance(a, b)
    assert polyline_distance(b, a) == pytest.approx(found)
    assert polyline_distance(a @ turn, b @ turn) == pytest.approx(scale * found)
