import pytest

from lib.training.gate import may_publish


@pytest.mark.parametrize(
    ("metric", "before", "first", "finite", "published"),
    [
        (0.81, 0.80, False, True, True),
        (0.80, 0.80, False, True, False),
        (0.79, 0.80, False, True, False),
        (0.10, None, True, True, True),
        (None, None, True, True, True),
        (None, None, False, True, True),
        (0.99, 0.10, False, False, False),
        (0.99, None, True, False, False),
    ],
)
def test_only_a_better_finite_pair_passes(metric, before, first, finite, published):
    allowed, reason = may_publish(metric, before, first=first, finite=finite)
    assert allowed is published
    assert reason


def test_the_reason_names_both_figures():
    _, reason = may_publish(0.5, 0.75, first=False, finite=True)
    assert "0.5000" in reason
    assert "0.7500" in reason
