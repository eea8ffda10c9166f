import math

import pytest

from sequal.experiments.curves import area_difference, compare, figure_curves, labels_to_good, ratio_of_labels
from sequal.experiments.variants import Variant

LABELS = (0, 5, 10)


def variant(by_seed, labels=LABELS, **changes):
    """Rounds whose figures are given by seed as tuples of dicts, one a round."""
    rounds = {
        seed: [
            {"labelled": [f"i{n}" for n in range(count)], "test": {"mean": {"dice": 0.5, "frames": 20, **figures}}}
            for count, figures in zip(labels, found, strict=True)
        ]
        for seed, found in by_seed.items()
    }
    return Variant("pld", "pld", "on", "default", rounds, **changes)


def dice(*values):
    return tuple({"dice": value} for value in values)


def good(*values):
    return tuple({"good": value} for value in values)


def test_every_figure_is_followed_with_its_interval():
    failing = variant({0: ({"failures": 4}, {"failures": 1}, {"failures": 0}), 1: ({"failures": 2},) * 3})
    rows = figure_curves(failing)
    assert [row["labels"] for row in rows] == [0, 5, 10]
    assert rows[0]["failures"]["mean"] == 3
    assert rows[0]["failures"]["high"] == pytest.approx(3 + 12.706 * math.sqrt(2) / math.sqrt(2), abs=1e-3)
    assert rows[0]["li_error"] is None, "rounds of older versions lack it"
    assert rows[0]["frames"] == 20


def test_seeds_that_labels_made_worse_are_counted():
    rows = figure_curves(variant({0: dice(0.8, 0.796, 0.81), 1: dice(0.8, 0.794, 0.7)}))
    assert [row["worse"] for row in rows] == [0, 1, 1]
    later = figure_curves(variant({0: dice(0.8, 0.7, 0.7)}, labels=(5, 10, 15)))
    assert [row["worse"] for row in later] == [None] * 3


def test_differences_are_paired_by_seed():
    ours = variant({0: dice(0.8, 0.9, 0.9), 1: dice(0.5, 0.7, 0.7), 2: dice(0.1, 0.1, 0.1)})
    theirs = variant({0: dice(0.8, 0.8, 0.9), 1: dice(0.5, 0.6, 0.7)})
    found = compare(ours, theirs, "dice")
    assert [estimate["mean"] for estimate in found] == pytest.approx([0, 0.1, 0])
    assert found[1]["low"] == pytest.approx(0.1)
    assert compare(ours, theirs, "li_error")[0]["mean"] is None
    # (0.1 / 2 + 0.1 / 2) · 5 / 10
    assert area_difference(ours, theirs)["mean"] == pytest.approx(0.05)


def test_the_round_with_the_whole_pool_is_not_part_of_the_area():
    one = variant({0: dice(0.4, 0.6, 1.0)}, labels=(0, 5, 100), ends_with_all=True)
    assert one.area(0) == pytest.approx(0.5)
    assert variant({0: dice(0.4, 0.6, 1.0)}, labels=(0, 5, 100)).area(0) > 0.7


def test_labels_until_nearly_every_frame_is_good():
    found = labels_to_good(variant({0: good(0.5, 0.9, 1.0), 1: good(0.5, 0.6, 0.7), 2: good(0.95, 0.9, 0.9)}))
    assert found == {0: pytest.approx(7.5), 1: None, 2: 0.0}


def test_the_ratio_of_labels_is_a_geometric_mean_and_says_what_is_bounded():
    ours = variant({0: good(0.0, 0.95, 1.0), 1: good(0.0, 0.95, 1.0), 2: good(0.0, 0.0, 0.0), 3: good(1.0, 1.0, 1.0)})
    theirs = variant({0: good(0.0, 0.5, 0.95), 1: good(0.0, 0.5, 0.6), 2: good(0.0, 0.0, 0.0), 3: good(0.0, 1.0, 1.0)})
    found = ratio_of_labels(ours, theirs)
    assert found["mean"] == pytest.approx(0.5)
    assert (found["seeds"], found["bounded"]) == (2, 1)
    never = variant({0: good(0.0, 0.0, 0.0)})
    assert ratio_of_labels(never, never) is None
    assert ratio_of_labels(never, theirs)["mean"] == pytest.approx(1.0)
