import numpy as np
import pytest
from scipy.spatial.distance import cdist

from sequal.acquisition import distances
from sequal.acquisition.distances import nearest_squared, squared_distances, stack


def test_by_hand():
    points, centres = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [3.0, 0.0]])
    assert squared_distances(points, centres).tolist() == [[0.0, 9.0], [25.0, 16.0]]
    assert nearest_squared(points, centres).tolist() == [0.0, 16.0]


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_against_scipy_whatever_the_block(block, monkeypatch):
    monkeypatch.setattr(distances, "_BLOCK", block)
    rng = np.random.default_rng(0)
    points, centres = rng.normal(size=(11, 5)), rng.normal(size=(7, 5))
    every = cdist(points, centres, "sqeuclidean")
    np.testing.assert_allclose(squared_distances(points, centres), every, rtol=1e-10)
    np.testing.assert_allclose(nearest_squared(points, centres), every.min(axis=1), rtol=1e-10)


def test_a_copy_is_at_distance_zero_exactly():
    points = np.random.default_rng(1).normal(1e3, 1, size=(50, 200))
    assert np.diag(squared_distances(points, points)).tolist() == [0.0] * 50


def test_no_centre_is_infinitely_far_and_no_point_gives_nothing():
    assert nearest_squared(np.ones((2, 3)), stack([])).tolist() == [np.inf, np.inf]
    assert nearest_squared(stack([]), np.ones((2, 3))).shape == (0,)


def test_no_block_exceeds_its_size(monkeypatch):
    sizes = []
    real = distances.squared_distances
    monkeypatch.setattr(distances, "_BLOCK", 4)
    monkeypatch.setattr(distances, "squared_distances", lambda a, b: sizes.append(len(a) * len(b)) or real(a, b))
    nearest_squared(np.ones((10, 2)), np.ones((9, 2)))
    assert max(sizes) == 16
    assert sum(sizes) == 90
