"""Rounds: what each training round used, and what came of it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from sequal.errors import StudyError
from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import rounds

__all__ = ["RoundOutcome", "RoundRecord", "RoundStatus", "Rounds"]

RoundOutcome = Literal["published", "rejected", "failed"]
RoundStatus = Literal["running", "published", "rejected", "failed"]


@dataclass(frozen=True)
class RoundRecord:
    """One training round; times are seconds since the epoch (UTC), None stands for what is not known yet."""

    round: int
    status: RoundStatus
    started_at: float
    finished_at: float | None
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    train_ids: list[str]
    validation_ids: list[str]
    unlabelled_count: int
    metrics: dict[str, Any] | None
    seconds: float | None
    checkpoint_digest: str | None
    reason: str | None


class Rounds(LedgerPart):
    """The rounds of one study."""

    def start_round(
        self,
        *,
        settings: Mapping[str, Any],
        seed: int,
        versions: Mapping[str, str],
        train_ids: Sequence[str],
        validation_ids: Sequence[str],
        unlabelled_count: int,
        now: float | None = None,
    ) -> int:
        """Record the start of a round with status `running`.

        Args:
            settings: as `Settings.record` gives them.
            seed: seed of this round.
            versions: version by package, of what the result depends on.
            train_ids: labelled images that are trained on.
            validation_ids: labelled images of the frozen validation.
            unlabelled_count: how many images have no label.
            now: time of the start, seconds since the epoch (UTC).

        Returns:
            The round's number: one more than the highest so far, beginning at 1.

        Raises:
            StudyError: the ledger cannot be written.
        """
        row = {
            "study": self._study,
            "status": "running",
            "started_at": time.time() if now is None else now,
            "settings": dict(settings),
            "seed": seed,
            "versions": dict(versions),
            "train_ids": list(train_ids),
            "validation_ids": list(validation_ids),
            "unlabelled_count": unlabelled_count,
        }
        return self._write(lambda connection: self._insert_round(connection, row))

    def finish_round(
        self,
        number: int,
        *,
        status: RoundOutcome,
        reason: str,
        metrics: Mapping[str, Any] | None = None,
        checkpoint_digest: str | None = None,
        seconds: float | None = None,
        now: float | None = None,
    ) -> None:
        """Record the end of a round.

        Args:
            number: as `start_round` gave it.
            status: `published`, `rejected` by the gate, or `failed` by an error.
            reason: why, in words.
            metrics: JSON values; NaN is stored as null.
            checkpoint_digest: digest of the checkpoint that the round wrote.
            seconds: duration; None takes the time since the recorded start.
            now: time of the end, seconds since the epoch (UTC).

        Raises:
            StudyError: there is no such round, or the ledger cannot be written.
        """
        at = time.time() if now is None else now
        values = {
            "status": status,
            "reason": reason,
            "metrics": None if metrics is None else dict(metrics),
            "checkpoint_digest": checkpoint_digest,
            "finished_at": at,
            "seconds": at - rounds.c.started_at if seconds is None else seconds,
        }
        statement = update(rounds).where(rounds.c.study == self._study, rounds.c.round == number).values(values)
        if self._write(lambda connection: connection.execute(statement).rowcount) != 1:
            raise StudyError(f"Expected `round` to be a started round, got {number}. Call `start_round` first.")

    def fail_running_rounds(self, reason: str, now: float | None = None) -> list[int]:
        """Close rounds that never ended (their process was killed) as `failed`; returns their numbers.

        For a caller that knows that no training of this study is running.
        """
        numbers = [record.round for record in self.rounds() if record.status == "running"]
        for number in numbers:
            self.finish_round(number, status="failed", reason=reason, now=now)
        return numbers

    def rounds(self) -> list[RoundRecord]:
        """All rounds, oldest first; empty before the first."""
        columns = [rounds.c[field.name] for field in fields(RoundRecord)]
        query = select(*columns).where(rounds.c.study == self._study).order_by(rounds.c.round)
        return self._read(lambda connection: [RoundRecord(**row) for row in connection.execute(query).mappings()])

    def _insert_round(self, connection: Connection, row: dict[str, Any]) -> int:
        highest = select(func.max(rounds.c.round)).where(rounds.c.study == self._study)
        number = int(connection.execute(highest).scalar() or 0) + 1
        connection.execute(insert(rounds).values(round=number, **row))
        return number
