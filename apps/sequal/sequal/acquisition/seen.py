"""What a score may look at: the predictions of the networks for a batch of images."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

__all__ = ["PldForm", "Seen"]

PldForm = Literal["kl", "pseudo_label", "layer"]


@dataclass(frozen=True)
class Seen:
    """Log-softmaxes of one batch, and what the settings say of scores.

    Attributes:
        reference: of the network whose pseudo-label PLD takes, `(B, C, *spatial)`.
        other: of the network that PLD compares with it.
        shown: of what annotators see.
        mask: valid pixels `(B, 1, *spatial)`; None: all.
        pld_form: form of PLD.
        thin_px: thickness in pixels of the thin layer of scores by the layer.
        symmetric: PLD is the mean of both directions.
        wrong: probability that what annotators see is wrong about each class but the background,
            `(B, C − 1, *spatial)`; None: the model in service has no error branch.
    """

    reference: Tensor
    other: Tensor
    shown: Tensor
    mask: Tensor | None = None
    pld_form: PldForm = "kl"
    thin_px: float = 1.0
    symmetric: bool = False
    wrong: Tensor | None = None
