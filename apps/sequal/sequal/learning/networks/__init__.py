"""Networks: architectures by name, where their features are, several that answer as one, and the pair of a method."""

from sequal.learning.networks.architecture import NETWORK_STRIDE, Architecture
from sequal.learning.networks.ensemble import Ensemble, mean_log_probability
from sequal.learning.networks.feature_layers import FeatureLayers, Tap
from sequal.learning.networks.modes import dropout_layers, evaluating, only_dropout_trains
from sequal.learning.networks.pair import NetworkPair, Weights, build, snapshot
from sequal.learning.networks.registry import create_network, network_definition
from sequal.learning.networks.vnet import VNet

__all__ = [
    "NETWORK_STRIDE",
    "Architecture",
    "Ensemble",
    "FeatureLayers",
    "NetworkPair",
    "Tap",
    "VNet",
    "Weights",
    "build",
    "create_network",
    "dropout_layers",
    "evaluating",
    "mean_log_probability",
    "network_definition",
    "only_dropout_trains",
    "snapshot",
]
