"""How a study stands: one view of it for the command line and for the server."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from sequal.acquisition import Query
from sequal.errors import StudyError
from sequal.study.state import STARTING, RefinedRecord, StudyModels, StudyState, kept_bytes

__all__ = ["NEXT_SHOWN", "StudyOverview"]

#: Images that are shown of those that are asked for next.
NEXT_SHOWN: Final = 10
_KEPT: Final = ("rejected", "replaced")


@dataclass(frozen=True)
class StudyOverview:
    """What there is to know about a study at one moment; everything is plain JSON.

    Attributes:
        studies: folder or address.
        state: the state folder.
        checkpoint: file of the model in service; None when there is none.
        in_service: what it is, in words.
        images: how many there are.
        labelled: how many of them have an expert's label.
        no_layer: how many labels say that the frame shows no layer.
        refined: number of refined labels.
        pixels_changed: mean part of the pixels that refinement changed; None without refined labels.
        kept: files and bytes in `rejected` and `replaced`.
        leases: `image`, `client`, `until` (seconds since the epoch), the first to end first.
        skips: `image`, `client`, `skipped_at`, `reason`.
        doubts: `image` and `warnings`, of labels to look at again.
        rounds: `round`, `status`, `dice` and `dice_before` (on the labels that judged), `labels`, `seconds`,
            `started_at`, `reason`.
        strategy: by which the next images are ranked.
        next: `image`, `score`, `reason`, the most wanted first.
        warnings: what is not well with the study.
        names: what people call an image, by id, where it is not the id.
        trust: what labels found out about masks, see `sequal.study.trust.study_trust`.
    """

    studies: str
    state: str
    checkpoint: str | None
    in_service: str
    images: int
    labelled: int
    no_layer: int
    refined: int
    pixels_changed: float | None
    kept: dict[str, list[int]]
    leases: list[dict[str, Any]]
    skips: list[dict[str, Any]]
    doubts: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    strategy: str
    next: list[dict[str, Any]]
    warnings: list[str]
    names: dict[str, str] = field(default_factory=dict)
    trust: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        state: StudyState,
        *,
        studies: str,
        root: str,
        starting_weights: Path,
        counts: tuple[int, int, int],
        doubts: Mapping[str, Sequence[str]],
        strategy: str,
        queries: Iterable[Query],
        warnings: Sequence[str],
        names: Mapping[str, str] | None = None,
        trust: Mapping[str, Any] | None = None,
    ) -> Self:
        """Look at the state of a study.

        Args:
            state: nothing in it is changed.
            studies: folder or address.
            root: the state folder, as it is shown.
            starting_weights: which need not exist.
            counts: images, labelled ones, and labels without a layer.
            doubts: warnings about its label by image.
            strategy: name of the strategy.
            queries: what it would ask for, the most wanted first.
            warnings: what is not well with the study.
            names: what people call an image.
            trust: what labels found out about masks.

        Raises:
            StudyError: the ledger cannot be read.
        """
        refined = {record.image: record for record in state.ledger.refined()}
        checkpoint = next((path for path in (state.published, starting_weights) if path.exists()), None)
        leases = sorted(state.ledger.lease_terms().items(), key=lambda entry: entry[1][1])
        return cls(
            studies=studies,
            state=root,
            checkpoint=None if checkpoint is None else str(checkpoint),
            in_service=_in_service(state, starting_weights, checkpoint),
            images=counts[0],
            labelled=counts[1],
            no_layer=counts[2],
            refined=len(refined),
            pixels_changed=_mean_changed(list(refined.values())),
            kept={name: list(kept_bytes(state.root / name)) for name in _KEPT},
            leases=[{"image": image, "client": who, "until": until} for image, (who, until) in leases],
            skips=[asdict(skip) for skip in state.ledger.skips()],
            doubts=[{"image": image, "warnings": list(found)} for image, found in doubts.items()],
            rounds=_rounds(state),
            strategy=strategy,
            next=[{"image": query.id, "score": query.score, "reason": query.reason} for query in queries],
            warnings=list(warnings),
            names=dict(names or {}),
            trust=dict(trust or {}),
        )

    @classmethod
    def from_json(cls, content: Any) -> Self:  # noqa: ANN401 - JSON
        """The overview that a server gave.

        Raises:
            StudyError: it is another thing.
        """
        try:
            return cls(**content)
        except TypeError as error:
            raise StudyError(
                f"Expected the overview of a study, got something else ({error}). Is the server of this version?"
            ) from error

    def as_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def name(self, image: str) -> str:
        """What people call an image."""
        return self.names.get(image, image)


def _in_service(state: StudyState, starting_weights: Path, checkpoint: Path | None) -> str:
    model = StudyModels(state, starting_weights).in_service()
    if model is None:
        return "none" if checkpoint is None else "of another study"
    return "starting weights" if model.round == STARTING else f"round {model.round}"


def _mean_changed(records: Sequence[RefinedRecord]) -> float | None:
    return float(np.mean([record.fraction_changed for record in records])) if records else None


def _rounds(state: StudyState) -> list[dict[str, Any]]:
    return [
        {
            "round": record.round,
            "status": record.status,
            "dice": (record.metrics or {}).get("metric"),
            "dice_before": (record.metrics or {}).get("published_metric"),
            "labels": len(record.train_ids),
            "seconds": record.seconds,
            "started_at": record.started_at,
            "reason": record.reason,
        }
        for record in state.ledger.rounds()
    ]
