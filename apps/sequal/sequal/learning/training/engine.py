"""One optimiser step of SEQUAL, as a MONAI trainer."""

from collections.abc import Iterable
from typing import Any, Final

import torch
from monai.engines import Trainer
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler, PolynomialLR

from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA
from sequal.learning.losses import (
    SupervisedLoss,
    column_extent,
    consistency_loss,
    consistency_weight,
    extent_loss,
    paper_consistency_weight,
)
from sequal.learning.networks import DualNetwork
from sequal.learning.training.batches import Batch
from sequal.settings import Settings

__all__ = ["MeanTeacherTrainer"]

#: A column may hold this many times the layer of the thickest annotated one.
_PLAUSIBLE: Final = 2.0


class MeanTeacherTrainer(Trainer):
    """Student by gradient, teacher by moving average (S1, steps 1 to 3 of a round).

    Loss = supervised(p_S(x_L), ỹ) + w(t) · mean((p_S − p_T)²) over labelled and unlabelled patches. The learning
    rate follows the poly rule with power 0.9 (published setting). `engine.state.output` of every step holds
    `loss`, `supervised`, `consistency`, `weight` and the student's `intersection` and `union` with the experts' labels,
    in pixels.

    Args:
        pair: the networks, on `device`.
        batches: an endless iterable of `Batch`.
        settings: epochs, iterations, optimiser, weights and ramp.
        device: where to train; on CUDA with mixed precision.
        cpu_bfloat16: on a CPU, compute in bfloat16 (twice as fast where the processor has it, slower where not).
    """

    def __init__(
        self,
        pair: DualNetwork,
        batches: Iterable[Batch],
        settings: Settings,
        device: torch.device,
        *,
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
        self.total_iterations = settings.epochs * settings.iterations_per_epoch
        self.optimizer = _optimizer(pair, settings)
        self.schedule: LRScheduler = PolynomialLR(self.optimizer, self.total_iterations, power=0.9)
        self._supervised = SupervisedLoss(settings.dice_weight)
        self._thickest = 0.0

    def _iteration(self, engine: Any, batch: Batch) -> dict[str, float]:  # noqa: ANN401 - an ignite Engine
        device = self.state.device
        student_view, teacher_view = batch.student_view.to(device), batch.teacher_view.to(device)
        label = batch.label.to(device)
        self.pair.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast:
            student = self.pair.student(student_view).float()
            supervised = self._supervised(student, label)
            weight = self._weight(engine.state.iteration - 1)
            consistency = self._consistency(student, teacher_view)
            loss = supervised + weight * consistency + self._extent(student, label)
        self._step(loss)
        experts = len(label) - batch.simulated
        intersection, union = _overlap(student[:experts], label[:experts])
        return {
            "loss": loss.item(),
            "supervised": supervised.item(),
            "consistency": consistency.item(),
            "weight": weight,
            "intersection": intersection,
            "union": union,
        }

    def _consistency(self, student: torch.Tensor, teacher_view: torch.Tensor) -> torch.Tensor:
        """Of the teacher's prediction; without a weight for it the teacher does not predict at all."""
        if self.settings.consistency_weight == 0:
            return student.new_zeros(())
        with torch.no_grad():
            teacher = self.pair.teacher(teacher_view).float()
        return consistency_loss(student, teacher)

    def _extent(self, student: torch.Tensor, label: torch.Tensor) -> torch.Tensor | float:
        """The extent term; the bound is twice the thickest column of all labels seen so far, as a plaque may be."""
        if self.settings.supervision == "full" or self.settings.extent_weight == 0:
            return 0.0
        self._thickest = max(self._thickest, column_extent(label))
        if self._thickest == 0:
            return 0.0
        return self.settings.extent_weight * extent_loss(student, _PLAUSIBLE * self._thickest)

    def _step(self, loss: torch.Tensor) -> None:
        if self.scaler is None:
            torch.autograd.backward(loss)
            self.optimizer.step()
        else:
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.schedule.step()
        self.pair.update_teacher()

    def _weight(self, iteration: int) -> float:
        if self.settings.ramp == "paper":
            return paper_consistency_weight(iteration, self.settings.consistency_weight)
        progress = iteration / self.total_iterations
        return consistency_weight(progress, self.settings.consistency_weight, self.settings.ramp_fraction)


def _optimizer(pair: DualNetwork, settings: Settings) -> Optimizer:
    weights = pair.student.parameters()
    if settings.optimizer == "sgd":
        return SGD(weights, settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay)
    return AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def _overlap(logits: torch.Tensor, label: torch.Tensor) -> tuple[int, int]:
    scores = logits.detach()  # two classes: comparing them gives the argmax, which is slow along this axis on a CPU
    predicted = scores[:, INTIMA_MEDIA, None] > scores[:, BACKGROUND, None]
    annotated = label != IGNORE
    truth = label == INTIMA_MEDIA
    intersection = torch.count_nonzero(predicted & truth)
    union = torch.count_nonzero((predicted & annotated) | truth)
    return int(intersection), int(union)
