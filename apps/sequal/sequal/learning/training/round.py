"""One round of SEQUAL: train the pair, refine the labels, gate, publish, score the pool.

It has two callers, the server's train task and the simulation, and knows neither HTTP nor a datastore.
"""

import copy
import logging
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from ignite.engine import Events
from monai.handlers import TensorBoardStatsHandler
from torch import Tensor

from sequal.acquisition import FEATURES, PLD, extras_for
from sequal.anatomy.models import model_of
from sequal.errors import CheckpointError, StudyError
from sequal.learning.methods import METHODS
from sequal.learning.networks import NetworkPair, Weights
from sequal.learning.trainer import PairTrainer
from sequal.learning.training.anchor import find_anchor
from sequal.learning.training.batches import TwoStreamBatches
from sequal.learning.training.early_learning import EarlyLearningHandler
from sequal.learning.training.gate import Verdict, decide
from sequal.learning.training.judging import LabelJudges, early_step
from sequal.learning.training.labels_in_use import LabelsInUse
from sequal.learning.training.readings import Readings
from sequal.learning.training.refine import RefinementReport, refine_labels
from sequal.learning.training.round_length import with_steps
from sequal.learning.training.round_report import RoundReport
from sequal.prediction import (
    Confidence,
    LoadedPair,
    check_fits,
    checkpoint_payload,
    choose_device,
    load_pair,
    score_pool,
    store_features,
)
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import (
    Partition,
    RefinedRecord,
    StudyModels,
    StudyState,
    freeze_split,
    prune,
    publish,
    retire_split,
    save_checkpoint,
)

__all__ = ["round_seed", "run_round"]

logger = logging.getLogger(__name__)

Progress = Callable[[Mapping[str, Any]], None]


def round_seed(base: int, number: int) -> int:
    """The seed of a round, a function of the base seed and the round's number.

    >>> round_seed(0, 1) != round_seed(0, 2)
    True
    """
    return int(np.random.SeedSequence([base, number]).generate_state(1)[0])


def run_round(
    labelled: Sequence[Item],
    unlabelled: Sequence[Item],
    state: StudyState,
    settings: Settings,
    *,
    starting_weights: Path | None = None,
    progress: Progress | None = None,
    says: Callable[[str], None] = lambda _: None,
    score: bool = True,
    before_publishing: Callable[[], None] = lambda: None,
    gate: bool = True,
) -> RoundReport:
    """Run one round on a study.

    Args:
        labelled: every image with an expert's label; the frozen validation images are taken out here.
        unlabelled: the pool.
        state: the study's state; everything is written there and nowhere else.
        settings: of this round.
        starting_weights: checkpoint that a study without a published one starts from.
        progress: called with train stats after every epoch.
        says: called with words for what the round begins to do.
        score: score the pool after publishing; a caller that scores it in a pass of its own leaves it out.
        before_publishing: called right before anything is published; what it raises ends the round.
        gate: let the labels judge the round; without it every pair of finite weights is published.

    Raises:
        StudyError: no usable labelled image.
        PublishError: the checkpoint could not be written; the published one is as it was.
    """
    if settings.validation_fraction == 0:
        retire_split(state.split_file)
    patients = {item.id: item.patient for item in labelled}
    trained = {patients[image] for record in state.ledger.rounds() for image in record.train_ids if image in patients}
    split = freeze_split(state.split_file, patients, settings.validation_fraction, settings.seed, trained)
    parts = split.partition(patients, patients)
    number = state.ledger.start_round(
        settings=settings.record(),
        seed=settings.seed,
        versions={
            "torch": torch.__version__,
            "monai": monai.__version__,
            "python": platform.python_version(),
        },
        train_ids=parts.train_ids,
        validation_ids=parts.validation_ids,
        unlabelled_count=len(unlabelled),
    )
    published: list[str] = []
    try:
        this = _Round(number, labelled, unlabelled, parts, state, settings, starting_weights, progress, says, gate=gate)
        return this.run(published.append, before_publishing, score=score)
    except BaseException as error:
        state.refined.discard(number)
        _record_failure(state, number, error, published)
        raise


def _record_failure(state: StudyState, number: int, error: BaseException, published: Sequence[str]) -> None:
    """Close a round that an error ended; one that had already published stays published in the record."""
    reason = f"{type(error).__name__}: {error}"
    try:
        if published:
            reason = f"{published[0]}; ended after publishing by {reason}"
            state.ledger.finish_round(number, status="published", reason=reason)
        else:
            state.ledger.finish_round(number, status="failed", reason=reason)
    except StudyError:  # the same full disk, say: the first error is the one to tell
        logger.exception("Cannot record the end of round %d (%s)", number, reason)


class _Round:
    """The steps of one round, in the order in which `run` calls them."""

    def __init__(
        self,
        number: int,
        labelled: Sequence[Item],
        unlabelled: Sequence[Item],
        parts: Partition,
        state: StudyState,
        settings: Settings,
        starting_weights: Path | None,
        progress: Progress | None,
        says: Callable[[str], None],
        *,
        gate: bool,
    ) -> None:
        self.start = time.monotonic()
        self.number, self.state, self.settings = number, state, settings
        self.seed = round_seed(settings.seed, number)
        self.device = choose_device(settings.device)
        self.method, self.model = METHODS[settings.method], model_of(settings)
        self.progress, self.says = progress or (lambda _: None), says
        self.says("Loading frames and networks")
        self.frames = WorkingFrames(settings)
        self.labels = LabelsInUse(self.frames, state.refined, settings)
        by_id = {item.id: item for item in labelled}
        self.train_items = self.labels.usable([by_id[i] for i in parts.train_ids])
        self.validation = self.labels.usable([by_id[i] for i in parts.validation_ids])
        self.readings = Readings(self.train_items, settings.reader_tags, self.frames, self.labels, self.model)
        self.labelled = sorted(labelled, key=lambda i: i.id)
        self.unlabelled = sorted(unlabelled, key=lambda i: i.id)
        self.pool = self.frames.readable(self.unlabelled)
        if not self.train_items:
            raise StudyError(
                f"Expected at least one usable labelled image to train on, got {len(labelled)} labelled of which "
                f"none can be used. Label an image and submit it. {self._left_out()}".rstrip()
            )
        self.surroundings = self.model.surroundings(self.labels.with_images(self.train_items))
        self.settings = with_steps(settings, len(self.train_items))
        self.models = StudyModels(state, starting_weights)
        self.previous = self._load(state.published)
        self.in_service = self.models.digest if self.previous is None else self.previous.digest
        start = self._starting_weights(starting_weights)
        self.anchor = find_anchor(start, self.train_items, self.frames, self.labels, self.model, self.device)
        self.pair = self._first_pair(start)
        self.before = self.pair.weights()
        serving = self.models.in_service()
        known = serving.record.train_ids if serving is not None and serving.record is not None else ()
        learnt_from, held_out = (self.train_items, self.validation) if gate else ([], [])
        self.judges = LabelJudges(
            learnt_from,
            held_out,
            known,
            self.frames,
            self.labels,
            self.model,
            self.device,
            seed=self.seed,
            before=None if self.previous is None else self.previous.surroundings,
            after=self.surroundings,
        )
        self.at_trigger: dict[str, Weights] | None = None
        self.refinement = RefinementReport()

    def run(
        self, on_published: Callable[[str], None], before_publishing: Callable[[], None], *, score: bool
    ) -> RoundReport:
        self.says("Trying the model in use on the labels")
        self.judges.look("before", self.pair)
        iou = self._train()
        self.says("Trying the new model on the labels")
        self.judges.look("after", self.pair)
        checkpoint, digest = self._save()
        verdict = self._judge()
        published, reason = verdict.publish, verdict.reason
        if published:
            before_publishing()
            published, reason = self._publish(checkpoint, reason, on_published)
        if not published:
            self.state.refined.discard(self.number)
        self.says("Choosing the frames to ask for next")
        pld = self._score_pool() if published and score else {"scored": 0, "mean": None, "max": None}
        self._prune()
        report = RoundReport(
            round=self.number,
            published=published,
            reason=reason,
            metric=verdict.after,
            published_metric=verdict.before,
            judged=verdict.as_dict(),
            refinement=self.refinement,
            pld=pld,
            trained_on=len(self.train_items),
            no_layer=sum(self.labels.no_layer(item) for item in self.train_items),
            left_out=self._left_out(),
            digest=digest,
            seconds=round(time.monotonic() - self.start, 2),
            iou=tuple(iou),
        )
        self._record(report)
        return report

    def _judge(self) -> Verdict:
        finite = all(bool(tensor.isfinite().all()) for tensor in self.pair.state_dict().values())
        return decide(self.judges.figures(), finite=finite, in_service=self.in_service is not None)

    def _publish(self, checkpoint: Path, reason: str, on_published: Callable[[str], None]) -> tuple[bool, str]:
        """Publish, unless another model was put into service since the round began."""
        with self.models.changing():
            if self.models.digest != self.in_service:
                return False, (
                    "another model was put into service while this round ran: train again to go on from that one, or "
                    "put this round into service"
                )
            publish(checkpoint, self.state.published)
            on_published(reason)
            self._commit_refined()
        return True, reason

    def _prune(self) -> None:
        serving = self.models.in_service()
        protected = [] if serving is None else [self.state.checkpoint_of(serving.round)]
        prune(self.state.checkpoints, self.settings.keep_checkpoints, protected)

    def _commit_refined(self) -> None:
        records = []
        for image in self.state.refined.commit(self.number):
            provenance = self.state.refined.provenance(image)
            if provenance is not None:
                records.append(RefinedRecord(image=image, **asdict(provenance)))
        self.state.ledger.put_refined(records)

    def _load(self, path: Path) -> LoadedPair | None:
        return load_pair(path, self.device, self.settings.ema_alpha) if path.exists() else None

    def _starting_weights(self, path: Path | None) -> NetworkPair | None:
        """The starting weights, if they are there and of the networks that the settings ask for."""
        loaded = None if path is None else self._load(path)
        if loaded is None:
            return None
        try:
            check_fits(loaded, self.settings, path.name if path else "")
        except CheckpointError as error:
            logger.info("Learning from random weights: %s", error)
            return None
        return loaded.pair

    def _first_pair(self, start: NetworkPair | None) -> NetworkPair:
        """What the round goes on from: the published pair, else the starting weights, else random weights."""
        pair = start
        if self.previous is not None:
            check_fits(self.previous, self.settings, "the published checkpoint")
            pair = self.previous.pair
        if pair is None:
            with torch.random.fork_rng():
                torch.manual_seed(self.seed)
                architectures = self.method.pair.architectures_of(self.settings, self.model.shape)
                return self.method.pair.create(architectures, self.settings.ema_alpha).to(self.device)
        return copy.deepcopy(pair)

    def _train(self) -> list[float]:
        self.says("Preparing the training")
        known = self.anchor.pair is not None
        if known and self.settings.frozen_statistics:
            self.pair.freeze_statistics()
        batches = TwoStreamBatches(
            self.train_items,
            self.pool,
            self.frames,
            self.labels,
            self.settings,
            self.seed,
            self._rehearsal() if known and self.settings.rehearsal else None,
            self.readings,
        )
        trainer = self.method.trainer(
            self.pair,
            batches,
            self.settings,
            self.device,
            prior=self.model.prior(),
            streams_apart=self.model.streams_apart and not (known and self.settings.frozen_statistics),
        )
        watch = EarlyLearningHandler(self.settings, lambda epoch: self._refine(trainer, epoch))
        watch.attach(trainer)
        events = TensorBoardStatsHandler(
            log_dir=str(self.state.events / f"round-{self.number:04d}"),
            output_transform=lambda output: output["loss"],
        )
        events.attach(trainer)

        def report(engine: Any) -> None:  # noqa: ANN401 - an ignite Engine
            values: dict[str, Any] = {"epoch": engine.state.epoch, "round": self.number}
            if math.isfinite(watch.iou[-1]):
                values["best_metric"] = 2 * watch.iou[-1] / (1 + watch.iou[-1])  # the Dice of the training patches
            self.progress(values)

        trainer.add_event_handler(Events.EPOCH_COMPLETED, report)
        first_steps = Events.ITERATION_COMPLETED(once=early_step(len(self.train_items), self.settings))
        trainer.add_event_handler(first_steps, lambda: self.judges.look("early", self.pair))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self.says("Training")
            try:
                trainer.run()
            finally:
                events.close()
        self.pair.eval()
        self.anchor.hold(self.pair, len(self.train_items), self.settings.anchor_labels)
        return watch.iou

    def _rehearsal(self) -> Iterable[tuple[Tensor, Tensor]] | None:
        self.says("Simulating images to practise on")
        logger.info("Rehearsal in the convention of the labels: %s", self.anchor.convention)
        return self.model.rehearsal(self.state.root / "rehearsal.npz", self.seed + 1, self.anchor.convention)

    def _refine(self, trainer: PairTrainer, epoch: int) -> None:
        self.at_trigger = self.pair.weights()
        path = self.state.checkpoints / f"round-{self.number:04d}-fusion.pt"
        digest = save_checkpoint(path, self._payload({}))
        self.refinement = refine_labels(
            self.train_items,
            self.pair,
            self.frames,
            self.labels,
            self.state.refined.stage(self.number),
            self.settings,
            epoch=epoch,
            round_number=self.number,
            checkpoint_digest=digest,
            model=self.model,
            device=self.device,
        )
        logger.info("Fusion in round %d: %s", self.number, self.refinement)
        if self.settings.after_fusion == "stop":
            trainer.terminate()

    def _query_pair(self, weights: dict[str, Weights]) -> dict[str, Any] | None:
        """What PLD compares, where it is not the `weights` that the round ends with."""
        first, second = self.pair.member_names
        at_trigger = self.at_trigger if self.settings.pld_at == "trigger" else None
        if self.settings.pld_pair == "consecutive_rounds":
            compared = {"reference": (first, at_trigger or weights), "other": (first, self.before)}
        elif at_trigger is not None:
            compared = {"reference": (first, at_trigger), "other": (second, at_trigger)}
        else:
            return None
        architectures = self.pair.architectures
        return {
            part: {"architecture": architectures[name].record(), "weights": of[name]}
            for part, (name, of) in compared.items()
        }

    def _payload(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        notes = {
            "round": self.number,
            "iterations": self.pair.updates,
            "settings": self.settings.record(),
            "surroundings": self.surroundings,
            **extra,
        }
        return checkpoint_payload(self.pair, notes, self.model.name)

    def _save(self) -> tuple[Path, str]:
        path = self.state.checkpoint_of(self.number)
        confidence = Confidence() if self.previous is None else self.previous.confidence
        judged = confidence.judged(self.judges.expected_and_found())
        payload = self._payload(
            {"train_ids": [i.id for i in self.train_items], "confidence": judged.as_meta()},
        )
        query_pair = self._query_pair({name: member["weights"] for name, member in payload["members"].items()})
        if query_pair is not None:
            payload["query_pair"] = query_pair
        return path, save_checkpoint(path, payload)

    def _score_pool(self) -> dict[str, float | int | None]:
        loaded = load_pair(self.state.published, self.device)
        extras = extras_for(self.settings.strategy)
        found = score_pool(
            self.unlabelled,
            loaded,
            self.state.ledger,
            self.settings,
            self.device,
            frames=self.frames,
            acquisitions=extras,
        )
        if FEATURES in extras:
            images = [*self.labelled, *self.unlabelled]
            store_features(images, loaded, self.state.features, self.settings, self.device, frames=self.frames)
            self.state.features.prune(self.settings.keep_checkpoints, {loaded.digest})
        pld = [scores[PLD] for scores in found.scores.values()]
        return {
            "scored": len(pld),
            "mean": float(np.mean(pld)) if pld else None,
            "max": float(np.max(pld)) if pld else None,
        }

    def _left_out(self) -> dict[str, str]:
        return {**self.frames.unreadable, **self.labels.unusable, **self.readings.unusable}

    def _record(self, report: RoundReport) -> None:
        metrics = {k: v for k, v in asdict(report).items() if k not in {"round", "published", "reason", "seconds"}}
        self.state.ledger.finish_round(
            self.number,
            status="published" if report.published else "rejected",
            reason=report.reason,
            metrics=metrics,
            seconds=report.seconds,
            checkpoint_digest=report.digest,
        )
