"""Networks: the architectures by name and the student/teacher pair built from one of them."""

from sequal.learning.networks.dual import DualNetwork
from sequal.learning.networks.registry import NETWORK_STRIDE, Architecture, create_network, network_definition

__all__ = ["NETWORK_STRIDE", "Architecture", "DualNetwork", "create_network", "network_definition"]
