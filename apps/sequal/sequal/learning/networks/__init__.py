"""Networks: the architectures by name, where their features are, and the pair of student and teacher."""

from sequal.learning.networks.architecture import NETWORK_STRIDE, Architecture
from sequal.learning.networks.dual import DualNetwork
from sequal.learning.networks.feature_layers import FeatureLayers, Tap
from sequal.learning.networks.registry import create_network, network_definition
from sequal.learning.networks.vnet import VNet

__all__ = [
    "NETWORK_STRIDE",
    "Architecture",
    "DualNetwork",
    "FeatureLayers",
    "Tap",
    "VNet",
    "create_network",
    "network_definition",
]
