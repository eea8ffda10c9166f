"""The handler that watches the student's IoU with its labels and starts fusion once early learning is over."""

import logging
from collections.abc import Callable
from typing import Any

from ignite.engine import Engine, Events

from sequal.learning.refinement import early_learning_over, paper_trigger
from sequal.settings import Settings

__all__ = ["EarlyLearningHandler"]

logger = logging.getLogger(__name__)


class EarlyLearningHandler:
    """Calls `on_trigger(epoch)` at the end of the first epoch in which the trigger fires; once a round.

    The IoU of an epoch is that of the student over all its annotated training patches of the epoch, as ADELE
    does: it costs nothing, while a pass over every labelled image would cost more than the epoch itself.

    Attributes:
        iou: one value (0..1, NaN for an epoch without layer) an epoch.
        fired_at: the epoch, or None.
    """

    def __init__(self, settings: Settings, on_trigger: Callable[[int], None]) -> None:
        self._settings = settings
        self._on_trigger = on_trigger
        self._intersection = self._union = 0
        self.iou: list[float] = []
        self.fired_at: int | None = None

    def attach(self, engine: Engine) -> None:
        """Listen to a `PairTrainer`."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._count)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._judge)

    def _count(self, engine: Any) -> None:  # noqa: ANN401
        self._intersection += engine.state.output["intersection"]
        self._union += engine.state.output["union"]

    def _judge(self, engine: Any) -> None:  # noqa: ANN401
        self.iou.append(self._intersection / self._union if self._union else float("nan"))
        self._intersection = self._union = 0
        if self.fired_at is None and self._over():
            self.fired_at = engine.state.epoch
            logger.info("Early learning is over at epoch %d (IoU %s)", self.fired_at, [round(v, 3) for v in self.iou])
            self._on_trigger(self.fired_at)

    def _over(self) -> bool:
        if self._settings.trigger == "adele":
            return early_learning_over(self.iou, self._settings.trigger_slope)
        return self._settings.trigger == "paper" and paper_trigger(self.iou)
