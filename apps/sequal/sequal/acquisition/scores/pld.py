"""Pseudo Label Divergence: how far one network of the pair is from the other's pseudo-label."""

from typing import get_args

import torch
from torch import Tensor

from sequal.acquisition.pixels import mean_height, mean_over_pixels
from sequal.acquisition.seen import PldForm, Seen

__all__ = ["FUNCTION", "PLD_FORMS", "pseudo_label_divergence", "score"]

PLD_FORMS: tuple[PldForm, ...] = get_args(PldForm)


def pseudo_label_divergence(
    log_p_teacher: Tensor,
    log_p_student: Tensor,
    mask: Tensor | None = None,
    form: PldForm = "kl",
    thin_px: float = 1.0,
    *,
    symmetric: bool = False,
) -> Tensor:
    """Mean divergence of the student from the teacher over each image; higher is asked for first.

    `kl` is the published score (SEQUAL, Med. Image Anal. 111:104048; PLD-AL, MICCAI 2023): with Ω the valid
    pixels, d(x) = 1/|Ω| Σ_Ω Σ_c p_T,c · (log p_T,c − log p_S,c), taken from log-softmax rather than from
    log(softmax + ε), which bounds the divergence. `pseudo_label` replaces p_T by the one-hot pseudo-label, d(x) = 1/|Ω|
    Σ_Ω −log p_S[argmax p_T]: it carries uncertainty beside disagreement, and ranks nearly as least confidence does when
    the pair has come together at the end of a round; `benchmarks/label_efficiency` found that it asks worse. `layer`
    divides the sum of `pseudo_label` not by the area of the frame but by that of the layer the teacher expects and of a
    thin one from side to side, Σ_Ω −log p_S[argmax p_T] / (thin · W + Σ_Ω p_T[layer]), W the columns of Ω: a frame that
    shows much wall has much boundary, which is uncertain however right the mask is, so that the mean over the frame
    asks for long walls rather than for wrong masks. Without the thin layer the specks in a frame without a wall would
    come first, and nothing can be learnt from such a frame.

    Args:
        log_p_teacher: log-softmax of the teacher (or another reference), `(B, C, W, H)`.
        log_p_student: log-softmax of the student (or of the network compared with it), the same shape.
        mask: valid pixels `(B, 1, W, H)`; None: all.
        form: one of `PLD_FORMS`; `layer` takes class 1 for the layer.
        thin_px: thickness of the thin layer in pixels, over 0.
        symmetric: the mean of both directions, for two networks of equal rank (S2).

    Returns:
        Score by image in nats (`layer`: nats for each pixel of the layer) `(B,)`, ≥ 0; NaN for an image without
        valid pixels.

    Raises:
        ValueError: the form is unknown.

    A teacher that is sure of class 0 (p = 0.8) against an undecided student:

    >>> teacher = torch.tensor([0.8, 0.2]).log().view(1, 2, 1, 1)
    >>> student = torch.tensor([0.5, 0.5]).log().view(1, 2, 1, 1)
    >>> round(pseudo_label_divergence(teacher, student, form="kl").item(), 4)  # 0.8 ln 1.6 + 0.2 ln 0.4
    0.1927
    >>> round(pseudo_label_divergence(teacher, student, form="pseudo_label").item(), 4)  # ln 2
    0.6931
    """
    if symmetric:
        both = ((log_p_teacher, log_p_student), (log_p_student, log_p_teacher))
        there, back = (pseudo_label_divergence(*pair, mask, form, thin_px) for pair in both)
        return (there + back) / 2
    if form == "kl":
        p_teacher = log_p_teacher.exp()
        terms = p_teacher * (log_p_teacher - log_p_student)
        # The limit of p log p at 0 is 0, but 0 · (−∞) is NaN.
        divergence = torch.where(p_teacher > 0, terms, torch.zeros_like(terms)).sum(dim=1)
    elif form in PLD_FORMS:
        pseudo_label = log_p_teacher.argmax(dim=1, keepdim=True)
        divergence = -log_p_student.gather(1, pseudo_label).squeeze(1)
    else:
        raise ValueError(f"Expected `form` to be one of {', '.join(PLD_FORMS)}, got {form!r}. Choose one of them.")
    score = mean_over_pixels(divergence, mask).clamp_min(0)  # rounding can leave the KL of equals below
    if form == "layer":
        expected = mean_over_pixels(log_p_teacher[:, 1:].exp().sum(dim=1), mask)
        score = score / (thin_px / mean_height(divergence, mask) + expected)
    return score


FUNCTION = pseudo_label_divergence


def score(seen: Seen) -> Tensor:
    """Of the two networks that are compared."""
    return pseudo_label_divergence(
        seen.reference, seen.other, seen.mask, seen.pld_form, seen.thin_px, symmetric=seen.symmetric
    )
