"""How good the server's model is on test images that nobody labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sequal.anatomy.measurement import FAILED_DICE, combine_frames, label_dice, measure_label, score_segmentation
from sequal.anatomy.model import Model
from sequal.anatomy.models import MODELS
from sequal.commands.annotating.client import AnnotationClient
from sequal.errors import ServerError
from sequal.files.imaging import Frame
from sequal.labels import BACKGROUND, IGNORE, INTIMA_MEDIA
from sequal.settings import Settings

__all__ = ["NOTHING_SEEN", "Evaluation", "TestImage", "dice_of", "evaluate", "served_model"]


@dataclass(frozen=True, eq=False)
class TestImage:
    """An image with its truth.

    Attributes:
        id: image id.
        frame: as the server has it.
        mask: uint8 of the frame's grid, classes and 255 where nobody traced, which is not judged.
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
        masks: the server's masks by image id, for the picture.
        volume_bias_ml: mean over the structures of all volumes of the server's millilitres minus the true ones; None
            for a layer.
        volume_error_ml: the same of the absolute difference.
    """

    dice: float | None
    dice_by_image: Mapping[str, float]
    imt_bias_mm: float | None
    imt_error_mm: float | None
    masks: Mapping[str, NDArray[np.uint8]] = field(repr=False)
    volume_bias_ml: float | None = None
    volume_error_ml: float | None = None

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
            "volume_bias_ml": self.volume_bias_ml,
            "volume_error_ml": self.volume_error_ml,
        }


#: Before there is a model.
NOTHING_SEEN = Evaluation(None, {}, None, None, {})


def served_model(info: Mapping[str, Any]) -> Model:
    """The model that a server trains.

    Args:
        info: what the server says of itself.

    Raises:
        ServerError: it trains none that this app knows, or several.
    """
    trained = list(info.get("trainers") or ())
    known = [name for name in trained if name in MODELS]
    if len(known) > 1:
        raise ServerError(
            f"Expected `--models` to say which model of the server to annotate for ({' or '.join(known)}), got none. "
            f"Add for example `--models {known[-1]}`."
        )
    if not known:
        raise ServerError(
            f"Expected the server to train one of {', '.join(MODELS)}, got {', '.join(trained) or 'no model'}. "
            "Start it with this app."
        )
    return MODELS[known[0]](Settings(models=known[0], labels=",".join(info.get("labels") or ())))


def evaluate(
    client: AnnotationClient, model: Model, images: list[TestImage], progress: Callable[[int], None] = lambda _: None
) -> Evaluation:
    """Segment the test images with the model in service and compare with the truth.

    Args:
        client: of the server.
        model: of the server.
        images: the test images; may be empty.
        progress: called after each with the number done.

    Raises:
        ServerError: the server does not answer, or refuses.
    """
    masks: dict[str, NDArray[np.uint8]] = {}
    dice: dict[str, float] = {}
    differences: list[float] = []
    for number, image in enumerate(images, 1):
        inference = client.infer(model.name, image.id)
        mask = model.drawn_on(inference.file, image.frame)
        masks[image.id] = mask
        dice[image.id] = dice_of(model, mask, image.mask)
        if model.is_layer:
            pairs = [(_server_imt_mm(image, mask, inference.params), _imt_mm(image, image.mask))]
        else:
            compared = model.compare(mask, image.mask, image.frame)
            pairs = [(one.first, one.second) for one in compared if one.unit == "ml"]
        differences += [ours - true for ours, true in pairs if ours is not None and true is not None]
        progress(number)
    bias, error = (float(np.mean(d)) if differences else None for d in (differences, np.abs(differences)))
    return Evaluation(
        dice=float(np.mean(list(dice.values()))) if dice else None,
        dice_by_image=dice,
        imt_bias_mm=bias if model.is_layer else None,
        imt_error_mm=error if model.is_layer else None,
        volume_bias_ml=None if model.is_layer else bias,
        volume_error_ml=None if model.is_layer else error,
        masks=masks,
    )


def dice_of(model: Model, mask: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Dice of two labels of an image: mean over the frames of a layer that were traced, else over the structures."""
    if not model.is_layer:
        return label_dice(mask, truth)
    traced = np.flatnonzero((truth != IGNORE).any(axis=(0, 1)))
    return float(np.mean([score_segmentation(mask[:, :, f], truth[:, :, f]).dice for f in traced]))


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
