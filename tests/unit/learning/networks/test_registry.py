import json

import pytest
import torch
from monai.bundle import ConfigParser

from sequal.errors import CheckpointError
from sequal.learning.networks import Architecture, create_network, network_definition
from sequal.settings import NETWORK_NAMES


@pytest.mark.parametrize("name", [name for name in NETWORK_NAMES if name != "unetplusplus"])
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
