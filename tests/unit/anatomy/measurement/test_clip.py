import numpy as np
import pytest

from sequal.anatomy.measurement import combine_frames, measure_imt
from sequal.anatomy.measurement.boundaries import Boundaries
from sequal.files.imaging import NOT_CALIBRATED, Calibration

MM = Calibration((0.1, 0.06), "given")


def _frame(thickness, columns=120, calibration=MM):
    li = np.full(200, np.nan)
    li[:columns] = 50.0
    return measure_imt(Boundaries(li, li + thickness), calibration)


def test_by_hand():
    # 10 and 20 pixels of 0.06 mm, over 12 and 5 mm.
    clip = combine_frames([_frame(10.0), _frame(20.0, columns=50)])
    assert clip.mean == pytest.approx(0.9)
    assert clip.max == pytest.approx(1.2)
    assert clip.sd == pytest.approx(0.0)
    assert clip.polyline_mean == pytest.approx(0.9)
    assert clip.length == pytest.approx(8.5)
    assert clip.columns == 170
    assert clip.flags == ("short_length",)
    assert clip.calibration == MM


def test_a_single_frame_is_handed_through():
    frame = _frame(10.0)
    assert combine_frames([frame]) is frame


def test_frames_without_layer_count_only_when_all_are():
    seen, empty = _frame(10.0), _frame(10.0, columns=0)
    assert "no_layer" in empty.flags
    clip = combine_frames([empty, seen, empty])
    assert (clip.mean, clip.columns, clip.flags) == (pytest.approx(0.6), 120, ())
    assert combine_frames([empty, empty]).flags == ("no_layer",)
    assert combine_frames([empty, empty]).mean is None


def test_one_column_has_no_deviation():
    clip = combine_frames([_frame(10.0, columns=1), _frame(10.0, columns=1)])
    assert clip.sd is None
    assert clip.mean == pytest.approx(0.6)


def test_the_flags_of_every_frame_are_kept_once():
    clip = combine_frames([_frame(30.0), _frame(30.0, columns=20), _frame(10.0, columns=20)])
    assert clip.flags == ("possible_plaque", "short_length")


def test_without_calibration_there_are_no_millimetres():
    clip = combine_frames([_frame(10.0, calibration=NOT_CALIBRATED)] * 2)
    params = clip.as_params()
    assert params["mean_px"] == pytest.approx(10.0)
    assert not any(key.endswith("_mm") for key in params)
    assert params["flags"] == ["not_calibrated"]
