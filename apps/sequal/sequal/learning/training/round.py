"""One round of SEQUAL: train the pair, refine the labels, gate, publish, score the pool.

It has two callers, the server's train task and the simulation, and knows neither HTTP nor a datastore.
"""

import logging
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import monai
import numpy as np
import torch

from sequal.acquisition import FEATURES, PLD, extras_for
from sequal.errors import StudyError
from sequal.learning.training.gate import Verdict, decide
from sequal.learning.training.judging import LabelJudges
from sequal.learning.training.prepare import Prepared, prepare
from sequal.learning.training.publish import prune_checkpoints, publish_round, save_round
from sequal.learning.training.round_report import RoundReport
from sequal.learning.training.train import Progress, Trained, train
from sequal.prediction import load_pair, score_pool, store_features
from sequal.settings import Settings
from sequal.study.items import Item
from sequal.study.state import StudyState, freeze_split, retire_split

__all__ = ["run_round"]

logger = logging.getLogger(__name__)


#: Of a pool whose scores another pass computes, or whose round was not published.
_NOT_SCORED: Mapping[str, int | None] = {"scored": 0, "mean": None, "max": None}


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
    taught = {patients[image] for record in state.ledger.rounds() for image in record.train_ids if image in patients}
    split = freeze_split(state.split_file, patients, settings.validation_fraction, settings.seed, taught)
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
    reasons: list[str] = []
    start = time.monotonic()
    try:
        says("Loading frames and networks")
        this = prepare(number, labelled, unlabelled, parts, state, settings, starting_weights)

        judges = this.judges(gate=gate)
        says("Trying the model in use on the labels")
        judges.look("before", this.pair)
        trained = train(this, judges, progress or (lambda _: None), says)
        says("Trying the new model on the labels")
        judges.look("after", this.pair)
        checkpoint, digest = save_round(this, judges, trained.at_trigger)
        verdict = _verdict(this, judges)

        published, reason = verdict.publish, verdict.reason
        if published:
            before_publishing()
            published, reason = publish_round(this, checkpoint, reason, reasons.append)
        if not published:
            state.refined.discard(number)
        says("Choosing the frames to ask for next")
        pld = _score_pool(this) if published and score else _NOT_SCORED
        prune_checkpoints(this)

        report = _report(this, verdict, trained, pld, digest, published=published, reason=reason, start=start)
        _record(this, report)
        return report
    except BaseException as error:
        state.refined.discard(number)
        _record_failure(state, number, error, reasons)
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


def _verdict(this: Prepared, judges: LabelJudges) -> Verdict:
    finite = all(bool(tensor.isfinite().all()) for tensor in this.pair.state_dict().values())
    return decide(judges.figures(), finite=finite, in_service=this.in_service is not None)


def _score_pool(this: Prepared) -> dict[str, float | int | None]:
    loaded = load_pair(this.state.published, this.device)
    extras = extras_for(this.settings.strategy)
    found = score_pool(
        this.unlabelled,
        loaded,
        this.state.ledger,
        this.settings,
        this.device,
        frames=this.frames,
        acquisitions=extras,
    )
    if FEATURES in extras:
        images = [*this.labelled, *this.unlabelled]
        store_features(images, loaded, this.state.features, this.settings, this.device, frames=this.frames)
        this.state.features.prune(this.settings.keep_checkpoints, {loaded.digest})
    pld = [scores[PLD] for scores in found.scores.values()]
    return {
        "scored": len(pld),
        "mean": float(np.mean(pld)) if pld else None,
        "max": float(np.max(pld)) if pld else None,
    }


def _report(
    this: Prepared,
    verdict: Verdict,
    trained: Trained,
    pld: Mapping[str, float | int | None],
    digest: str,
    *,
    published: bool,
    reason: str,
    start: float,
) -> RoundReport:
    return RoundReport(
        round=this.number,
        published=published,
        reason=reason,
        metric=verdict.after,
        published_metric=verdict.before,
        judged=verdict.as_dict(),
        refinement=trained.refinement,
        pld=pld,
        trained_on=len(this.train_items),
        no_layer=sum(this.labels.no_layer(item) for item in this.train_items),
        left_out=this.left_out,
        digest=digest,
        seconds=round(time.monotonic() - start, 2),
        iou=tuple(trained.iou),
    )


def _record(this: Prepared, report: RoundReport) -> None:
    metrics = {k: v for k, v in asdict(report).items() if k not in {"round", "published", "reason", "seconds"}}
    this.state.ledger.finish_round(
        this.number,
        status="published" if report.published else "rejected",
        reason=report.reason,
        metrics=metrics,
        seconds=report.seconds,
        checkpoint_digest=report.digest,
    )
