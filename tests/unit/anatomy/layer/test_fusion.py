import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sequal.anatomy.layer.fusion import continue_layer
from sequal.anatomy.layer.supervision import apply_supervision
from sequal.learning import refinement

LABELS = arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 255]))
PROBABILITIES = arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32))


def fuse(current, expert, probability, supervision="columns", **rules):
    """Fusion of a layer of which a network gives the probability."""
    classes, confidence = (probability > 0.5).astype(np.uint8), np.maximum(probability, 1 - probability)
    result = refinement.fuse(current, expert, classes, confidence, **rules)
    return continue_layer(result, current, expert) if supervision == "columns" else result


@pytest.mark.parametrize(
    ("label", "probability", "expected"),
    [
        (0, 0.9, 1),  # sure of the layer, against the label
        (0, 0.8, 0),  # m must exceed λ
        (0, 0.7, 0),
        (0, 0.1, 0),
        (1, 0.05, 0),  # sure of background, against the label
        (1, 0.25, 1),
        (1, 0.99, 1),
        (255, 0.9, 1),  # filled by the same rule
        (255, 0.05, 0),
        (255, 0.5, 255),
        (255, 0.79, 255),
    ],
)
def test_every_case_of_the_rule(label, probability, expected):
    # The last row keeps the column and the foreground alive.
    current = np.array([[label, 1, 1, 1]], np.uint8)
    p = np.array([[probability, 0.6, 0.6, 0.6]], np.float32)
    result = fuse(current, current, p, threshold=0.8)
    assert result.label.tolist() == [[expected, 1, 1, 1]]
    assert result.accepted
    assert result.pixels_changed == int(label != expected)
    assert result.label.dtype == np.uint8


@given(LABELS, PROBABILITIES)
def test_what_the_expert_annotated_stays_where_only_the_unknown_is_filled(expert, probability):
    result = fuse(expert, expert, probability, threshold=0.6, min_foreground=0.0, scope="unknown", supervision="full")
    annotated = expert != 255
    np.testing.assert_array_equal(result.label[annotated], expert[annotated])


def test_the_unknown_is_filled_by_the_published_rule():
    expert = np.array([[1, 0, 255, 255]], np.uint8)
    p = np.array([[0.05, 0.95, 0.9, 0.05]], np.float32)
    result = fuse(expert, expert, p, threshold=0.8, min_foreground=0.0, scope="unknown", supervision="full")
    assert result.label.tolist() == [[1, 0, 1, 0]]


def test_the_teacher_speaks_through_the_refined_label_too():
    expert = np.array([[1, 1, 0, 255]], np.uint8)
    current = np.array([[1, 1, 1, 0]], np.uint8)
    result = fuse(current, expert, np.array([[0.6, 0.6, 0.05, 0.9]], np.float32), threshold=0.8)
    assert result.label.tolist() == [[1, 1, 0, 1]]
    assert result.pixels_changed == 2


@pytest.mark.parametrize(("kept", "accepted"), [(2, True), (1, False)])
def test_an_update_that_keeps_under_half_of_the_foreground_is_refused(kept, accepted):
    expert = np.ones((1, 4), np.uint8)
    p = np.where(np.arange(4) < kept, 0.9, 0.05).astype(np.float32)[None]
    result = fuse(expert, expert, p, threshold=0.8, min_foreground=0.5)
    assert result.accepted is accepted
    assert result.label.sum() == (kept if accepted else 4)
    assert result.pixels_changed == (4 - kept if accepted else 0)


@pytest.mark.parametrize(("minimum", "accepted"), [(0.66, True), (0.67, False)])
def test_a_teacher_that_disagrees_with_the_expert_writes_nothing(minimum, accepted):
    # Where the expert annotated he drew 2 pixels and the teacher finds 1 of them: Dice 2·1 / (2 + 1).
    expert = np.array([[1, 1, 0, 0], [255, 255, 255, 255]], np.uint8)
    p = np.array([[0.9, 0.4, 0.1, 0.1], [0.9, 0.9, 0.1, 0.1]], np.float32)
    result = fuse(expert, expert, p, threshold=0.8, min_agreement=minimum)
    assert result.accepted is accepted
    assert result.label[1].tolist() == ([1, 1, 0, 0] if accepted else [255] * 4)


def test_agreement_is_with_the_expert_not_with_the_refined_label():
    expert = np.array([[1, 1, 0, 0]], np.uint8)
    p = np.array([[0.9, 0.9, 0.1, 0.1]], np.float32)
    assert fuse(np.ones((1, 4), np.uint8), expert, p, min_agreement=1.0).accepted


def test_the_foreground_is_counted_where_the_expert_annotated():
    # All of the expert's layer goes, four pixels that he did not annotate come: still refused.
    expert = np.array([[1, 1, 255, 255, 255, 255]], np.uint8)
    p = np.array([[0.01, 0.01, 0.99, 0.99, 0.99, 0.99]], np.float32)
    result = fuse(expert, expert, p, threshold=0.8)
    assert not result.accepted
    assert result.label.tolist() == expert.tolist()


def test_refused_updates_are_judged_against_the_expert_not_the_refined_label():
    expert = np.array([[1, 1, 0, 0, 0, 0, 0, 0]], np.uint8)
    current = np.ones((1, 8), np.uint8)
    p = np.array([[0.9, 0.9] + [0.01] * 6], np.float32)
    assert fuse(current, expert, p, threshold=0.8).accepted


def test_a_column_without_layer_stays_unknown():
    expert = np.array([[0, 1, 0], [255, 255, 255]], np.uint8)
    p = np.array([[0.01, 0.9, 0.01], [0.01, 0.01, 0.6]], np.float32)
    assert fuse(expert, expert, p, supervision="columns").label.tolist() == [[0, 1, 0], [255, 255, 255]]
    assert fuse(expert, expert, p, supervision="full").label.tolist() == [[0, 1, 0], [0, 0, 255]]


def test_a_missed_piece_of_wall_is_filled_in():
    expert = np.array([[0, 1, 0], [255, 255, 255]], np.uint8)
    p = np.array([[0.01, 0.9, 0.01], [0.01, 0.95, 0.3]], np.float32)
    assert fuse(expert, expert, p).label.tolist() == [[0, 1, 0], [0, 1, 255]]


@given(LABELS, LABELS, PROBABILITIES, st.floats(0.5, 0.99), st.floats(0, 1))
def test_unsure_pixels_stay_and_nothing_given_is_changed(current, expert, p, threshold, minimum):
    before = current.copy(), expert.copy(), p.copy()
    full = fuse(current, expert, p, threshold=threshold, min_foreground=minimum, supervision="full")
    columns = fuse(current, expert, p, threshold=threshold, min_foreground=minimum, supervision="columns")
    for given_array, kept in zip((current, expert, p), before, strict=True):
        np.testing.assert_array_equal(given_array, kept)
    unsure = np.maximum(p, 1 - p) <= threshold
    np.testing.assert_array_equal(full.label[unsure], current[unsure])
    with_layer = (columns.label == 1).any(axis=1, keepdims=True) | np.zeros_like(unsure)
    if columns.accepted:
        np.testing.assert_array_equal(columns.label[unsure & with_layer], current[unsure & with_layer])
        assert (columns.label[~with_layer] == 255).all()
    for result in (full, columns):
        assert result.pixels_changed == np.count_nonzero(result.label != current)
        assert set(np.unique(result.label)) <= {0, 1, 255}


@given(LABELS)
def test_supervision_by_columns(label):
    out = apply_supervision(label, "columns")
    drawn = (label == 1).any(axis=1)
    np.testing.assert_array_equal(out[drawn], label[drawn])
    assert (out[~drawn] == 255).all()
    np.testing.assert_array_equal(apply_supervision(label, "full"), label)
    np.testing.assert_array_equal(apply_supervision(out, "columns"), out)


def _frame(width=12, height=20):
    """An expert drew a layer two pixels thick in the first four columns; a teacher finds it in the first eight."""
    expert = np.full((width, height), 255, np.uint8)
    expert[:4] = 0
    expert[:4, 10:12] = 1
    p = np.full((width, height), 0.05, np.float32)
    p[:8, 10:12] = 0.95
    return expert, p


def test_the_layer_is_filled_where_it_continues():
    expert, p = _frame()
    label = fuse(expert, expert, p).label
    assert (label[:8, 10:12] == 1).all()
    assert (label[4:8, :10] == 0).all()
    assert (label[8:] == 255).all()


def test_what_is_not_connected_with_the_drawn_layer_is_not_filled():
    expert, p = _frame()
    p[10:, 3:5] = 0.95  # a band in the margin of the picture
    p[6, 2] = 0.95  # a speck above a column that is filled
    label = fuse(expert, expert, p).label
    assert (label[10:] == 255).all()
    assert label[6, 2] == 255
    assert (label[6, 10:12] == 1).all()


def test_columns_much_thicker_than_any_drawn_one_are_not_filled():
    expert, p = _frame()
    p[7, 8:14] = 0.95
    label = fuse(expert, expert, p).label
    assert (label[7] == 255).all()
    assert (label[6, 10:12] == 1).all()


def test_what_was_filled_before_stays_when_the_update_is_refused():
    expert, p = _frame()
    current = expert.copy()
    current[10, :] = 0
    current[10, 4:6] = 1
    assert fuse(current, expert, p).label[10].tolist() == current[10].tolist()
