"""The last steps of a round: its checkpoint is written, and put into service with the refined labels."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sequal.learning.networks import Weights
from sequal.learning.training.judging import LabelJudges
from sequal.learning.training.prepare import Prepared
from sequal.prediction import Confidence, checkpoint_payload
from sequal.study.state import RefinedRecord, prune, publish, save_checkpoint

__all__ = ["payload_of", "prune_checkpoints", "publish_round", "save_round"]


def payload_of(this: Prepared, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint of the round's networks as they are, with notes on the round and `extra` ones."""
    notes = {
        "round": this.number,
        "iterations": this.pair.updates,
        "settings": this.settings.record(),
        "surroundings": this.surroundings,
        **extra,
    }
    return checkpoint_payload(this.pair, notes, this.model.name)


def save_round(this: Prepared, judges: LabelJudges, at_trigger: dict[str, Weights] | None) -> tuple[Path, str]:
    """Write the round's checkpoint, with what the labels found out about the confidence.

    Args:
        this: the round.
        judges: labels that looked at the model in service.
        at_trigger: weights when early learning was over, which PLD may compare.

    Returns:
        Its file and its digest.
    """
    path = this.state.checkpoint_of(this.number)
    confidence = Confidence() if this.previous is None else this.previous.confidence
    judged = confidence.judged(judges.expected_and_found())
    notes = {"train_ids": [item.id for item in this.train_items], "confidence": judged.as_meta()}
    payload = payload_of(this, notes)
    weights = {name: member["weights"] for name, member in payload["members"].items()}
    query_pair = _query_pair(this, weights, at_trigger)
    if query_pair is not None:
        payload["query_pair"] = query_pair
    return path, save_checkpoint(path, payload)


def publish_round(
    this: Prepared, checkpoint: Path, reason: str, on_published: Callable[[str], None]
) -> tuple[bool, str]:
    """Publish, unless another model was put into service since the round began.

    Args:
        this: the round.
        checkpoint: its file.
        reason: why it is to be published.
        on_published: called with the reason as soon as it is.

    Returns:
        Whether it was published, and why or why not.
    """
    with this.models.changing():
        if this.models.digest != this.in_service:
            return False, (
                "another model was put into service while this round ran: train again to go on from that one, or "
                "put this round into service"
            )
        publish(checkpoint, this.state.published)
        on_published(reason)
        _commit_refined(this)
    return True, reason


def prune_checkpoints(this: Prepared) -> None:
    """Keep the newest checkpoints and the one in service."""
    serving = this.models.in_service()
    protected = [] if serving is None else [this.state.checkpoint_of(serving.round)]
    prune(this.state.checkpoints, this.settings.keep_checkpoints, protected)


def _commit_refined(this: Prepared) -> None:
    refined, records = this.state.refined, []
    for image in refined.commit(this.number):
        provenance = refined.provenance(image)
        if provenance is not None:
            records.append(RefinedRecord(image=image, **asdict(provenance)))
    this.state.ledger.put_refined(records)


def _query_pair(
    this: Prepared, weights: dict[str, Weights], at_trigger: dict[str, Weights] | None
) -> dict[str, Any] | None:
    """What PLD compares, where it is not the `weights` that the round ends with."""
    first, second = this.pair.member_names
    at_trigger = at_trigger if this.settings.pld_at == "trigger" else None
    if this.settings.pld_pair == "consecutive_rounds":
        compared = {"reference": (first, at_trigger or weights), "other": (first, this.before)}
    elif at_trigger is not None:
        compared = {"reference": (first, at_trigger), "other": (second, at_trigger)}
    else:
        return None
    architectures = this.pair.architectures
    return {
        part: {"architecture": architectures[name].record(), "weights": of[name]}
        for part, (name, of) in compared.items()
    }
