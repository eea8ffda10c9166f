"""How good the server's model is on test images that nobody labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import FAILED_DICE, combine_frames, measure_label, score_segmentation
from sequal.commands.annotating.client import AnnotationClient
from sequal.files.imaging import Frame, read_label
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA

__all__ = ["Evaluation", "TestImage", "evaluate", "mean_dice"]


@dataclass(frozen=True, eq=False)
class TestImage:
    """An image with its truth.

    Attributes:
        id: image id.
        frame: as the server has it.
        mask: uint8 (W, H, F) in {0, 1, 255}; 255 where nobody traced, which is not judged.
    """

    id: str
    frame: Frame
    mask: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The model in service on the test images.

    Attributes:
        dice: mean over the images; None without any.
        dice_by_image: Dice of server's mask and truth.
        imt_bias_mm: mean over the calibrated images of the server's thickness minus the true one, each in the
            columns that were traced; None when there is none with a layer in both.
        imt_error_mm: the same of the absolute difference.
        masks: the server's masks uint8 (W, H, F), for the picture.
    """

    dice: float | None
    dice_by_image: Mapping[str, float]
    imt_bias_mm: float | None
    imt_error_mm: float | None
    masks: Mapping[str, NDArray[np.uint8]] = field(repr=False)

    @property
    def failures(self) -> int:
        """Images with a Dice under 0.5."""
        return sum(dice < FAILED_DICE for dice in self.dice_by_image.values())

    def as_json(self) -> dict[str, Any]:
        """Everything but the masks."""
        return {
            "dice": self.dice,
            "failures": self.failures,
            "dice_by_image": dict(self.dice_by_image),
            "imt_bias_mm": self.imt_bias_mm,
            "imt_error_mm": self.imt_error_mm,
        }


def evaluate(
    client: AnnotationClient, model: str, images: list[TestImage], progress: Callable[[int], None] = lambda _: None
) -> Evaluation:
    """Segment the test images with the model in service and compare with the truth.

    Args:
        client: of the server.
        model: its name.
        images: the test images; may be empty.
        progress: called after each with the number done.

    Raises:
        ServerError: the server does not answer, or refuses.
    """
    masks: dict[str, NDArray[np.uint8]] = {}
    dice: dict[str, float] = {}
    differences: list[float] = []
    for number, image in enumerate(images, 1):
        inference = client.infer(model, image.id)
        masks[image.id] = read_label(inference.file, image.frame.grid, layout=image.frame.layout)
        dice[image.id] = mean_dice(masks[image.id], image.mask)
        measured = _server_imt_mm(image, masks[image.id], inference.params)
        true = _imt_mm(image, image.mask)
        if measured is not None and true is not None:
            differences.append(measured - true)
        progress(number)
    return Evaluation(
        dice=float(np.mean(list(dice.values()))) if dice else None,
        dice_by_image=dice,
        imt_bias_mm=float(np.mean(differences)) if differences else None,
        imt_error_mm=float(np.mean(np.abs(differences))) if differences else None,
        masks=masks,
    )


def mean_dice(mask: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Mean over the frames of two labels (W, H, F) of their Dice."""
    return float(np.mean([score_segmentation(mask[:, :, f], truth[:, :, f]).dice for f in range(mask.shape[2])]))


def _server_imt_mm(image: TestImage, mask: NDArray[np.uint8], params: Mapping[str, Any]) -> float | None:
    """The server's own measurement; from its mask in the traced columns where the truth has others, too."""
    if not (image.mask == IGNORE).any():
        measured = params.get("imt", {}).get("mean_mm")
        return None if measured is None else float(measured)
    traced = (image.mask == INTIMA_MEDIA).any(axis=1, keepdims=True)
    return _imt_mm(image, np.where(traced, mask, np.uint8(BACKGROUND)))


def _imt_mm(image: TestImage, mask: NDArray[np.uint8]) -> float | None:
    calibration = image.frame.calibration
    return combine_frames(measure_label(mask, calibration)).mean if calibration.calibrated else None
