import math

import pytest

from sequal.experiments.instrument import judge_scores

ERRORS = {"a": 0.1, "b": 0.4, "c": 0.2, "d": 0.9}


def test_by_hand():
    # Ranks of the errors are 1, 3, 2, 4 and of the scores 2, 1, 3, 4: 1 − 6·(1 + 4 + 1 + 0) / (4·15) = 0.4.
    found = judge_scores({"s": {"a": 2.0, "b": 1.0, "c": 3.0, "d": 4.0}}, ERRORS, 2, ["b", "c"])
    assert found["scores"]["s"]["spearman"] == pytest.approx(0.4)
    assert found["scores"]["s"]["top_error"] == pytest.approx((0.9 + 0.2) / 2)
    assert found["queried_error"] == pytest.approx(0.3)
    assert found["pool_error"] == pytest.approx(0.4)
    assert found["pool_images"] == 4


def test_ties_go_by_id_and_a_constant_has_no_rank():
    found = judge_scores({"s": dict.fromkeys("dcba", 1.0)}, ERRORS, 1, [])
    assert found["scores"]["s"] == {"spearman": None, "top_error": 0.1}
    assert found["queried_error"] is None


def test_images_without_a_score_are_left_out():
    found = judge_scores({"s": {"a": 1.0, "b": 2.0, "c": math.nan, "elsewhere": 9.0}}, ERRORS, 1, [])
    assert found["scores"]["s"] == {"spearman": None, "top_error": 0.4}


def test_an_empty_pool_gives_nothing():
    assert judge_scores({}, {}, 3, []) == {"pool_images": 0, "pool_error": None, "queried_error": None, "scores": {}}
