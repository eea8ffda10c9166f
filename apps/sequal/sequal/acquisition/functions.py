"""All scores, and the strategies that ask by them, by name."""

import importlib
from types import ModuleType
from typing import Final, Protocol

from torch import Tensor

from sequal.acquisition.scored import ScoredStrategy
from sequal.acquisition.seen import PldForm, Seen
from sequal.acquisition.strategy import QueryStrategy
from sequal.settings import SCORE_NAMES, STRATEGY_NAMES

__all__ = ["ACQUISITION_FUNCTIONS", "LAYER_ENTROPY", "PLD", "STRATEGIES", "AcquisitionFunction", "score_all"]

PLD: Final = "pld"
LAYER_ENTROPY: Final = "layer_entropy"


class AcquisitionFunction(Protocol):
    """Scores a batch of images from the pair's log-probabilities; higher is asked for first."""

    def __call__(self, log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score by image `(B,)` from log-softmax `(B, C, W, H)` over the valid pixels `(B, 1, W, H)`."""


def _module(room: str, name: str) -> ModuleType:
    return importlib.import_module(f"sequal.acquisition.{room}.{name}")


_SCORES: Final = {name: _module("scores", name) for name in SCORE_NAMES}
ACQUISITION_FUNCTIONS: dict[str, AcquisitionFunction] = {name: module.FUNCTION for name, module in _SCORES.items()}
STRATEGIES: dict[str, QueryStrategy] = {
    name: ScoredStrategy(name) if name in _SCORES else _module("strategies", name).STRATEGY for name in STRATEGY_NAMES
}


def score_all(
    log_p_reference: Tensor,
    log_p_other: Tensor,
    log_p_teacher: Tensor | None = None,
    mask: Tensor | None = None,
    pld_form: PldForm = "kl",
    thin_px: float = 1.0,
    *,
    symmetric: bool = False,
) -> dict[str, Tensor]:
    """Every pointwise score from one pass of the networks over a batch.

    Args:
        log_p_reference: log-softmax of the network whose pseudo-label PLD takes, `(B, C, W, H)`: the
            teacher, or the pair's earlier round.
        log_p_other: log-softmax of the network that PLD compares with it: the student, or this round's
            network.
        log_p_teacher: log-softmax of the published teacher, for the other scores; None: it is the reference.
        mask: valid pixels `(B, 1, W, H)`; None: all.
        pld_form: form of PLD.
        thin_px: thin layer of `layer_entropy` and of the form `layer` of PLD.
        symmetric: PLD is the mean of both directions.

    Returns:
        Scores by image, float64 `(B,)` on the CPU, by name of the acquisition function. Higher is asked for
        first.
    """
    shown = log_p_reference if log_p_teacher is None else log_p_teacher
    seen = Seen(log_p_reference.float(), log_p_other.float(), shown.float(), mask, pld_form, thin_px, symmetric)
    return {name: module.score(seen).detach().cpu().double() for name, module in _SCORES.items()}
