"""What the steps of all methods share, as a MONAI trainer."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from monai.engines import Trainer
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, PolynomialLR, StepLR

from sequal.anatomy.model import PriorLoss, no_prior
from sequal.distributed import alone, as_one, in_parts, look_at_whole_batches, receive, send, together
from sequal.labels import IGNORE
from sequal.learning.batch import Batch
from sequal.learning.losses import SupervisedLoss, consistency_weight, paper_consistency_weight
from sequal.learning.networks import FeatureLayers, NetworkPair
from sequal.learning.quality.learner import QualityLearner
from sequal.settings import Settings

__all__ = ["Losses", "PairTrainer", "PriorLoss"]


#: S2 trains for 6000 steps.
_STEPS_OF_A_RATE: Final = 2500


@dataclass(frozen=True)
class Losses:
    """What one step found.

    Attributes:
        total: with gradients to the learners.
        logits: of the network that early learning is watched on.
        parts: further figures of the step, by name.
    """

    total: Tensor
    logits: Tensor
    parts: Mapping[str, Tensor | float]


class PairTrainer(Trainer):
    """One optimiser step at a time; a method adds its `losses`.

    The learning rate follows the poly rule with power 0.9 (published setting of S1), or falls to a tenth every 2500
    steps (of S2). `engine.state.output` of every step holds `loss`, the method's own figures, `quality`, the loss of
    the error branch where there is one, and `intersection` and `union` of the prediction with the experts' labels, in
    pixels.

    Args:
        pair: the networks, on `device`.
        batches: an endless iterable of `Batch`.
        settings: epochs, iterations, optimiser, weights and ramp.
        device: where to train; on CUDA with mixed precision.
        prior: what the model knows of every prediction, as a further loss of each learner.
        streams_apart: see `Model`.
        cpu_bfloat16: on a CPU, compute in bfloat16 (twice as fast where the processor has it, slower where not).
    """

    def __init__(
        self,
        pair: NetworkPair,
        batches: Iterable[Batch],
        settings: Settings,
        device: torch.device,
        *,
        prior: PriorLoss = no_prior,
        streams_apart: bool = False,
        cpu_bfloat16: bool = False,
    ) -> None:
        super().__init__(
            device=device,
            max_epochs=settings.epochs,
            data_loader=batches,
            epoch_length=settings.iterations_per_epoch,
            prepare_batch=lambda batch, *_args, **_kwargs: batch,
            amp=device.type == "cuda",
        )
        self.pair = pair.train()
        self._autocast = torch.autocast(
            device.type, dtype=None if self.amp else torch.bfloat16, enabled=self.amp or cpu_bfloat16
        )
        self.settings = settings
        self.prior = prior
        self._streams_apart = streams_apart
        self._options = {"prior": prior, "streams_apart": streams_apart, "cpu_bfloat16": cpu_bfloat16}
        self._passing: dict[nn.Module, nn.Module] = {}
        self.supervised = SupervisedLoss(settings.dice_weight)
        self.total_iterations = settings.epochs * settings.iterations_per_epoch
        self.quality = _quality(pair, settings)
        branch = [] if pair.branch is None else [pair.branch]
        self.optimizers = [_optimizer(learner, settings) for learner in (*pair.learners, *branch)]
        self.schedules: list[LRScheduler] = [
            _schedule(optimizer, settings, self.total_iterations) for optimizer in self.optimizers
        ]

    def run(self) -> None:
        """Train for all epochs, with the help of other processes where there are any."""
        with together(_help, type(self), self.pair, self.settings, self.state.device, self._options):
            self._begin()
            super().run()
            if not alone():
                send(None)

    def help(self) -> None:
        """Make the steps of the first process with it, until its training ends."""
        self._begin()
        iteration = 0
        while (message := receive()) is not None:
            batch, state = message
            _set_random_state(state, self.state.device)
            self.step(batch, iteration)
            iteration += 1

    def _begin(self) -> None:
        look_at_whole_batches(self.pair)
        self._passing = {learner: as_one(learner) for learner in self.pair.learners}

    @abstractmethod
    def losses(self, batch: Batch, iteration: int) -> Losses:
        """The losses of one batch on the device; `iteration` counts from 0."""

    def forward(
        self, network: nn.Module, view: Tensor, label: Tensor, layers: FeatureLayers | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, C, *spatial) of a learner for the patches of a batch.

        Args:
            network: one of the learners.
            view: (B, 1, *spatial).
            label: of the same patches.
            layers: of the network, where the features before its last layer are wanted.

        Returns:
            The logits, float32, and the features; an empty tensor without `layers`.
        """
        annotated = (label != IGNORE).flatten(1).any(dim=1)
        parts = [torch.nonzero(part)[:, 0] for part in (annotated, ~annotated)]
        if not self._streams_apart or not all(len(part) for part in parts):
            return self._passed(network, view, layers)
        logits, features = zip(*(self._passed(network, view[part], layers) for part in parts), strict=True)
        order = torch.argsort(torch.cat(parts))
        return torch.cat(logits)[order], torch.cat(features)[order] if layers else features[0]

    def _passed(self, network: nn.Module, view: Tensor, layers: FeatureLayers | None) -> tuple[Tensor, Tensor]:
        passing = self._passing.get(network, network)
        logits, *features = in_parts(lambda patches: _tapped(passing, patches, layers), view)
        return logits, features[0] if features else view.new_zeros(0)

    def ramp(self, iteration: int, w_max: float) -> float:
        """The weight of what networks teach each other, ramped up over the round as the settings say."""
        if self.settings.ramp == "paper":
            return paper_consistency_weight(iteration, w_max)
        return consistency_weight(iteration / self.total_iterations, w_max, self.settings.ramp_fraction)

    def _iteration(self, engine: Any, batch: Batch) -> dict[str, float]:  # noqa: ANN401 - an ignite Engine
        if not alone():
            send((batch, _random_state(self.state.device)))
        return self.step(batch, engine.state.iteration - 1)

    def step(self, batch: Batch, iteration: int) -> dict[str, float]:
        """One optimiser step; returns what `engine.state.output` is to hold.

        Args:
            batch: the whole one, in all processes.
            iteration: counts from 0.
        """
        self.pair.train()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        batch = batch.to(self.state.device)
        with self._autocast:
            found = self.losses(batch, iteration)
            quality = None if self.quality is None else self.quality.loss(batch.view, batch.label)
        self._step(found.total if quality is None else found.total + self.settings.quality_weight * quality)
        experts = len(batch.label) - batch.simulated
        intersection, union = _overlap(found.logits[:experts], batch.label[:experts])
        parts = {name: value.item() if isinstance(value, Tensor) else value for name, value in found.parts.items()}
        if quality is not None:
            parts["quality"] = quality.item()
        return {"loss": found.total.item(), **parts, "intersection": intersection, "union": union}

    def _step(self, loss: Tensor) -> None:
        if self.scaler is None:
            torch.autograd.backward(loss)
            for optimizer in self.optimizers:
                optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
            self.scaler.update()
        for schedule in self.schedules:
            schedule.step()
        self.pair.after_step()


def _quality(pair: NetworkPair, settings: Settings) -> QualityLearner | None:
    if settings.quality_weight == 0:
        pair.branch = None  # it would know the networks as they were
        return None
    return QualityLearner(pair, settings.seed, detach=settings.quality_detach)


def _schedule(optimizer: Optimizer, settings: Settings, iterations: int) -> LRScheduler:
    if settings.schedule == "step":
        return StepLR(optimizer, _STEPS_OF_A_RATE, gamma=0.1)
    return PolynomialLR(optimizer, iterations, power=0.9)


def _help(kind: type[PairTrainer], pair: NetworkPair, settings: Settings, device: torch.device, options: Any) -> None:  # noqa: ANN401
    kind(pair, (), settings, device, **options).help()


def _random_state(device: torch.device) -> list[Tensor]:
    """Of the generators that dropout draws from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if device.type == "cuda" else [])]


def _set_random_state(state: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state[1])


def _tapped(network: nn.Module, view: Tensor, layers: FeatureLayers | None) -> tuple[Tensor, ...]:
    if layers is None:
        return (network(view).float(),)
    with layers.tapped() as tap:
        logits: Tensor = network(view).float()
    return logits, tap.penultimate


def _optimizer(network: nn.Module, settings: Settings) -> Optimizer:
    weights = network.parameters()
    if settings.optimizer == "sgd":
        return SGD(weights, settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay)
    return AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def _overlap(logits: Tensor, label: Tensor) -> tuple[int, int]:
    predicted = logits.detach().max(dim=1, keepdim=True).indices  # argmax is ten times as slow along this axis on a CPU
    annotated, truth = label != IGNORE, (label > 0) & (label != IGNORE)
    intersection = torch.count_nonzero((predicted == label) & truth)
    union = torch.count_nonzero(((predicted > 0) & annotated) | truth)
    return int(intersection), int(union)
