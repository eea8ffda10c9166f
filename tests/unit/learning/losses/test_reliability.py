import math

import pytest
import torch

from sequal.learning.losses import reliable_voxels


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(2, 2, 9, 7), (2, 3, 5, 4, 6)])
def test_each_class_keeps_its_part_of_lowest_entropy(shape, quantile):
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    classes, reliable = reliable_voxels(logits, quantile)
    torch.testing.assert_close(classes, logits.argmax(dim=1))
    entropy = torch.distributions.Categorical(logits=logits.movedim(1, -1)).entropy()
    for number in range(shape[1]):
        here = classes == number
        kept, left = entropy[here & reliable], entropy[here & ~reliable]
        assert len(kept) == math.ceil(quantile * int(here.sum()))
        assert len(left) == 0 or kept.max() <= left.min()


def test_a_thin_structure_is_not_left_out_as_a_whole():
    """All of it is less certain than any background: one threshold for both classes would leave nothing of it."""
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, 0] = 9.0 + torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    logits[:, 1, 4] = logits[:, 0, 4] + torch.linspace(0.5, 1.0, 10)
    classes, reliable = reliable_voxels(logits, 0.5)
    assert int((reliable & (classes == 1)).sum()) == 5


def test_certain_networks_give_no_nan():
    logits = torch.tensor([[3e4, -3e4], [-3e4, 3e4]]).view(1, 2, 1, 2)
    classes, reliable = reliable_voxels(logits, 0.8)
    assert classes.flatten().tolist() == [0, 1]
    assert reliable.all()


def test_one_class_only_is_fine():
    classes, reliable = reliable_voxels(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4), 0.3)
    assert classes.unique().tolist() == [0]
    assert reliable.all()  # all equally certain
