"""What an annotator gets for one image: mask, probability, PLD, confidence and thickness."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.acquisition.scores import pld
from sequal.anatomy.layer.pieces import drop_pieces_at_margin, drop_short_pieces, keep_one_layer
from sequal.anatomy.measurement import ImtMeasurement, boundaries_from_probability, measure_imt
from sequal.anatomy.models import model_of
from sequal.anatomy.models.carotid import to_working
from sequal.files.imaging import Frame
from sequal.labels import INTIMA_MEDIA
from sequal.prediction.confidence import expected_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.quality import Quality, layer_quality
from sequal.settings import Settings

__all__ = ["Prediction", "predict_frame", "without_mistakes"]


@dataclass(frozen=True)
class Prediction:
    """The result for one image on its own grid.

    Attributes:
        mask: uint8 (W, H, F) in {0, 1}.
        probability: float32 (W, H, F) in 0..1, without short pieces and those at the scan's edge.
        pld: Pseudo Label Divergence, mean over the frames, ≥ 0; higher is asked for first.
        confidence: Dice to be expected, 0..1, see `Confidence`; the lowest over the frames in which a layer was found,
            None without any.
        imt: one measurement a frame.
        quality: what the error branch says of the mask; None where the checkpoint has none.
    """

    mask: NDArray[np.uint8]
    probability: NDArray[np.float32]
    pld: float
    confidence: float | None
    imt: tuple[ImtMeasurement, ...]
    quality: Quality | None = None


def predict_frame(frame: Frame, loaded: LoadedPair, settings: Settings, device: torch.device) -> Prediction:
    """Segment and measure every frame of an image.

    Args:
        frame: as read from file, any size and spacing.
        loaded: the networks.
        settings: `working_spacing_mm`, `max_working_pixels`, `pld_form` and `min_piece_mm` are used; a pixel of an
            image without calibration counts as `working_spacing_mm`.
        device: where the networks are.
    """
    working, count = to_working(frame, settings), frame.grid[2]
    looked = loaded.look(working.pixels, working.grid, device)
    divergence = pld.score(loaded.seen(looked, settings))
    raw = model_of(settings).to_native(looked.log_p[loaded.shown], working.grid)
    native = raw.foreground
    spacing_mm = frame.calibration.spacing_mm
    probability = np.stack(
        [without_mistakes(native[:, :, f], frame.pixels[:, :, f], spacing_mm, settings) for f in range(count)], axis=2
    )
    mask = (probability > 0.5).astype(np.uint8) * np.uint8(INTIMA_MEDIA)
    sure = [dice for f in range(count) if (dice := expected_dice(probability[:, :, f])) is not None]
    return Prediction(
        mask=mask,
        probability=probability,
        pld=float(divergence.mean()),
        confidence=loaded.confidence.of(min(sure)) if sure else None,
        imt=tuple(
            measure_imt(boundaries_from_probability(probability[:, :, f]), frame.calibration) for f in range(count)
        ),
        quality=layer_quality(looked, loaded, working.grid, raw.classes, mask),
    )


def without_mistakes(
    probability: NDArray[np.float32],
    pixels: NDArray[np.float32],
    spacing_mm: tuple[float, float] | None,
    settings: Settings,
) -> NDArray[np.float32]:
    """The probability of one frame without pieces that cannot be a wall, which annotators are not shown.

    Args:
        probability: float32 (W, H).
        pixels: float32 (W, H), grey values on any scale.
        spacing_mm: (dx, dy); None: not calibrated.
        settings: `min_piece_mm` and `working_spacing_mm` are used.
    """
    if settings.min_piece_mm == 0:
        return probability
    dx, dy = spacing_mm or (settings.working_spacing_mm, settings.working_spacing_mm)
    inside = drop_pieces_at_margin(probability, pixels, dy)
    return keep_one_layer(drop_short_pieces(inside, dx, settings.min_piece_mm))
