"""The figures of one judged frame or volume."""

import numpy as np
import pytest

from sequal.anatomy.measurement import judge_volume
from unit.anatomy.measurement.judged import judged, layer


def test_figures_worked_by_hand():
    found = judged(layer(18, 32), layer(20, 30))
    assert found["dice"] == pytest.approx(2 * 10 / (14 + 10))
    assert found["imt_true"] == pytest.approx(10 * 0.05)
    assert found["imt_bias"] == found["imt_error"] == pytest.approx(4 * 0.05)
    assert (found["li_bias"], found["ma_bias"]) == (pytest.approx(-0.1), pytest.approx(0.1))
    assert (found["li_error"], found["ma_error"]) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (found["unit"], found["layer"], found["empty"], found["failed"]) == ("mm", True, False, False)


def test_errors_of_both_signs_do_not_cancel_but_biases_do():
    mask = layer(18, 30, slice(0, 10)) | layer(22, 30, slice(10, 20))
    found = judged(mask, layer(20, 30))
    assert found["li_bias"] == pytest.approx(0.0)
    assert found["li_error"] == pytest.approx(0.1)
    assert found["imt_error"] == pytest.approx(0.0)


def test_what_nobody_traced_counts_for_nothing():
    truth = layer(20, 30)
    truth[10:] = 255
    mask = layer(20, 30)
    mask[10:, 5:50] = 1  # thick, and somewhere else as well, where nobody traced
    found = judged(mask, truth)
    assert found["dice"] == 1.0
    assert found["imt_bias"] == pytest.approx(0.0)
    assert found["li_error"] == pytest.approx(0.0)
    assert judged(layer(20, 30, slice(10, 20)), truth)["empty"]


def test_thickness_is_that_of_the_columns_that_show_the_layer():
    mask = layer(20, 30)
    mask[10:, 15:35] = 1  # beyond the end of the wall
    assert judged(mask, layer(20, 30, slice(0, 10)))["imt_bias"] == pytest.approx(0.0)


def test_failures_are_frames_under_a_half_and_masks_without_a_wall():
    wall, nothing = layer(20, 30), np.zeros((20, 60), np.uint8)
    assert judged(layer(45, 55), wall)["failed"]
    assert judged(nothing, wall)["failed"]
    assert judged(nothing, wall)["empty"]
    assert judged(wall, nothing)["failed"]
    assert not judged(nothing, nothing)["failed"]
    unknown = np.full((20, 60), 255, np.uint8)
    unknown[:5] = 0
    assert not judged(layer(20, 30, slice(5, 20)), unknown)["failed"]


CUBE = {"cube": 1, "rod": 2}


def box(low, high, number=1):
    """Voxels low to high - 1 along each axis of a volume of 12 x 12 x 12."""
    found = np.zeros((12, 12, 12), np.uint8)
    found[low:high, low:high, low:high] = number
    return found


def test_figures_of_a_volume_worked_by_hand():
    """A cube of 4 voxels that was found 1 voxel further along every axis, in voxels of 2 x 2 x 4 mm."""
    truth, found = box(3, 7), box(4, 8)
    found[0, 0, 0] = 2  # and a speck of what is not there
    judged = judge_volume(found, truth, CUBE, (2.0, 2.0, 4.0))
    cube = judged["by_label"]["cube"]
    assert cube["dice"] == pytest.approx(2 * 27 / 128)
    assert cube["iou"] == pytest.approx(27 / (128 - 27))
    assert cube["volume_ml"] == cube["volume_ml_true"] == pytest.approx(64 * 0.016)
    assert 2 <= cube["asd"] <= cube["hd95"] <= np.sqrt(4 + 4 + 16)
    assert judged["by_label"]["rod"] == {
        "dice": 0.0,
        "iou": 0.0,
        "hd95": None,
        "asd": None,
        "volume_ml": pytest.approx(0.016),
        "volume_ml_true": 0.0,
    }
    assert judged["dice"] == pytest.approx(27 / 128)
    assert (judged["hd95"], judged["asd"], judged["unit"]) == (cube["hd95"], cube["asd"], "mm")
    assert judged["volume_bias"] == judged["volume_error"] == pytest.approx(0.008)
    assert (judged["layer"], judged["empty"], judged["failed"]) == (True, False, True)


def test_what_nobody_annotated_in_a_volume_counts_for_nothing():
    truth = box(3, 7)
    truth[:, :, 8:] = 255
    found = box(3, 7)
    found[:, :, 9:] = 1
    judged = judge_volume(found, truth, CUBE, None)
    assert (judged["dice"], judged["hd95"], judged["unit"], judged["volume_error"]) == (1.0, 0.0, "voxels", None)
    assert list(judged["by_label"]) == ["cube"]


def test_a_volume_that_shows_nothing():
    nothing = np.zeros((12, 12, 12), np.uint8)
    assert judge_volume(nothing, nothing, CUBE, None) | {"by_label": {}} == {
        "layer": False,
        "empty": True,
        "failed": False,
        "dice": 1.0,
        "iou": 1.0,
        "hd95": None,
        "asd": None,
        "unit": "voxels",
        "volume_bias": None,
        "volume_error": None,
        "by_label": {},
    }
    assert judge_volume(box(3, 7), nothing, CUBE, None)["failed"]
    assert judge_volume(nothing, box(3, 7), CUBE, None)["dice"] == 0.0
