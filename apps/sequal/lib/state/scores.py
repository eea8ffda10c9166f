"""Scores: how a checkpoint rates each image under each acquisition function."""

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from lib.state.part import LedgerPart
from lib.state.schema import scores

__all__ = ["Scores"]

_KEYS = ("study", "image", "digest", "acquisition")


class Scores(LedgerPart):
    """The scores of one study's images."""

    def put_scores(
        self, digest: str, by_acquisition: Mapping[str, Mapping[str, float]], now: float | None = None
    ) -> None:
        """Record scores of a checkpoint; writing the same ones again changes nothing but their time.

        Args:
            digest: digest of the checkpoint that scored.
            by_acquisition: score by image id, by name of the acquisition function. NaN and infinities are
                kept as "tried, no score", so that this checkpoint does not try the image again.
            now: time of scoring, seconds since the epoch (UTC).

        Raises:
            StudyError: the ledger cannot be written.
        """
        at = time.time() if now is None else now
        rows = [
            {
                "study": self._study,
                "image": image,
                "digest": digest,
                "acquisition": acquisition,
                "score": float(score) if math.isfinite(score) else None,
                "scored_at": at,
            }
            for acquisition, by_image in by_acquisition.items()
            for image, score in by_image.items()
        ]
        if rows:
            self._write(lambda connection: _replace(connection, rows))

    def scores(self, digest: str, acquisition: str) -> dict[str, float]:
        """Score by image id of one checkpoint and acquisition function; NaN where scoring failed."""
        query = select(scores.c.image, scores.c.score).where(
            scores.c.study == self._study, scores.c.digest == digest, scores.c.acquisition == acquisition
        )
        rows = self._read(lambda connection: connection.execute(query).all())
        return {row.image: math.nan if row.score is None else row.score for row in rows}

    def scored_images(self, digest: str, acquisitions: Iterable[str]) -> set[str]:
        """Images that this checkpoint has tried under all of `acquisitions`; without any, the empty set."""
        done = [set(self.scores(digest, name)) for name in acquisitions]
        return set.intersection(*done) if done else set()


def _replace(connection: Connection, rows: list[dict[str, Any]]) -> None:
    # Delete and insert is the upsert that every database knows.
    condition = [scores.c[key] == bindparam(f"old_{key}") for key in _KEYS]
    connection.execute(delete(scores).where(*condition), [{f"old_{key}": row[key] for key in _KEYS} for row in rows])
    connection.execute(insert(scores), rows)
