"""The two networks that a method trains together, whatever they have to do with each other."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from sequal.learning.networks.architecture import Architecture
from sequal.learning.networks.feature_layers import FeatureLayers
from sequal.learning.networks.registry import create_network
from sequal.learning.quality.error_branch import ErrorBranch
from sequal.settings import Settings

__all__ = ["NetworkPair", "Weights", "build", "snapshot"]

Weights = dict[str, Tensor]


class NetworkPair(nn.Module, ABC):
    """Two networks in one module and one checkpoint.

    A method says which of its members annotators see (`shown`), which two PLD compares (`compared`), which learn by
    gradient (`learners`), and which one shows first what a round takes up (`early`).

    Attributes:
        method: name of the method, as in the settings.
        member_names: names of the two networks in a checkpoint; PLD takes the pseudo-label of the first.
        symmetric: PLD is the mean of both directions.
        branch: says where what is shown is wrong (S3); None: there is none.
    """

    method: ClassVar[str]
    member_names: ClassVar[tuple[str, str]]
    symmetric: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._frozen_statistics = False
        self.branch: ErrorBranch | None
        self.register_module("branch", None)

    @classmethod
    @abstractmethod
    def create(cls, architectures: Mapping[str, Architecture], alpha_max: float) -> Self:
        """A pair with random weights.

        Args:
            architectures: by member.
            alpha_max: of a moving average, for a method that has one.

        Raises:
            CheckpointError: an architecture does not exist, or they do not go together.
        """

    @classmethod
    @abstractmethod
    def architectures_of(cls, settings: Settings, shape: Architecture) -> dict[str, Architecture]:
        """By member what the settings ask for; `shape` has the dimensions, channels and classes of the model."""

    @property
    @abstractmethod
    def members(self) -> dict[str, nn.Module]:
        """Both networks by name, in the order of `member_names`."""

    @property
    @abstractmethod
    def architectures(self) -> dict[str, Architecture]:
        """How each member is built."""

    @property
    @abstractmethod
    def shown(self) -> nn.Module:
        """The network whose prediction annotators see."""

    @property
    @abstractmethod
    def early(self) -> nn.Module:
        """The network that shows first what a round takes up."""

    @property
    @abstractmethod
    def learners(self) -> tuple[nn.Module, ...]:
        """The networks that learn by gradient, each by an optimiser of its own."""

    @property
    @abstractmethod
    def updates(self) -> int:
        """Optimiser steps in the life of the pair."""

    @abstractmethod
    def after_step(self) -> None:
        """To be called after every optimiser step."""

    @abstractmethod
    def load_weights(self, weights: Mapping[str, Weights], updates: int) -> None:
        """Take over both networks and the count of steps.

        Raises:
            RuntimeError: the tensors do not fit the architecture (torch's own message names them).
        """

    @property
    def compared(self) -> tuple[nn.Module, nn.Module]:
        """The two networks that PLD compares: the one whose pseudo-label it takes, and the other."""
        first, second = (self.members[name] for name in self.member_names)
        return first, second

    def weights(self) -> dict[str, Weights]:
        """Plain tensors on the CPU by member, for a checkpoint."""
        return {name: snapshot(network) for name, network in self.members.items()}

    def average_with(self, others: Sequence["NetworkPair"]) -> None:
        """Take the mean of all these pairs' weights and its own, member with member.

        Between weights and what further training made of them the mean often has the accuracy of the one on the data of
        its training and of the other on the data of its own (WiSE-FT, Wortsman et al., CVPR 2022; model soups, Wortsman
        et al., ICML 2022).

        Args:
            others: pairs of the same architectures. A branch that one of them lacks stays as it is.
        """
        states = [other.state_dict() for other in others]
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point() and all(name in state for state in states):
                    tensor.copy_(
                        torch.stack([tensor, *(state[name].to(tensor.device) for state in states)]).mean(dim=0)
                    )

    def move_towards(self, other: "NetworkPair", share: float) -> None:
        """Take (1 − `share`) of its own weights and `share` of another pair's, each member from its like.

        Args:
            other: a pair of the same architectures, on any device. A branch that it lacks stays as it is.
            share: 0..1.
        """
        state = other.state_dict()
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point() and name in state:
                    tensor.lerp_(state[name].to(tensor.device), share)

    def raise_logits(self, by: float) -> None:
        """Add a constant to the log-odds of every class against the background, in the weights of both networks.

        Args:
            by: the constant.
        """
        for name, network in self.members.items():
            example = self.architectures[name].example().to(next(network.parameters()).device)
            with torch.no_grad():
                FeatureLayers.of(network, example).logits.bias[0] -= by  # type: ignore[index, operator]

    def freeze_statistics(self) -> None:
        """Let the learners' batch norm use, and keep, the statistics that it has, also while they train."""
        self._frozen_statistics = True

    def train(self, mode: bool = True) -> Self:
        """After `freeze_statistics` batch norm stays in evaluation mode."""
        super().train(mode)
        if self._frozen_statistics:
            for learner in self.learners:
                for layer in learner.modules():
                    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                        layer.eval()
        return self


def build(architecture: Architecture) -> nn.Module:
    """A network with random weights, in the layout in which it trains fastest.

    Raises:
        CheckpointError: no architecture has this name.
    """
    network = create_network(architecture)
    if architecture.spatial_dims == 2:  # twice as fast on CPUs and on GPUs with mixed precision
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def snapshot(network: nn.Module) -> Weights:
    """A copy of a network's weights as plain tensors on the CPU."""
    # MONAI's DynUNet lists each of its modules twice; sharing the copy keeps the file at half the size.
    copies: Weights = {}
    return {
        key: copies.setdefault(str(value.data_ptr() or id(value)), value.detach().cpu().clone())
        for key, value in network.state_dict().items()
    }
