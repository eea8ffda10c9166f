"""The first method, SEQUAL: a student that learns by gradient and a teacher that follows as its moving average."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

from sequal.distributed import in_parts
from sequal.errors import CheckpointError
from sequal.learning.batch import Batch
from sequal.learning.losses import consistency_loss
from sequal.learning.method import Method
from sequal.learning.networks import Architecture, NetworkPair, Weights, build
from sequal.learning.trainer import Losses, PairTrainer
from sequal.settings import Settings

__all__ = ["METHOD", "MeanTeacherPair", "MeanTeacherTrainer"]


class MeanTeacherPair(NetworkPair):
    """Student S (weights θ) and teacher T (weights φ) of one architecture; the teacher is shown.

    The teacher is φ ← αφ + (1 − α)θ with α = min(1 − 1/(t+1), α_max) (Tarvainen & Valpola 2017, as in S1);
    batch-norm statistics follow by the same rule. t counts updates over the whole life of the pair: the published
    code restarts it in every round, which wipes the teacher, so here it travels in the checkpoint.
    """

    method: ClassVar[str] = "sequal"
    member_names: ClassVar[tuple[str, str]] = ("teacher", "student")

    def __init__(self, architecture: Architecture, alpha_max: float = 0.99) -> None:
        super().__init__()
        self.architecture = architecture
        self.alpha_max = alpha_max
        self.student = build(architecture)
        self._average = AveragedModel(self.student, multi_avg_fn=self._ema, use_buffers=True)
        self._average.requires_grad_(False)
        self._average.eval()

    @classmethod
    def create(cls, architectures: Mapping[str, Architecture], alpha_max: float) -> Self:
        """A pair with random weights.

        Raises:
            CheckpointError: student and teacher are not to be of one architecture, or it does not exist.
        """
        if architectures["student"] != architectures["teacher"]:
            raise CheckpointError(
                f"Expected student and teacher to be one architecture, got {architectures['student'].name} and "
                f"{architectures['teacher'].name}. Use a checkpoint that this version of the app wrote."
            )
        return cls(architectures["student"], alpha_max)

    @classmethod
    def architectures_of(cls, settings: Settings, shape: Architecture) -> dict[str, Architecture]:
        """Student and teacher are built alike, as `network` says."""
        return dict.fromkeys(cls.member_names, replace(shape, name=settings.network))

    @property
    def teacher(self) -> nn.Module:
        """The averaged network φ; always in evaluation mode, never with a gradient."""
        module: nn.Module = self._average.module
        return module

    @property
    def members(self) -> dict[str, nn.Module]:
        """Teacher and student."""
        return {"teacher": self.teacher, "student": self.student}

    @property
    def architectures(self) -> dict[str, Architecture]:
        """Both of one architecture."""
        return dict.fromkeys(self.member_names, self.architecture)

    @property
    def shown(self) -> nn.Module:
        """The teacher."""
        return self.teacher

    @property
    def early(self) -> nn.Module:
        """The student, which the teacher follows."""
        return self.student

    @property
    def learners(self) -> tuple[nn.Module, ...]:
        """The student alone."""
        return (self.student,)

    @property
    def updates(self) -> int:
        """T, the number of updates in the life of the pair."""
        return int(self._average.n_averaged)

    def _ema(self, averaged: PARAM_LIST, current: PARAM_LIST, t: Tensor | int) -> None:
        """All tensors of one type at once: one by one they would cost a tenth of a small network's step."""
        if not averaged[0].is_floating_point():  # batch norm's counters of batches
            for mean, value in zip(averaged, current, strict=True):
                mean.copy_(value)
            return
        alpha = min(1.0 - 1.0 / (int(t) + 1.0), self.alpha_max)
        get_ema_multi_avg_fn(alpha)(averaged, current, t)  # type: ignore[no-untyped-call]

    def after_step(self) -> None:
        """One step of the moving average."""
        self._average.update_parameters(self.student)

    def train(self, mode: bool = True) -> Self:
        """Only the student changes mode: the teacher predicts with its averaged statistics."""
        super().train(mode)
        self._average.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (student, teacher), each (B, C, *spatial), of x (B, 1, *spatial)."""
        with torch.no_grad():
            teacher = self.teacher(x)
        return self.student(x), teacher

    def load_weights(self, weights: Mapping[str, Weights], updates: int) -> None:
        """Take over both networks and t."""
        self.student.load_state_dict(weights["student"])
        self.teacher.load_state_dict(weights["teacher"])
        self._average.n_averaged.fill_(updates)


class MeanTeacherTrainer(PairTrainer):
    """Student by gradient, teacher by moving average (S1, steps 1 to 3 of a round).

    Loss = supervised(p_S(x_L), ỹ) + w(t) · mean((p_S − p_T)²) over labelled and unlabelled patches. The output of a
    step also holds `consistency` and its `weight`.
    """

    pair: MeanTeacherPair

    def losses(self, batch: Batch, iteration: int) -> Losses:
        """Of one batch on the device."""
        student, _ = self.forward(self.pair.student, batch.view, batch.label)
        supervised = self.supervised(student, batch.label)
        weight = self.ramp(iteration, self.settings.consistency_weight)
        consistency = self._consistency(student, batch.other_view)
        loss = supervised + weight * consistency + self.prior(student, batch.label)
        return Losses(loss, student, {"supervised": supervised, "consistency": consistency, "weight": weight})

    def _consistency(self, student: Tensor, view: Tensor) -> Tensor:
        """Of the teacher's prediction; without a weight for it the teacher does not predict at all."""
        if self.settings.consistency_weight == 0:
            return student.new_zeros(())
        with torch.no_grad():
            (teacher,) = in_parts(lambda patches: (self.pair.teacher(patches).float(),), view)
        return consistency_loss(student, teacher)


METHOD = Method(MeanTeacherPair, MeanTeacherTrainer)
