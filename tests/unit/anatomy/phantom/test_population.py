"""Walls as thick as adults have them."""

import numpy as np
import pytest

from sequal.anatomy.phantom import draw_anatomy
from sequal.anatomy.phantom.population import adult_wall


def _drawn(kind, seed):
    rng = np.random.default_rng(seed)
    anatomy = draw_anatomy(rng, kind, 38.0, 40.0)
    return anatomy, adult_wall(anatomy, rng)


def _mean_mm(anatomy):
    return float((anatomy.ma_mm - anatomy.li_mm).mean())


def test_ordinary_walls_have_the_thickness_of_adults():
    found = np.array([_mean_mm(_drawn("ordinary", seed)[1]) for seed in range(300)])
    assert np.median(found) == pytest.approx(0.64, abs=0.03)
    assert found.min() >= 0.349
    assert found.max() <= 1.201


@pytest.mark.parametrize("kind", ["plaque", "thickened"])
def test_thickened_walls_stay(kind):
    before, after = _drawn(kind, 3)
    assert after is before


def test_only_the_intima_moves():
    before, after = _drawn("ordinary", 3)
    np.testing.assert_array_equal(before.ma_mm, after.ma_mm)
    assert _mean_mm(before) != _mean_mm(after)
