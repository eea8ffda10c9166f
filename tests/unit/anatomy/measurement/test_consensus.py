import numpy as np
import pytest

from sequal.anatomy.measurement import fuse_readers
from sequal.errors import LabelError


def column(*values):
    return np.array([values], dtype=np.uint8)


def test_a_vote_counts_those_who_annotated():
    votes = [column(1, 1, 255, 255), column(1, 0, 255, 255), column(0, 255, 1, 255)]
    # two of three; one against one is unknown; the only one; nobody
    assert fuse_readers(votes).tolist() == [[1, 255, 1, 255]]


def test_the_class_with_most_votes_counts_also_without_the_half_of_them():
    votes = [column(1), column(2), column(2), column(0), column(3)]
    assert fuse_readers(votes).tolist() == [[2]]
    assert fuse_readers([column(1), column(2), column(0)]).tolist() == [[255]]


def test_weights_decide_and_equal_sums_do_not_although_they_differ_by_rounding():
    drawn = [column(1, 1), column(0, 0), column(0, 1)]
    assert fuse_readers(drawn, "weights", [0.6, 0.2, 0.2]).tolist() == [[1, 1]]
    assert fuse_readers(drawn, "weights", [0.3, 0.1, 0.2]).tolist() == [[255, 1]]


def test_the_published_weights_are_a_majority_of_three():
    rng = np.random.default_rng(0)
    votes = [rng.integers(0, 2, (20, 20)).astype(np.uint8) for _ in range(3)]
    assert np.array_equal(fuse_readers(votes, "weights", [0.45, 0.35, 0.20]), fuse_readers(votes))


@pytest.mark.parametrize("weights", [None, [1.0], [1.0, 0.0], [1.0, np.nan]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(LabelError, match="2 numbers over 0"):
        fuse_readers([column(1), column(0)], "weights", weights)


def block(top, *, size=40, thickness=8, number=1):
    label = np.zeros((size, size), np.uint8)
    label[:, top : top + thickness] = number
    return label


def test_staple_trusts_the_readers_who_agree_and_knows_several_classes():
    good = block(5) + block(25, number=2)
    bad = block(10) + block(30, number=2)
    assert np.array_equal(fuse_readers([good, good, bad], "staple"), good)


def test_staple_does_not_know_what_one_reader_left_out():
    sparse = block(5)
    sparse[:10] = 255
    fused = fuse_readers([block(5), sparse, block(5)], "staple")
    assert (fused[:10] == 255).all()
    assert np.array_equal(fused[10:], block(5)[10:])
    nothing = np.zeros((4, 4), np.uint8)
    assert not fuse_readers([nothing, nothing], "staple").any()
    assert (fuse_readers([nothing, np.full((4, 4), 255, np.uint8)], "staple") == 255).all()


def test_labels_of_two_shapes_and_none_are_refused():
    for labels in ([np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)], []):
        with pytest.raises(LabelError, match="one shape"):
            fuse_readers(labels)
