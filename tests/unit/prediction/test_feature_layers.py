import pytest
import torch
from torch import nn

from sequal.learning.networks import NETWORK_STRIDE, Architecture, create_network
from sequal.prediction.layers import FeatureLayers
from sequal.settings import NETWORK_NAMES

CPU = torch.device("cpu")


class UShape(nn.Module):
    """Halves once, squeezes and excites, and ends in a layer on class maps."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 3, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(3, 5, 3, padding=1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.up = nn.ConvTranspose2d(5, 2, 2, stride=2)
        self.polish = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        deep = self.deep(self.down(x))
        return self.polish(self.up(deep * self.squeeze(deep).sigmoid()))


def test_which_layers_are_taken():
    network = UShape().eval()
    layers = FeatureLayers.of(network, CPU)
    assert layers.bottleneck is network.deep
    assert layers.last is network.up


def test_a_tap_holds_the_maps_of_the_last_pass_and_is_closed_behind():
    network = UShape().eval()
    layers = FeatureLayers.of(network, CPU)
    x = torch.rand(2, 1, 8, 8)
    with torch.no_grad(), layers.tapped() as tap:
        network(torch.zeros_like(x))
        network(x)
        deep = network.deep(network.down(x))
        assert torch.equal(tap.bottleneck, deep)
        assert torch.equal(tap.penultimate, deep * network.squeeze(deep).sigmoid())
        held = tap.bottleneck
    network(x + 1)
    assert tap.bottleneck is held
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_that_ends_in_class_maps_alone_takes_their_last_layer():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1)).eval()
    assert FeatureLayers.of(network, CPU).last is network[1]


@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_registered_network(name):
    """The deepest map is coarse, its pixels few; the last layer makes classes out of more channels."""
    network = create_network(Architecture(name)).eval()
    layers = FeatureLayers.of(network, CPU)
    side = 3 * NETWORK_STRIDE
    with torch.no_grad(), layers.tapped() as tap:
        logits = network(torch.rand(2, 1, side, side))
    assert logits.shape == (2, 2, side, side)
    count, channels, width, height = tap.bottleneck.shape
    assert count == 2
    assert channels >= 16
    assert width == height
    assert 3 <= width <= side // 8
    assert tap.penultimate.shape[1] > 2
    assert tap.penultimate.shape[-1] in (side, side // 2)
