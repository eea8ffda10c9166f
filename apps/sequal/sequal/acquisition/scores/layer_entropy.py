"""Entropy of the teacher's prediction for each pixel of the layer that could be there."""

from torch import Tensor

from sequal.acquisition.pixels import mean_height, mean_over_pixels
from sequal.acquisition.scores.entropy import entropy
from sequal.acquisition.seen import Seen

__all__ = ["FUNCTION", "layer_entropy", "score"]


def layer_entropy(
    log_p_teacher: Tensor, log_p_student: Tensor, mask: Tensor | None = None, thin_px: float = 1.0
) -> Tensor:
    """Entropy over the layer that could be there; higher is asked for first.

    The sum of the pixels' entropies divided by the expected area of the layer and that of a thin one from side to
    side: Σ_Ω H(p_T) / (thin · W + Σ_Ω p_T[layer]), Ω the valid pixels and W their columns. The mean over the frame,
    which `entropy` takes, follows the length of the wall: a long, clear wall has much boundary, and a boundary is
    uncertain however right the mask is. Divided so, a short doubtful mask stands before a long good one, and a frame
    with traces of a wall and no mask stands near the top. Without the thin layer the specks in a frame that shows no
    wall at all would come first. Own score; `benchmarks/adaptation` compares it.

    Args:
        log_p_teacher: log-softmax of the teacher `(B, C, W, H)`; class 1 is the layer.
        log_p_student: not used; all acquisition functions share one signature.
        mask: valid pixels `(B, 1, W, H)`; None: all.
        thin_px: thickness of the thin layer in pixels, over 0.

    Returns:
        Score by image in nats for each pixel of the layer `(B,)`, ≥ 0; NaN for an image without valid pixels.

    One column of two pixels, one undecided and one sure background: ln 2 / (1 + 0.5).

    >>> import torch
    >>> log_p = torch.tensor([[0.5, 1.0], [0.5, 0.0]]).log().view(1, 2, 1, 2)
    >>> round(layer_entropy(log_p, log_p).item(), 4)
    0.4621
    """
    expected = mean_over_pixels(log_p_teacher[:, 1:].exp().sum(dim=1), mask)
    height = mean_height(log_p_teacher[:, 0], mask)
    return entropy(log_p_teacher, log_p_student, mask) / (thin_px / height + expected)


FUNCTION = layer_entropy


def score(seen: Seen) -> Tensor:
    """Of what annotators see."""
    return layer_entropy(seen.shown, seen.other, seen.mask, seen.thin_px)
