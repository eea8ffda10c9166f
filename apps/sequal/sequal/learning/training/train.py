"""The second step of a round: the networks learn, and the labels are refined on the way."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from ignite.engine import Events
from monai.handlers import TensorBoardStatsHandler
from numpy.typing import NDArray

from sequal.anatomy.model import NativePrediction
from sequal.errors import ImageError, LabelError
from sequal.files.imaging import Frame, read_frame
from sequal.learning.networks import Weights
from sequal.learning.trainer import PairTrainer
from sequal.learning.training.batches import TwoStreamBatches
from sequal.learning.training.early_learning import EarlyLearningHandler
from sequal.learning.training.judging import LabelJudges, early_step
from sequal.learning.training.prepare import Prepared
from sequal.learning.training.publish import payload_of
from sequal.learning.training.refine import RefinementReport, refine_labels
from sequal.prediction import predict
from sequal.study.state import save_checkpoint

__all__ = ["Progress", "Trained", "train"]

logger = logging.getLogger(__name__)

#: Labelled images that say how thick masks are; more say the same and take longer.
_COMPARED: Final = 24

Progress = Callable[[Mapping[str, Any]], None]


@dataclass
class Trained:
    """What came of a training beside the networks.

    Attributes:
        iou: of the training patches with their labels, one value an epoch.
        refinement: what fusion did.
        at_trigger: weights of the networks when early learning was over; None where it never was.
    """

    iou: list[float] = field(default_factory=list)
    refinement: RefinementReport = field(default_factory=RefinementReport)
    at_trigger: dict[str, Weights] | None = None


def train(this: Prepared, judges: LabelJudges, progress: Progress, says: Callable[[str], None]) -> Trained:
    """Train `this.pair`.

    Args:
        this: the round.
        judges: labels that look at the networks early in the training.
        progress: called with train stats after every epoch.
        says: called with words for what begins.
    """
    says("Preparing the training")
    trained = Trained()
    trainer = _trainer(this, says)
    watch = EarlyLearningHandler(this.settings, lambda epoch: _refine(this, trained, trainer, epoch))
    watch.attach(trainer)
    events = TensorBoardStatsHandler(
        log_dir=str(this.state.events / f"round-{this.number:04d}"),
        output_transform=lambda output: output["loss"],
    )
    events.attach(trainer)

    def report(engine: Any) -> None:  # noqa: ANN401 - an ignite Engine
        values: dict[str, Any] = {"epoch": engine.state.epoch, "round": this.number}
        if math.isfinite(watch.iou[-1]):
            values["best_metric"] = 2 * watch.iou[-1] / (1 + watch.iou[-1])  # the Dice of the training patches
        progress(values)

    trainer.add_event_handler(Events.EPOCH_COMPLETED, report)
    first_steps = Events.ITERATION_COMPLETED(once=early_step(len(this.train_items), this.settings))
    trainer.add_event_handler(first_steps, lambda: judges.look("early", this.pair))
    with torch.random.fork_rng():
        torch.manual_seed(this.seed)
        says("Training")
        try:
            trainer.run()
        finally:
            events.close()
    this.pair.eval()
    this.anchor.hold(this.pair, len(this.train_items), this.settings.anchor_labels)
    if this.settings.match_thickness:
        offset = this.model.logit_offset(_shown(this))
        if offset:
            this.pair.raise_logits(offset)
        logger.info("Masks of round %d are as large as the labels with %+.2f on the log-odds", this.number, offset)
    trained.iou = watch.iou
    return trained


def _shown(this: Prepared) -> Iterator[tuple[NativePrediction, NDArray[np.uint8], Frame]]:
    """What the trained networks show of labelled images, evenly spread, with label and image."""
    items = [item for item in this.train_items if not this.labels.no_layer(item)]
    for index in np.unique(np.linspace(0, len(items) - 1, _COMPARED).astype(int)) if items else ():
        working = this.frames.get(items[index])
        if working is None:  # read before, lost since
            continue
        with suppress(ImageError, LabelError):
            frame, expert = read_frame(items[index].image), this.labels.expert(items[index])
            found = predict(this.pair.shown, working, this.model, this.device)
            yield this.model.clean(found, frame, this.surroundings), expert, frame


def _trainer(this: Prepared, says: Callable[[str], None]) -> PairTrainer:
    """The method's trainer; what the starting weights know is kept, if the labels show that structure."""
    settings, known = this.settings, this.anchor.pair is not None
    frozen = known and settings.frozen_statistics
    if frozen:
        this.pair.freeze_statistics()
    rehearsal = None
    if known and settings.rehearsal:
        says("Simulating images to practise on")
        logger.info("Rehearsal in the convention of the labels: %s", this.anchor.convention)
        rehearsal = this.model.rehearsal(this.state.root / "rehearsal.npz", this.seed + 1, this.anchor.convention)
    batches = TwoStreamBatches(
        this.train_items, this.pool, this.frames, this.labels, settings, this.seed, rehearsal, this.readings
    )
    return this.method.trainer(
        this.pair,
        batches,
        settings,
        this.device,
        prior=this.model.prior(),
        streams_apart=this.model.streams_apart and not frozen,
    )


def _refine(this: Prepared, trained: Trained, trainer: PairTrainer, epoch: int) -> None:
    trained.at_trigger = this.pair.weights()
    path = this.state.checkpoints / f"round-{this.number:04d}-fusion.pt"
    trained.refinement = refine_labels(
        this.train_items,
        this.pair,
        this.frames,
        this.labels,
        this.state.refined.stage(this.number),
        this.settings,
        epoch=epoch,
        round_number=this.number,
        checkpoint_digest=save_checkpoint(path, payload_of(this, {})),
        model=this.model,
        device=this.device,
    )
    logger.info("Fusion in round %d: %s", this.number, trained.refinement)
    if this.settings.after_fusion == "stop":
        trainer.terminate()
