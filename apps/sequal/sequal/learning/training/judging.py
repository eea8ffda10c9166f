"""What the labels of a round say about its networks: each judges them before, early in the round, and after it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import numpy as np
import torch

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.model import Model
from sequal.errors import ImageError, LabelError
from sequal.labels import IGNORE
from sequal.learning.networks import NetworkPair
from sequal.learning.training.gate import LabelFigures
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.prediction import expected_dice, predict
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item

__all__ = ["LabelJudges", "early_step"]

logger = logging.getLogger(__name__)

#: More labels than this judge no better, and cost the time of a prediction each, three times.
_MOST_JUDGES: Final = 48
#: So often has every label been drawn, but at least so many steps been made, when the early look is taken.
_EARLY_DRAWS, _EARLY_STEPS = 8, 40

Moment = Literal["before", "early", "after"]


def early_step(labels: int, settings: Settings) -> int:
    """The step of a round after which its networks show what they take up first; at most half of the round.

    Args:
        labels: how many the round learns from.
        settings: steps and labelled patches a step.

    >>> [early_step(labels, Settings(epochs=30, iterations_per_epoch=10)) for labels in (10, 20, 60)]
    [40, 80, 150]
    """
    steps = max(_EARLY_STEPS, _EARLY_DRAWS * labels // settings.batch_labelled)
    return max(1, min(steps, settings.epochs * settings.iterations_per_epoch // 2))


class LabelJudges:
    """Labels as judges of the networks of one round.

    All labels judge, up to 48: then the new ones before those that the model in service has learnt from, drawn at
    random. The expert's own labels count, never the refined ones.

    Args:
        learnt_from: usable items that the round learns from.
        held_out: usable items of the frozen validation.
        known: ids that the model in service has learnt from.
        frames: source of the images.
        labels: source of the expert's labels.
        model: what is segmented.
        device: where the networks are.
        seed: of the draw.
        before: surroundings of the labels that taught the model in service, see `Model.clean`.
        after: those of the labels of this round.
    """

    def __init__(
        self,
        learnt_from: Sequence[Item],
        held_out: Sequence[Item],
        known: Collection[str],
        frames: WorkingFrames,
        labels: LabelsInUse,
        model: Model,
        device: torch.device,
        seed: int,
        *,
        before: Mapping[str, float] | None,
        after: Mapping[str, float],
    ) -> None:
        self._frames, self._labels, self._model, self._device = frames, labels, model, device
        self._before, self._after = before, after
        self._known, self._held_out = frozenset(known), {item.id for item in held_out}
        items = [*learnt_from, *held_out]
        order = [items[index] for index in np.random.default_rng(seed).permutation(len(items))]
        order.sort(key=lambda item: item.id in self._known)
        self._items = sorted(order[:_MOST_JUDGES], key=lambda item: item.id)
        self._seen: dict[str, dict[Moment, float]] = {item.id: {} for item in self._items}
        self._expected: dict[str, float | None] = {}

    def look(self, moment: Moment, pair: NetworkPair) -> None:
        """Let every label judge what annotators see of a pair, or early in the round what learns first."""
        network = pair.early if moment == "early" else pair.shown
        training = network.training
        network.eval()
        for item in self._items:
            frame = self._frames.get(item)
            if frame is None:  # read before, lost since
                continue
            try:
                expert = self._labels.expert(item)
            except LabelError as error:
                logger.warning("The label of %s cannot judge: %s", item.id, error)
                continue
            raw = predict(network, frame, self._model, self._device)
            try:
                found = self._model.shown(raw, item.image, self._before if moment == "before" else self._after)
            except ImageError as error:
                logger.warning("The label of %s cannot judge: %s", item.id, error)
                continue
            self._seen[item.id][moment] = label_dice(found.classes, expert)
            if moment == "before":
                self._expected[item.id] = expected_dice(np.where(expert != IGNORE, found.foreground, np.float32(0)))
        network.train(training)

    def expected_and_found(self) -> list[tuple[float, float]]:
        """The Dice promised and the Dice found of each new label whose image got a mask from the model in service."""
        return [
            (expected, self._seen[image]["before"])
            for image, expected in self._expected.items()
            if expected is not None and image not in self._known
        ]

    def figures(self) -> list[LabelFigures]:
        """What each label saw; without an early look its value is that at the end."""
        found = []
        for item in self._items:
            seen = self._seen[item.id]
            if "before" not in seen or "after" not in seen:
                continue
            early = None if item.id in self._held_out else seen.get("early", seen["after"])
            new = item.id not in self._known
            found.append(LabelFigures(item.id, item.patient, seen["before"], early, seen["after"], new))
        return found
