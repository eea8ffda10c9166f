"""The pair of networks: a student that learns by gradient and a teacher that follows as its moving average."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel, get_ema_multi_avg_fn

from sequal.learning.networks.architecture import Architecture
from sequal.learning.networks.registry import create_network

__all__ = ["DualNetwork"]


class DualNetwork(nn.Module):
    """Student S (weights θ) and teacher T (weights φ) of one architecture, in one module and one checkpoint.

    The teacher is φ ← αφ + (1 − α)θ with α = min(1 − 1/(t+1), α_max) (Tarvainen & Valpola 2017, as in S1);
    batch-norm statistics follow by the same rule. t counts updates over the whole life of the pair: the published
    code restarts it in every round, which wipes the teacher, so here it travels in the checkpoint.
    """

    def __init__(self, architecture: Architecture, alpha_max: float = 0.99) -> None:
        super().__init__()
        self.architecture = architecture
        self.alpha_max = alpha_max
        self._frozen_statistics = False
        # Twice as fast on CPUs and on GPUs with mixed precision.
        self.student = create_network(architecture)
        self.student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = AveragedModel(self.student, multi_avg_fn=self._ema, use_buffers=True)
        self._average.requires_grad_(False)
        self._average.eval()

    @property
    def teacher(self) -> nn.Module:
        """The averaged network φ; always in evaluation mode, never with a gradient."""
        module: nn.Module = self._average.module
        return module

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

    def update_teacher(self) -> None:
        """One step of the moving average, after each optimiser step."""
        self._average.update_parameters(self.student)

    def train(self, mode: bool = True) -> Self:
        """Only the student changes mode: the teacher predicts with its averaged statistics.

        After `freeze_statistics` the student's batch norm stays in evaluation mode too.
        """
        super().train(mode)
        self._average.eval()
        if self._frozen_statistics:
            for layer in self.student.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (student, teacher), each (B, classes, *spatial), of x (B, in_channels, *spatial)."""
        with torch.no_grad():
            teacher = self.teacher(x)
        return self.student(x), teacher

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Plain tensors `{"student": …, "teacher": …}` on the CPU, for a checkpoint."""
        return {"student": _snapshot(self.student), "teacher": _snapshot(self.teacher)}

    def load_weights(self, student: dict[str, Tensor], teacher: dict[str, Tensor], updates: int) -> None:
        """Take over both networks and t.

        Raises:
            RuntimeError: the tensors do not fit the architecture (torch's own message names them).
        """
        self.student.load_state_dict(student)
        self.teacher.load_state_dict(teacher)
        self._average.n_averaged.fill_(updates)

    def average_with(self, others: Sequence["DualNetwork"]) -> None:
        """Take the mean of all these pairs' weights and its own, student with student and teacher with teacher.

        Between weights and what further training made of them the mean often has the accuracy of the one on the data of
        its training and of the other on the data of its own (WiSE-FT, Wortsman et al., CVPR 2022; model soups, Wortsman
        et al., ICML 2022).

        Args:
            others: pairs of the same architecture.
        """
        states = [other.state_dict() for other in others]
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(
                        torch.stack([tensor, *(state[name].to(tensor.device) for state in states)]).mean(dim=0)
                    )

    def move_towards(self, other: "DualNetwork", share: float) -> None:
        """Take (1 − `share`) of its own weights and `share` of another pair's, student and teacher each from its like.

        Args:
            other: a pair of the same architecture, on any device.
            share: 0..1.
        """
        state = other.state_dict()
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if tensor.is_floating_point():
                    tensor.lerp_(state[name].to(tensor.device), share)

    def freeze_statistics(self) -> None:
        """Let the student's batch norm use, and keep, the statistics that it has, also while it trains."""
        self._frozen_statistics = True


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    # MONAI's DynUNet lists each of its modules twice; sharing the copy keeps the file at half the size.
    copies: dict[int, Tensor] = {}
    return {
        key: copies.setdefault(value.data_ptr() or id(value), value.detach().cpu().clone())
        for key, value in network.state_dict().items()
    }
