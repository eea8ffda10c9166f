"""The second method: two networks of different architecture that teach each other (S2)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from sequal.errors import CheckpointError
from sequal.learning.batch import Batch
from sequal.learning.losses import (
    CrossPseudoLoss,
    confident_disagreement_loss,
    prototype_contrast_loss,
    reliable_voxels,
)
from sequal.learning.method import Method
from sequal.learning.networks import (
    Architecture,
    Ensemble,
    FeatureLayers,
    NetworkPair,
    Weights,
    build,
    mean_log_probability,
)
from sequal.learning.trainer import Losses, PairTrainer
from sequal.settings import Settings

__all__ = ["METHOD", "CrossPair", "CrossTrainer"]


class CrossPair(NetworkPair):
    """Two networks with their own weights; the mean of their softmaxes is shown, and PLD is their symmetric KL.

    Lu et al., Knowl.-Based Syst. 2025 (arXiv 2509.13084). What one network gets wrong by its architecture the other may
    get right, so each is a teacher that the other cannot copy.
    """

    method: ClassVar[str] = "cross"
    member_names: ClassVar[tuple[str, str]] = ("first", "second")
    symmetric: ClassVar[bool] = True

    def __init__(self, first: Architecture, second: Architecture) -> None:
        super().__init__()
        self._architectures = {"first": first, "second": second}
        self._shown = Ensemble([build(first), build(second)])
        self._updates: Tensor
        self.register_buffer("_updates", torch.zeros((), dtype=torch.long))

    @classmethod
    def create(cls, architectures: Mapping[str, Architecture], alpha_max: float) -> Self:
        """A pair with random weights; nothing is averaged, so `alpha_max` is not used."""
        first, second = architectures["first"], architectures["second"]
        if replace(first, name=second.name) != second:
            raise CheckpointError(
                f"Expected two networks for the same images and classes, got {first} and {second}. "
                "Use a checkpoint that this version of the app wrote."
            )
        return cls(first, second)

    @classmethod
    def architectures_of(cls, settings: Settings, shape: Architecture) -> dict[str, Architecture]:
        """The first as `network` says, the second as `second_network`."""
        return {
            "first": replace(shape, name=settings.network),
            "second": replace(shape, name=settings.second_network),
        }

    @property
    def members(self) -> dict[str, nn.Module]:
        """The first and the second network."""
        return dict(zip(self.member_names, self._shown.members, strict=True))

    @property
    def architectures(self) -> dict[str, Architecture]:
        """Of both."""
        return dict(self._architectures)

    @property
    def shown(self) -> nn.Module:
        """The mean of both."""
        return self._shown

    @property
    def early(self) -> nn.Module:
        """The mean of both: each learns at once."""
        return self._shown

    @property
    def learners(self) -> tuple[nn.Module, ...]:
        """Both."""
        first, second = self._shown.members
        return first, second

    @property
    def updates(self) -> int:
        """Steps in the life of the pair."""
        return int(self._updates)

    def after_step(self) -> None:
        """Count it."""
        self._updates += 1

    def load_weights(self, weights: Mapping[str, Weights], updates: int) -> None:
        """Take over both networks and the count of steps."""
        for name, network in self.members.items():
            network.load_state_dict(weights[name])
        self._updates.fill_(updates)


class CrossTrainer(PairTrainer):
    """Each network learns from the labels and from the other (S2).

    Loss = Σ over both of supervised(p_N(x_L), ỹ) + λ(t) · (disagreement + cross pseudo supervision + contrast), with
    an optimiser for each. Both see the same view of the same patches. The contrast of one network's uncertain voxels
    takes the class that the other gives them. The output of a step also holds `supervised`, `disagreement`, `cross`,
    `contrast` and the ramped `weight`.

    The published ramp ends at λ = 0.1; the settings say how much each part weighs (`disagreement_weight`,
    `cross_weight`, `contrast_weight`; 0 leaves it out). S2 does not ramp the disagreement (`ramp=paper`). We do: what
    networks with random weights are confident of is wrong, and a few such voxels outweigh the labels.
    """

    pair: CrossPair

    def __init__(
        self,
        pair: NetworkPair,
        batches: Iterable[Batch],
        settings: Settings,
        device: torch.device,
        **others: Any,  # noqa: ANN401 - as `PairTrainer` has them
    ) -> None:
        super().__init__(pair, batches, settings, device, **others)
        quantile = settings.entropy_quantile
        self._cross = CrossPseudoLoss(quantile if quantile < 1 else None, settings.kl_weight)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._layers: list[FeatureLayers | None] = [None, None]
        if settings.contrast_weight:
            example = pair.architectures["first"].example().to(device)
            self._layers = [FeatureLayers.of(learner, example) for learner in pair.learners]

    def losses(self, batch: Batch, iteration: int) -> Losses:
        """Of one batch on the device."""
        settings, label = self.settings, batch.label
        first, first_features = self.forward(self.pair.learners[0], batch.view, label, self._layers[0])
        second, second_features = self.forward(self.pair.learners[1], batch.view, label, self._layers[1])
        supervised = self.supervised(first, label) + self.supervised(second, label)
        disagreement = cross = contrast = first.new_zeros(())
        weight = self.ramp(iteration, 1.0)
        if settings.disagreement_weight:
            disagreement = confident_disagreement_loss(first, second, label)
        if settings.cross_weight:
            cross = self._cross(first, second)
        if settings.contrast_weight:
            contrast = self._contrast(first_features, second) + self._contrast(second_features, first)
        total = (
            supervised
            + settings.disagreement_weight * (1.0 if settings.ramp == "paper" else weight) * disagreement
            + weight * (settings.cross_weight * cross + settings.contrast_weight * contrast)
            + self.prior(first, label)
            + self.prior(second, label)
        )
        shown = mean_log_probability([torch.log_softmax(logits.detach(), dim=1) for logits in (first, second)])
        figures = {"supervised": supervised, "disagreement": disagreement, "cross": cross, "contrast": contrast}
        return Losses(total, shown, {**figures, "weight": weight})

    def _contrast(self, features: Tensor, other: Tensor) -> Tensor:
        classes, reliable = reliable_voxels(other, self.settings.entropy_quantile)
        return prototype_contrast_loss(features, classes, reliable, self._generator)


METHOD = Method(CrossPair, CrossTrainer)
