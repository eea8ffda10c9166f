"""What an annotator gets for one image: mask, probability, PLD, confidence and thickness."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sequal.acquisition.scores import pld
from sequal.anatomy.measurement import ImtMeasurement, boundaries_from_probability, measure_imt
from sequal.anatomy.models import model_of
from sequal.anatomy.models.carotid import to_working
from sequal.files.imaging import Frame
from sequal.prediction.confidence import expected_dice
from sequal.prediction.loading import LoadedPair
from sequal.prediction.quality import Quality, dice_to_expect, layer_quality
from sequal.settings import Settings

__all__ = ["Prediction", "predict_frame"]


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

    @property
    def predicted_dice(self) -> float | None:
        """The Dice to be expected of the mask, 0..1, which annotators are told; see `dice_to_expect`."""
        return dice_to_expect(self.confidence, self.quality)


def predict_frame(
    frame: Frame, loaded: LoadedPair, settings: Settings, device: torch.device, *, with_errors: bool = True
) -> Prediction:
    """Segment and measure every frame of an image.

    Args:
        frame: as read from file, any size and spacing.
        loaded: the networks.
        settings: `working_spacing_mm`, `max_working_pixels`, `pld_form` and `min_piece_mm` are used; a pixel of an
            image without calibration counts as `working_spacing_mm`.
        device: where the networks are.
        with_errors: whether `quality` is wanted of any mask; else of an empty one alone, of which nothing else speaks.
    """
    working, count = to_working(frame, settings), frame.grid[2]
    looked = loaded.look(working.pixels, working.grid, device, with_errors=with_errors)
    divergence = pld.score(loaded.seen(looked, settings))
    model = model_of(settings)
    raw = model.to_native(looked.log_p[loaded.shown], working.grid)
    shown = model.clean(raw, frame, loaded.surroundings)
    if not (with_errors or shown.classes.any()):
        looked = loaded.look(working.pixels, working.grid, device)
    probability = shown.foreground
    sure = [dice for f in range(count) if (dice := expected_dice(probability[:, :, f])) is not None]
    return Prediction(
        mask=shown.classes,
        probability=probability,
        pld=float(divergence.mean()),
        confidence=loaded.confidence.of(min(sure)) if sure else None,
        imt=tuple(
            measure_imt(boundaries_from_probability(probability[:, :, f]), frame.calibration) for f in range(count)
        ),
        quality=layer_quality(looked, loaded, working.grid, raw.classes, shown.classes),
    )
