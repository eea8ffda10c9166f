import pytest
import torch
from torch import nn

from sequal.errors import ExportError
from sequal.files.exporting.agreement import LARGEST_DIFFERENCE, check_agreement, example_input, largest_difference

DOUBLE = nn.Sequential(nn.Identity())


def test_the_difference_is_the_largest_one():
    def off_in_one_corner(x):
        result = x.clone()
        result[-1, 0, -1, -1] -= 0.25
        result[0, 0, 0, 0] += 0.125
        return result

    assert largest_difference(DOUBLE, lambda x: x) == 0.0
    assert largest_difference(DOUBLE, off_in_one_corner) == 0.25


def test_inputs_are_of_several_sizes_and_not_the_traced_one():
    seen = []
    largest_difference(DOUBLE, lambda x: seen.append(tuple(x.shape)) or x)
    assert len(set(seen)) == len(seen) >= 3
    assert {shape[0] for shape in seen} == {1, 2}
    assert all(side % 32 == 0 for shape in seen for side in shape[2:])
    assert tuple(example_input().shape) not in seen


def test_agreement_within_the_limit_is_told():
    found = check_agreement(DOUBLE, lambda x: x + 0.5 * LARGEST_DIFFERENCE, "file")
    assert 0 < found <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("wrong", [lambda x: x + 2 * LARGEST_DIFFERENCE, lambda x: x * torch.nan])
def test_another_result_is_refused(wrong):
    with pytest.raises(ExportError, match=r"to agree with the network within 0\.0001"):
        check_agreement(DOUBLE, wrong, "file")


def test_a_form_that_takes_one_size_only_is_refused():
    def one_size(x):
        if x.shape[-1] != 64:
            raise ValueError("Got invalid dimensions for input\nlong story")
        return x

    with pytest.raises(
        ExportError, match="inputs of any size in multiples of 32, got: Got invalid dimensions"
    ) as caught:
        check_agreement(DOUBLE, one_size, "file")
    assert "long story" not in str(caught.value)
