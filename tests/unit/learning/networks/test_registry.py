import json

import pytest
import torch
from monai.bundle import ConfigParser
from monai.networks.nets import BasicUNetPlusPlus

from sequal.errors import CheckpointError
from sequal.learning.networks import Architecture, create_network, network_definition
from sequal.settings import NETWORK_NAMES

#: Networks that are not MONAI's as they are.
OWN = ("unetplusplus", "vnet", "resnet_vnet")
_ENDS = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}
#: As checkpoints of the first versions hold them, which name nothing but the network.
FIRST_VERSIONS = {
    "dynunet": {
        "_target_": "monai.networks.nets.DynUNet",
        **_ENDS,
        "kernel_size": [3] * 6,
        "strides": [1, 2, 2, 2, 2, 2],
        "upsample_kernel_size": [2, 2, 2, 2, 2],
        "filters": [12, 24, 48, 64, 96, 128],
        "norm_name": ["batch", {}],
        "deep_supervision": False,
    },
    "unet": {
        "_target_": "monai.networks.nets.UNet",
        **_ENDS,
        "channels": [16, 32, 48, 64, 96, 128],
        "strides": [2, 2, 2, 2, 2],
        "num_res_units": 2,
        "norm": "batch",
        "dropout": 0.05,
    },
    "basic_unet": {
        "_target_": "monai.networks.nets.BasicUNet",
        **_ENDS,
        "features": [16, 24, 32, 64, 96, 16],
        "norm": "batch",
    },
    "attention_unet": {
        "_target_": "monai.networks.nets.AttentionUnet",
        **_ENDS,
        "channels": [16, 32, 48, 64, 96],
        "strides": [2, 2, 2, 2],
    },
    "segresnet": {
        "_target_": "monai.networks.nets.SegResNet",
        **_ENDS,
        "init_filters": 8,
        "norm": "batch",
        "blocks_down": [1, 2, 2, 4],
    },
    "flexible_unet": {
        "_target_": "monai.networks.nets.FlexibleUNet",
        **_ENDS,
        "backbone": "efficientnet-b0",
        "pretrained": False,
    },
}


def _seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


@pytest.mark.parametrize("name", FIRST_VERSIONS)
def test_the_networks_of_the_first_versions_stay_as_they_were(name):
    assert network_definition(Architecture.from_record({"name": name, "kwargs": {}})) == FIRST_VERSIONS[name]


def test_the_published_network_stays_as_it_was():
    network = _seeded(lambda: create_network(Architecture("unetplusplus")))
    first = _seeded(lambda: BasicUNetPlusPlus(2, 1, 2, features=(16, 24, 32, 64, 96, 16), norm="batch"))
    weights = network.state_dict()
    assert list(weights) == [f"net.{key}" for key in first.state_dict()]
    assert all(torch.equal(weights[f"net.{key}"], value) for key, value in first.state_dict().items())


@pytest.mark.parametrize("architecture", [Architecture("unet"), Architecture("vnet", 3, 2, 4, 8)])
def test_a_checkpoint_gives_the_architecture_back(architecture, tmp_path):
    torch.save(architecture.record(), tmp_path / "record.pt")
    record = torch.load(tmp_path / "record.pt", weights_only=True)
    assert Architecture.from_record(record) == architecture


def test_arguments_of_a_newer_version_are_refused():
    with pytest.raises(CheckpointError, match=r"got \['experts'\]"):
        Architecture.from_record({"name": "unet", "kwargs": {"experts": 4}})


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("name", NETWORK_NAMES)
def test_channels_classes_and_sides(name, spatial_dims):
    architecture = Architecture(name, spatial_dims, in_channels=3, classes=4)
    sides = [2 * architecture.stride] + [architecture.stride] * (spatial_dims - 1)
    with torch.inference_mode():
        logits = create_network(architecture).eval()(torch.rand(1, 3, *sides))
    assert logits.shape == (1, 4, *sides)


@pytest.mark.parametrize("name", [name for name in NETWORK_NAMES if name != "flexible_unet"])
def test_filters_scale_every_level(name):
    def weights(filters):
        network = create_network(Architecture(name, spatial_dims=3, filters=filters))
        return sum(parameter.numel() for parameter in network.parameters())

    assert 3.2 < weights(32) / weights(16) < 4.05


def test_a_network_of_fixed_widths_refuses_filters():
    with pytest.raises(CheckpointError, match="no `filters` for the network flexible_unet, got 8"):
        create_network(Architecture("flexible_unet", filters=8))


@pytest.mark.parametrize("name", [name for name in NETWORK_NAMES if name not in OWN])
def test_a_definition_builds_the_same_network_without_the_app(name):
    definition = json.loads(json.dumps(network_definition(Architecture(name))))
    network = create_network(Architecture(name)).eval()
    parser = ConfigParser({"network_def": definition})
    built = parser.get_parsed_content("network_def").eval()
    built.load_state_dict(network.state_dict())
    x = torch.rand(1, 1, 64, 32)
    with torch.inference_mode():
        torch.testing.assert_close(built(x), network(x), rtol=0, atol=0)


def test_a_definition_is_the_callers_own():
    network_definition(Architecture("unet"))["channels"].clear()
    assert network_definition(Architecture("unet"))["channels"]


def test_an_unknown_architecture_is_refused():
    with pytest.raises(CheckpointError, match="to be one of"):
        network_definition(Architecture("nonsense"))
