import numpy as np
import pytest

from sequal.anatomy.measurement import Compared, Reading, compare_layers, compare_volumes, departures, pair_agreement
from sequal.files.imaging import NOT_CALIBRATED, Calibration

CALIBRATED = Calibration((0.1, 0.05), "given")


def layer(top, thickness, columns=slice(None), frames=1):
    label = np.full((30, 40, frames), 255, np.uint8)
    label[columns] = 0
    label[columns, top : top + thickness] = 1
    return label


def test_two_layers_are_compared_where_both_are_traced():
    found = compare_layers(layer(10, 8, slice(0, 20)), layer(12, 10, slice(10, 30)), CALIBRATED, "wall")
    # rows 10..17 and 12..21: 6 in common
    assert found.dice == pytest.approx(2 * 6 / 18)
    assert (found.first, found.second, found.unit) == (pytest.approx(0.4), pytest.approx(0.5), "mm")
    assert (found.li, found.ma) == (pytest.approx(-0.1), pytest.approx(-0.2))
    plain = compare_layers(layer(10, 8), layer(12, 10), NOT_CALIBRATED, "wall")
    assert (plain.first, plain.second, plain.li, plain.unit) == (8.0, 10.0, -2.0, "px")


def test_a_clip_is_measured_in_the_frames_that_both_drew_in():
    one, other = layer(10, 8, frames=3), layer(10, 6, frames=3)
    one[:, :, 0] = other[:, :, 2] = 255
    found = compare_layers(one, other, CALIBRATED, "wall")
    assert (found.first, found.second) == (pytest.approx(0.4), pytest.approx(0.3))


def test_a_layer_against_none_has_no_overlap_and_nothing_to_measure():
    nothing = np.zeros((30, 40, 1), np.uint8)
    found = compare_layers(layer(10, 8), nothing, CALIBRATED, "wall")
    assert (found.dice, found.first, found.li) == (0.0, None, None)
    assert compare_layers(nothing, nothing, CALIBRATED, "wall").dice == 1.0


def test_structures_of_a_volume_have_a_dice_and_millilitres_each():
    one, other = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    one[0], other[0, :2], other[3] = 1, 1, 255
    one[2] = other[2] = 2
    first, second = compare_volumes(one, other, 0.5, {"a": 1, "b": 2})
    assert (first.dice, first.first, first.second, first.unit) == (pytest.approx(2 * 8 / 24), 8.0, 4.0, "ml")
    assert (second.label, second.dice, second.li) == ("b", 1.0, None)


def reading(image, first, second, sizes, li=0.0, ma=0.0, unit="mm"):
    return Reading(image, first, second, Compared("wall", 0.9, *sizes, unit, li, ma))


def test_pairs_have_bland_altman_limits_and_pixels_are_left_out_beside_millimetres():
    readings = [reading(str(i), "a", "b", (0.7 + 0.1 * i, 0.6 + 0.1 * i), -0.05, 0.05) for i in range(3)]
    (pair,) = pair_agreement([*readings, reading("x", "a", "b", (9.0, 4.0), unit="px")])
    assert (pair.images, pair.unit, pair.size.pairs) == (4, "mm", 3)
    assert pair.difference == pytest.approx(0.1)
    assert pair.size.limits == (pytest.approx(0.1), pytest.approx(0.1))
    assert (pair.li, pair.ma) == (pytest.approx(-0.05), pytest.approx(0.05))
    (alone,) = pair_agreement(readings[:1])
    assert alone.size is None
    assert alone.difference == pytest.approx(0.1)


def test_each_reader_departs_from_the_mean_of_all_by_what_he_adds():
    """Readers a and b draw alike, c draws 0.06 mm deeper and 0.03 mm thicker; he saw half of the images."""
    rng = np.random.default_rng(0)
    adds = {"a": (0.0, 0.0), "b": (0.0, 0.0), "c": (0.06, 0.09)}
    readings = []
    for image in range(20):
        drawn = {name: np.array(add) + rng.normal(0, 0.005, 2) for name, add in adds.items()}
        pairs = [("a", "b"), ("a", "c"), ("b", "c")] if image % 2 else [("a", "b")]
        for one, other in pairs:
            (li, ma), sizes = drawn[one] - drawn[other], [0.6 + np.diff(drawn[n])[0] for n in (one, other)]
            readings.append(reading(str(image), one, other, sizes, li, ma))
    found = {one.reader: one for one in departures(readings)}
    assert (found["a"].images, found["c"].images) == (20, 10)
    assert found["c"].li == pytest.approx(0.04, abs=0.004)  # two thirds of 0.06: he is one of the three
    assert found["c"].size == pytest.approx(0.02, abs=0.004)
    assert found["c"].words.startswith("thicker by 0.02")
    assert "deeper by 0.05" in found["c"].words
    assert "higher" in found["a"].words
    low, high = found["c"].size_interval
    assert low < 0.02 < high


def test_readers_alike_are_called_so_and_one_image_says_too_little():
    rng = np.random.default_rng(1)
    alike = [reading(str(i), "a", "b", (0.6, 0.6 + d), d, -d) for i, d in enumerate(rng.normal(0, 0.01, 20))]
    assert {one.words for one in departures(alike)} == {"as the others"}
    assert {one.words for one in departures(alike[:1])} == {"too few images to say"}
    larger = [Reading(str(i), "a", "b", Compared("liver", 0.9, 30.0 + i, 20.0 + 2 * i, "ml")) for i in range(3)]
    assert [one.words for one in departures(larger)] == ["larger by 4.5 ml", "smaller by 4.5 ml"]
