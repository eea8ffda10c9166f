import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from sequal.anatomy.measurement import (
    Boundaries,
    boundaries_from_mask,
    boundaries_from_probability,
    measure_imt,
    polyline_distance,
)
from sequal.files.imaging import NOT_CALIBRATED, Calibration
from unit.anatomy.measurement.layers import SPACING_MM, Layer, wall

CALIBRATION = Calibration((SPACING_MM, SPACING_MM), "nifti spacing")


@pytest.fixture(params=range(12))
def layer(request: pytest.FixtureRequest) -> Layer:
    rng = np.random.default_rng(request.param)
    return wall(rng, rng.uniform(0.5, 1.0))


def _true_mean_mm(layer: Layer) -> float:
    return float((layer.ma - layer.li).mean() * SPACING_MM)


def test_mean_from_the_true_mask_is_within_two_hundredths_of_a_millimetre(layer: Layer) -> None:
    found = measure_imt(boundaries_from_mask(layer.mask), CALIBRATION)
    assert found.columns == layer.li.size
    assert found.mean == pytest.approx(_true_mean_mm(layer), abs=0.02)


def test_mean_from_the_blurred_mask_is_within_a_hundredth_of_a_millimetre(layer: Layer) -> None:
    soft = gaussian_filter(layer.mask.astype(float), 1.0)
    found = measure_imt(boundaries_from_probability(soft), CALIBRATION)
    assert found.columns == layer.li.size
    assert found.mean == pytest.approx(_true_mean_mm(layer), abs=0.01)


def test_worked_by_hand_with_unequal_spacing_and_a_gap() -> None:
    li = np.array([10.0, 10.0, np.nan, 10.0, 10.0])
    ma = np.array([20.0, 30.0, 30.0, 20.0, np.nan])
    found = measure_imt(Boundaries(li, ma), Calibration((0.1, 0.05), "dicom PixelSpacing"))
    # Columns 0, 1 and 3: 10, 20 and 10 px of 0.05 mm.
    assert found.mean == pytest.approx(2.0 / 3.0)
    assert found.max == pytest.approx(1.0)
    assert found.sd == pytest.approx(0.5 / math.sqrt(3.0))
    assert found.length == pytest.approx(0.3)
    assert found.columns == 3
    assert found.flags == ("short_length",)


def test_polyline_works_in_millimetres_and_bridges_no_gap() -> None:
    li = np.array([10.0, 12.0, 14.0, np.nan, 10.0, 10.0])
    ma = np.array([20.0, 22.0, 24.0, 30.0, 30.0, 30.0])
    found = measure_imt(Boundaries(li, ma), Calibration((0.1, 0.05), "given"))

    def stretch(columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.array([[0.1 * x, 0.05 * depth[x]] for x in columns]) for depth in (li, ma))

    first, second = polyline_distance(*stretch([0, 1, 2])), polyline_distance(*stretch([4, 5]))
    assert found.polyline_mean == pytest.approx((6 * first + 4 * second) / 10)
    assert first < 0.5
    assert second == pytest.approx(1.0)


def test_params_of_a_calibrated_frame() -> None:
    found = measure_imt(Boundaries(np.full(200, 10.0), np.full(200, 20.0)), CALIBRATION).as_params()
    assert set(found) == {
        "mean_mm", "max_mm", "sd_mm", "length_mm", "polyline_mean_mm",
        "columns", "calibrated", "calibration_source", "flags",
    }  # fmt: skip
    assert found["mean_mm"] == pytest.approx(0.6)
    assert found["sd_mm"] == pytest.approx(0.0)
    assert found["length_mm"] == pytest.approx(12.0)
    assert (found["columns"], found["calibrated"], found["flags"]) == (200, True, [])
    assert found["calibration_source"] == "nifti spacing"
    assert json.loads(json.dumps(found)) == found


def test_without_calibration_there_are_no_millimetres() -> None:
    found = measure_imt(Boundaries(np.full(4, 10.0), np.full(4, 60.0)), NOT_CALIBRATED).as_params()
    assert set(found) == {
        "mean_px", "max_px", "sd_px", "length_px", "polyline_mean_px",
        "columns", "calibrated", "calibration_source", "flags",
    }  # fmt: skip
    assert (found["mean_px"], found["length_px"], found["calibrated"]) == (50.0, 4.0, False)
    assert found["flags"] == ["not_calibrated"]


@pytest.mark.parametrize(
    ("calibration", "unit", "flags"),
    [(CALIBRATION, "mm", ["no_layer"]), (NOT_CALIBRATED, "px", ["no_layer", "not_calibrated"])],
)
def test_no_layer_gives_nulls(calibration: Calibration, unit: str, flags: list[str]) -> None:
    found = measure_imt(boundaries_from_mask(np.zeros((30, 20), np.uint8)), calibration).as_params()
    assert found["columns"] == 0
    assert found["flags"] == flags
    for name in ("mean", "max", "sd", "length", "polyline_mean"):
        assert found[f"{name}_{unit}"] is None
    assert '"mean_' + unit + '": null' in json.dumps(found)


def test_single_column_has_no_standard_deviation() -> None:
    found = measure_imt(Boundaries(np.array([1.0]), np.array([11.0])), CALIBRATION)
    assert found.sd is None
    assert found.polyline_mean == pytest.approx(0.6)


def test_flags_of_plaque_and_length_switch_at_their_limits() -> None:
    li, ma = np.zeros(100), np.full(100, 10.0)
    tenth = Calibration((0.1, 0.1), "given")
    assert measure_imt(Boundaries(li, ma), tenth).flags == ()
    assert measure_imt(Boundaries(li[1:], ma[1:]), tenth).flags == ("short_length",)
    ma[50] = 15.01
    assert measure_imt(Boundaries(li, ma), tenth).flags == ("possible_plaque",)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), factor=st.floats(0.5, 3.0))
def test_lengths_scale_with_the_pixel(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    li = rng.uniform(10, 20, 40)
    boundaries = Boundaries(li, li + rng.uniform(1, 12, 40))
    base = measure_imt(boundaries, Calibration((0.05, 0.04), "given"))
    scaled = measure_imt(boundaries, Calibration((0.05 * factor, 0.04 * factor), "given"))
    for name in ("mean", "max", "sd", "length", "polyline_mean"):
        assert getattr(scaled, name) == pytest.approx(factor * getattr(base, name))
    turned = measure_imt(Boundaries(boundaries.li[::-1], boundaries.ma[::-1]), Calibration((0.05, 0.04), "given"))
    assert turned.mean == pytest.approx(base.mean)
    assert turned.polyline_mean == pytest.approx(base.polyline_mean)
