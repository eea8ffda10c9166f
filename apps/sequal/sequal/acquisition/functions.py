"""All acquisition functions by the name that the ledger and the strategies know them by."""

from functools import partial
from typing import Final, Protocol

from torch import Tensor

from sequal.acquisition.entropy import entropy
from sequal.acquisition.layer_entropy import layer_entropy
from sequal.acquisition.least_confidence import least_confidence
from sequal.acquisition.margin import margin
from sequal.acquisition.pld import PldForm, pseudo_label_divergence

__all__ = ["ACQUISITION_FUNCTIONS", "LAYER_ENTROPY", "PLD", "AcquisitionFunction", "score_all"]

PLD: Final = "pld"
LAYER_ENTROPY: Final = "layer_entropy"


class AcquisitionFunction(Protocol):
    """Scores a batch of images from the pair's log-probabilities; higher is asked for first."""

    def __call__(self, log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score by image `(B,)` from log-softmax `(B, C, W, H)` over the valid pixels `(B, 1, W, H)`."""


ACQUISITION_FUNCTIONS: dict[str, AcquisitionFunction] = {
    PLD: pseudo_label_divergence,
    LAYER_ENTROPY: layer_entropy,
    "entropy": entropy,
    "least_confidence": least_confidence,
    "margin": margin,
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
    teacher = log_p_reference if log_p_teacher is None else log_p_teacher
    with_settings: dict[str, AcquisitionFunction] = {
        PLD: partial(pseudo_label_divergence, form=pld_form, thin_px=thin_px, symmetric=symmetric),
        LAYER_ENTROPY: partial(layer_entropy, thin_px=thin_px),
    }
    scores = {}
    for name, function in (ACQUISITION_FUNCTIONS | with_settings).items():
        first = log_p_reference if name == PLD else teacher
        scores[name] = function(first.float(), log_p_other.float(), mask).detach().cpu().double()
    return scores
