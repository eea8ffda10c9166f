import numpy as np
import pytest

from sequal.anatomy.phantom.volumes.shapes import Blend, Ellipsoid, Grown, Tube, draw_warp


def _points(*places):
    return np.array(places, dtype=np.float32).T


def test_surface_of_an_ellipsoid():
    shape = Ellipsoid((1.0, 2.0, 3.0), (4.0, 2.0, 1.0))
    on = _points((5, 2, 3), (1, 4, 3), (1, 2, 4), (1 + 4 / np.sqrt(2), 2 + 2 / np.sqrt(2), 3))
    assert shape.field(on) == pytest.approx(np.zeros(4), abs=1e-5)
    assert (shape.field(_points((1, 2, 3.4), (2, 2, 3))) < 0).all()
    assert (shape.field(_points((1, 2, 4.1), (6, 2, 3))) > 0).all()


def test_distance_from_a_bent_tube():
    tube = Tube(((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (10.0, 10.0, 0.0)), (2.0, 2.0, 1.0))
    points = _points((5, 0, 5), (-3, 0, 0), (10, 10, 3), (10, 5, 4), (5, 0, 0))
    assert tube.field(points) == pytest.approx([3.0, 1.0, 2.0, 2.5, -2.0])


def test_a_blend_holds_its_parts_and_fills_the_seam():
    parts = [Ellipsoid((x, 0.0, 0.0), (5.0, 5.0, 5.0)) for x in (-4.0, 4.0)]
    points = np.random.default_rng(0).uniform(-12, 12, (3, 4000)).astype(np.float32)
    either = np.minimum(*(part.field(points) for part in parts))
    blend = Blend(parts, seam_mm=3.0).field(points)
    assert (blend <= either + 1e-4).all()
    assert (blend >= either - 3.0 / 4 - 1e-4).all()
    outside = _points((0, 3.2, 0))
    assert Blend(parts, seam_mm=3.0).field(outside)[0] < 0 < np.minimum(*(part.field(outside) for part in parts))[0]


def test_a_layer_is_as_thick_as_it_says():
    ball = Ellipsoid((0.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    assert Grown(ball, 2.0).field(_points((7, 0, 0), (0, 0, 9)))[:2] == pytest.approx([0.0, 2.0], abs=1e-5)


def test_a_large_body_is_large():
    warp = draw_warp(np.random.default_rng(0), size=1.25, shift_mm=0.0)
    assert Ellipsoid((4.0, 0.0, 0.0), (4.0, 4.0, 4.0)).field(warp(_points((10, 0, 0), (0, 0, 0)))) == pytest.approx(
        [0.0, 0.0], abs=1e-5
    )


def test_a_warp_bends_gently():
    """Points a millimetre apart stay about that: nothing folds over itself."""
    for seed in range(20):
        warp = draw_warp(np.random.default_rng(seed))
        points = np.random.default_rng(0).uniform(-80, 80, (3, 500)).astype(np.float32)
        assert 1.0 < np.linalg.norm(warp(points) - points, axis=0).mean() < 12.0
        for axis in range(3):
            step = np.zeros((3, 1), dtype=np.float32)
            step[axis] = 1.0
            moved = warp(points + step) - warp(points)
            assert (moved[axis] > 0.1).all()
