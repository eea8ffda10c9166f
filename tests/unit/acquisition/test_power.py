import math
from collections import Counter

import pytest

from sequal.acquisition import Candidate, power_score
from sequal.acquisition.strategies.layer_entropy_power import PowerStrategy

SCORES = {"a": 1.0, "b": 2.0, "c": 7.0}


def _drawn(key):
    return sorted(SCORES, key=lambda image: -power_score(SCORES[image], image, 0, key))


def test_the_first_is_drawn_with_a_chance_proportional_to_its_score():
    first = Counter(_drawn(f"key {number}")[0] for number in range(4000))
    assert {image: count / 4000 for image, count in first.items()} == pytest.approx(
        {"a": 0.1, "b": 0.2, "c": 0.7}, abs=0.03
    )


def test_the_second_is_drawn_among_the_others():
    after_c = Counter(order[1] for number in range(4000) if (order := _drawn(f"key {number}"))[0] == "c")
    assert after_c["b"] / sum(after_c.values()) == pytest.approx(2 / 3, abs=0.04)


def test_a_model_draws_the_same_order_again_and_the_next_model_another():
    assert _drawn("x") == _drawn("x")
    assert len({tuple(_drawn(f"key {number}")) for number in range(30)}) > 1


def test_without_a_score_there_is_no_draw():
    assert math.isnan(power_score(math.nan, "a", 0, ""))
    assert power_score(0.0, "a", 0, "") == -math.inf


def test_the_annotator_reads_that_chance_was_at_work():
    reason = PowerStrategy()._reason(Candidate("a", -1.2, False), 3, 34, None)
    assert "at random" in reason
    assert "place 3 of 34" in reason
