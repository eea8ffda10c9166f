import pytest
import torch
from torch import nn

from sequal.learning.networks import Architecture, create_network
from sequal.learning.networks.dropout import Dropout, cheap_dropout, kept


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_the_part_that_is_dropped_and_the_mean_that_stays(p):
    torch.manual_seed(0)
    x = torch.ones(64, 4, 32, 32)
    y = Dropout(p).train()(x)
    assert (y == 0).double().mean() == pytest.approx(p, abs=1 / 512 + 0.003)
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert len(torch.unique(y)) == 2
    # neither channels nor neighbours share a draw
    dropped = (y == 0).double().flatten(1)
    assert torch.corrcoef(dropped).fill_diagonal_(0).abs().max() < 0.1
    assert torch.corrcoef(torch.stack([dropped[:, :-1].flatten(), dropped[:, 1:].flatten()]))[0, 1].abs() < 0.01


def test_the_gradient_reaches_what_was_kept_with_its_scale():
    x = torch.ones(8, 2, 16, 16, requires_grad=True)
    y = Dropout(0.25).train()(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_everything_is_dropped_at_one_and_a_turned_matrix_is_no_trouble():
    assert not Dropout(1.0).train()(torch.ones(2, 3, 4, 4)).any()
    assert Dropout(0.5).train()(torch.ones(6, 4).T).shape == (4, 6)


def test_nothing_is_dropped_when_it_evaluates_or_at_zero():
    x = torch.rand(2, 2, 4, 4)
    torch.testing.assert_close(Dropout(0.5).eval()(x), x)
    torch.testing.assert_close(Dropout(0.0).train()(x), x)


def test_one_seed_one_draw_whatever_the_order_in_memory():
    x = torch.rand(3, 5, 8, 16)
    layer = Dropout(0.3).train()
    torch.manual_seed(1)
    first = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(layer(x), first)
    assert kept(x.shape, 0.3, x.to(memory_format=torch.channels_last)).is_contiguous(memory_format=torch.channels_last)


def test_a_size_that_eight_does_not_divide_and_a_probability_near_one():
    keep = kept(torch.Size([1, 3, 1, 1]), 0.999, torch.zeros(1, 3, 1, 1))
    assert keep.shape == (1, 3, 1, 1)
    assert keep.isfinite().all()


def test_registered_networks_have_it_and_the_weights_are_torch_s():
    network = create_network(Architecture("unet"))
    assert {type(layer) for layer in network.modules() if isinstance(layer, nn.Dropout)} == {Dropout}
    plain = nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5))
    assert [type(layer) for layer in cheap_dropout(plain)] == [Dropout, nn.Dropout2d]
