"""All scores, and the strategies that ask by them, by name."""

import importlib
from dataclasses import replace
from types import ModuleType
from typing import Final, Protocol

from torch import Tensor

from sequal.acquisition.extras import SQA
from sequal.acquisition.scored import ScoredStrategy
from sequal.acquisition.seen import Seen
from sequal.acquisition.strategy import QueryStrategy
from sequal.settings import SCORE_NAMES, STRATEGY_NAMES

__all__ = [
    "ACQUISITION_FUNCTIONS",
    "LAYER_ENTROPY",
    "PLD",
    "SCORES_OF_ANY",
    "SQA",
    "STRATEGIES",
    "AcquisitionFunction",
    "score_all",
]

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
#: Scores that any model gives.
SCORES_OF_ANY: Final = tuple(name for name, module in _SCORES.items() if not hasattr(module, "UNSCORED"))
STRATEGIES: dict[str, QueryStrategy] = {
    name: ScoredStrategy(name, getattr(_SCORES[name], "UNSCORED", ""))
    if name in _SCORES
    else _module("strategies", name).STRATEGY
    for name in STRATEGY_NAMES
}


def score_all(seen: Seen) -> dict[str, Tensor]:
    """Every pointwise score from one pass of the networks over a batch.

    Args:
        seen: what they predict, in any floating-point type; half precision is scored in single.

    Returns:
        Scores by image, float64 `(B,)` on the CPU, by name of the acquisition function. Higher is asked for
        first.
    """
    single = replace(seen, reference=seen.reference.float(), other=seen.other.float(), shown=seen.shown.float())
    return {name: module.score(single).detach().cpu().double() for name, module in _SCORES.items()}
