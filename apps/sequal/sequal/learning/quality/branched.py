"""Networks together with their error branch: one pass gives what they predict and where that is wrong."""

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from sequal.learning.networks import Ensemble, FeatureLayers, NetworkPair, evaluating, mean_log_probability
from sequal.learning.quality.error_branch import ErrorBranch

__all__ = ["Branched", "new_branch"]


class Branched:
    """A network, or several that answer as one, whose last features an error branch sees.

    Args:
        network: what is shown, on the device of the example; an `Ensemble` stands for its members.
        branch: on the same device.
        example: a small input, see `FeatureLayers.of`.
    """

    def __init__(self, network: nn.Module | Sequence[nn.Module], branch: ErrorBranch, example: Tensor) -> None:
        self.members = _members(network)
        self.branch = branch
        self._layers = [FeatureLayers.of(member, example) for member in self.members]

    @classmethod
    def shown(cls, pair: NetworkPair) -> "Branched | None":
        """What a pair shows, with its branch; None where it has none."""
        if pair.branch is None:
            return None
        example = next(iter(pair.architectures.values())).example().to(next(pair.parameters()).device)
        return cls(pair.shown, pair.branch, example)

    def __call__(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits (B, C, *spatial) of each member, and the branch's log-odds of an error (B, C − 1, *spatial)."""
        logits, features = self.tap(x)
        return logits, self.branch(features, self.mean(logits))

    def tap(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (B, C, *spatial) and last features (B, F, *fine) of each member."""
        with ExitStack() as stack:
            taps = [stack.enter_context(layers.tapped()) for layers in self._layers]
            logits = [member(x) for member in self.members]
        return logits, [tap.penultimate for tap in taps]

    @staticmethod
    def mean(logits: Sequence[Tensor]) -> Tensor:
        """Logits of what is shown, from those of its members."""
        if len(logits) == 1:
            return logits[0].float()
        return mean_log_probability([torch.log_softmax(one.float(), dim=1) for one in logits])


def new_branch(pair: NetworkPair, seed: int) -> ErrorBranch:
    """A branch for what a pair shows, with random weights that a seed gives, on the device of the pair.

    Torch's own generator is left as it was.
    """
    architecture = next(iter(pair.architectures.values()))
    device = next(pair.parameters()).device
    example = architecture.example().to(device)
    members = _members(pair.shown)
    features = []
    with evaluating(members), torch.no_grad():
        for member in members:
            with FeatureLayers.of(member, example).tapped() as tap:
                member(example)
            features.append((tap.penultimate.shape[1], example.shape[-1] // tap.penultimate.shape[-1]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ErrorBranch(architecture.spatial_dims, features, architecture.classes).to(device)


def _members(network: nn.Module | Sequence[nn.Module]) -> list[nn.Module]:
    if isinstance(network, Ensemble):
        return list(network.members)
    return [network] if isinstance(network, nn.Module) else list(network)
