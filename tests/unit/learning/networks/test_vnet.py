import pytest
import torch
from monai.networks.nets.resnet import ResNetBlock
from torch import nn

from sequal.learning.networks import VNet


def _weights(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_has_the_size_that_the_field_reports():
    """9.44 million (Wu et al., MC-Net+), for one channel and two classes."""
    assert _weights(VNet(3, 1, 2)) == pytest.approx(9.44e6, rel=2e-3)


def test_convolutions_of_each_level():
    network = VNet(3, 1, 2, filters=4)
    kernels = [m.kernel_size for m in network.modules() if isinstance(m, nn.Conv3d)]
    assert kernels.count((3, 3, 3)) == (1 + 2 + 3 + 3 + 3) + (3 + 3 + 2 + 1)
    assert kernels.count((2, 2, 2)) == 4  # halving
    assert kernels.count((1, 1, 1)) == 1  # the logits
    assert sum(isinstance(m, nn.ConvTranspose3d) for m in network.modules()) == 4


def test_the_other_encoder_has_the_blocks_of_a_resnet_34():
    network = VNet(3, 1, 2, filters=4, encoder="resnet34")
    stages = [[m for m in stage.modules() if isinstance(m, ResNetBlock)] for stage in network.stages]
    assert [len(blocks) for blocks in stages] == [0, 3, 4, 6, 3]
    assert [blocks[-1].conv2.out_channels for blocks in stages[1:]] == [8, 16, 32, 64]


@pytest.mark.parametrize("encoder", ["convolutions", "resnet34"])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_dropout_leaves_out_whole_maps_of_single_images(spatial_dims, encoder):
    network = VNet(spatial_dims, 1, 2, filters=16, encoder=encoder).train()
    seen = []
    network.last.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network(torch.rand(4, 1, *[32] * spatial_dims))
    dropped = (seen[0] == 0).flatten(2).all(dim=2)  # by image and map
    assert 0 < dropped.sum() < dropped.numel()
    assert not dropped.all(dim=1).any()
    assert not (dropped == dropped[0]).all()


@pytest.mark.parametrize("encoder", ["convolutions", "resnet34"])
def test_every_level_learns(encoder):
    network = VNet(2, 1, 3, filters=4, encoder=encoder, dropout=0.0)
    network(torch.rand(2, 1, 48, 32)).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())
