import pytest
import torch
from torch import nn

from sequal.learning.networks import Architecture, FeatureLayers, create_network
from sequal.settings import NETWORK_NAMES

EXAMPLE = torch.zeros(1, 1, 64, 64)


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
    layers = FeatureLayers.of(network, EXAMPLE)
    assert layers.bottleneck is network.deep
    assert layers.last is network.up


def test_a_tap_holds_the_maps_of_the_last_pass_and_is_closed_behind():
    network = UShape().eval()
    layers = FeatureLayers.of(network, EXAMPLE)
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
    assert FeatureLayers.of(network, EXAMPLE).last is network[1]


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_every_registered_network(name, spatial_dims):
    """The deepest map is coarse, its values few; the last layer makes classes out of more channels."""
    architecture = Architecture(name, spatial_dims, in_channels=2, classes=3)
    network = create_network(architecture).eval()
    layers = FeatureLayers.of(network, architecture.example())
    sides = (3 * architecture.stride, *[2 * architecture.stride] * (spatial_dims - 1))
    with torch.no_grad(), layers.tapped() as tap:
        logits = network(torch.rand(1, 2, *sides))
    assert logits.shape == (1, 3, *sides)
    channels, *deepest = tap.bottleneck.shape[1:]
    assert channels >= 16
    assert 3 <= deepest[0] <= sides[0] // 8
    assert {side // deep for side, deep in zip(sides, deepest, strict=True)} == {sides[0] // deepest[0]}
    assert tap.penultimate.shape[1] > 3
    assert tap.penultimate.shape[2:] in (sides, tuple(side // 2 for side in sides))


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_in_training_the_features_lead_back_to_the_network_and_the_logits_come_from_them(name, spatial_dims):
    architecture = Architecture(name, spatial_dims)
    network = create_network(architecture).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    layers = FeatureLayers.of(network, architecture.example())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert network.training
    with layers.tapped() as tap:
        logits = network(torch.rand(2, 1, *[architecture.stride] * spatial_dims))
    tap.penultimate.retain_grad()
    logits.square().mean().backward()
    assert tap.penultimate.grad.abs().max() > 0
    first = next(parameter for parameter in network.parameters() if parameter.ndim > 2)
    assert first.grad.abs().max() > 0


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_the_bias_of_the_logits_is_added_to_them(name, spatial_dims):
    filters = None if name == "flexible_unet" else 2  # its encoder has fixed widths
    architecture = Architecture(name, spatial_dims, classes=3, filters=filters)
    torch.manual_seed(0)
    network, x = create_network(architecture).eval(), torch.rand_like(architecture.example())
    layer = FeatureLayers.of(network, architecture.example()).logits
    with torch.inference_mode():
        before = network(x)
    with torch.no_grad():
        layer.bias[0] -= 0.5
    with torch.inference_mode():
        moved = network(x) - before
    torch.testing.assert_close(moved[:, 0], torch.full_like(moved[:, 0], -0.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, 1:], torch.zeros_like(moved[:, 1:]), atol=1e-4, rtol=0)
