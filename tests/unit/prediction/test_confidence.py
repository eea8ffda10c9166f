import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.errors import CheckpointError
from sequal.prediction import Confidence, load_pair
from unit.prediction.conftest import CPU

parts = st.floats(0, 1)


def test_labels_move_the_factor_by_hand():
    once = Confidence().judged([(0.9, 0.6), (0.8, 0.7)])
    assert (once.doubt, once.error) == pytest.approx((0.3, 0.7))
    assert once.factor == pytest.approx((0.9 + 0.7) / (0.3 + 0.3))
    twice = once.judged([(0.9, 0.9)])  # what was judged before counts half
    assert (twice.doubt, twice.error) == pytest.approx((0.25, 0.45))
    assert twice.judged([]) == twice


def test_many_labels_make_the_stated_confidence_that_of_the_labels():
    rng = np.random.default_rng(0)
    expected = rng.uniform(0.9, 1.0, 400)
    dice = 1 - 1.5 * (1 - expected) + rng.normal(0, 0.01, 400)
    confidence = Confidence().judged(zip(expected, dice, strict=True))
    assert np.mean([confidence.of(one) for one in expected]) == pytest.approx(dice.mean(), abs=0.005)


@given(st.lists(st.tuples(parts, parts)), parts)
def test_it_is_a_part_of_one_and_rises_with_what_is_expected(pairs, expected):
    confidence = Confidence().judged(pairs)
    assert 0 <= confidence.of(expected) <= confidence.of(1.0) == 1.0
    assert Confidence.from_meta({"confidence": confidence.as_meta()}) == confidence


@pytest.mark.parametrize("entry", [[1, 2], {"doubt": "much"}, {"doubt": -1.0}, {"error": float("nan")}, {"other": 1.0}])
def test_an_entry_that_cannot_be_used_is_refused(entry):
    with pytest.raises(CheckpointError, match="`doubt` and `error`"):
        Confidence.from_meta({"confidence": entry})


def test_a_checkpoint_brings_its_own(tmp_path, write_checkpoint):
    write_checkpoint(tmp_path / "plain.pt")
    assert load_pair(tmp_path / "plain.pt", CPU).confidence == Confidence()
    judged = Confidence(1.0, 2.0)
    write_checkpoint(tmp_path / "judged.pt", meta={"iterations": 5, "confidence": judged.as_meta()})
    assert load_pair(tmp_path / "judged.pt", CPU).confidence == judged
