import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequal.anatomy.measurement import label_dice
from sequal.learning.quality.expected import error_anywhere, predicted_dice


def _wrong(classes, truth, number):
    return torch.stack([(classes == c) != (truth == c) for c in range(1, number + 1)], dim=1).double()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), number=st.integers(1, 3))
def test_with_the_true_errors_it_is_the_true_dice(seed, number):
    rng = np.random.default_rng(seed)
    classes, truth = (rng.integers(0, number + 1, (1, 6)).astype(np.uint8) for _ in range(2))
    wrong = _wrong(torch.from_numpy(classes), torch.from_numpy(truth), number)
    found = predicted_dice(torch.from_numpy(classes), wrong).item()
    assert found == pytest.approx(label_dice(classes, truth))


def test_of_an_empty_mask_it_is_the_chance_that_there_is_nothing():
    empty = torch.zeros(2, 5, 5, dtype=torch.long)
    wrong = torch.zeros(2, 1, 5, 5)
    wrong[1, 0, 2] = 0.75  # a whole row may be the layer: its pixels come together
    assert predicted_dice(empty, wrong).tolist() == [1.0, 0.25]


def test_a_class_that_was_not_found_counts_by_its_chance():
    classes = torch.tensor([[1, 1, 0, 0]])
    sure, doubt = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
    doubt[0, 1, 3] = 0.5
    assert predicted_dice(classes, sure).item() == 1.0
    assert predicted_dice(classes, doubt).item() == pytest.approx(1 / 1.5)


def test_errors_of_classes_add_up_outside_and_are_their_own_inside():
    wrong = torch.tensor([[[0.3, 0.9, 0.1], [0.2, 0.8, 0.6]]])
    torch.testing.assert_close(error_anywhere(torch.tensor([[0, 0, 2]]), wrong), torch.tensor([[0.5, 1.0, 0.6]]))
