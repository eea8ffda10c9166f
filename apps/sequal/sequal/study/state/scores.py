"""Scores: how a checkpoint rates each image under each acquisition function."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, delete, func, insert, select, tuple_

from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import scores

__all__ = ["Scores"]

#: Images that are read at once, and how much more with each further reading.
_FIRST, _GROWTH, _MOST = 64, 4, 4096
_KEYS: Final = ("study", "image", "digest", "acquisition")


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
        query = self._scores_of(digest, acquisition)
        rows = self._read(lambda connection: connection.execute(query).all())
        return {row.image: math.nan if row.score is None else row.score for row in rows}

    def score_of(self, digest: str, acquisition: str, image: str) -> float | None:
        """Score of one image; None where it has none."""
        query = self._scores_of(digest, acquisition).where(scores.c.image == image)
        row = self._read(lambda connection: connection.execute(query).first())
        return None if row is None else row.score

    def best_first(self, digest: str, acquisition: str) -> Iterator[list[tuple[str, float]]]:
        """Images with a score, the highest first, and of equal scores the last id first, in parts.

        They are read from an index as they are asked for, so that the first ones cost the same in a study of any size.

        Raises:
            StudyError: the ledger cannot be read.
        """
        scored = self._scores_of(digest, acquisition).where(scores.c.score.is_not(None))
        ordered = scored.order_by(scores.c.score.desc(), scores.c.image.desc())
        size, part = _FIRST, self._part(ordered.limit(_FIRST))
        while part:
            yield part
            image, score = part[-1]
            size = min(size * _GROWTH, _MOST)
            after = tuple_(scores.c.score, scores.c.image) < tuple_(bindparam(None, score), bindparam(None, image))
            part = self._part(ordered.where(after).limit(size))

    def _part(self, query: Select[Any]) -> list[tuple[str, float]]:
        return self._read(lambda connection: [(row.image, row.score) for row in connection.execute(query)])

    def all_failed(self, digest: str, acquisition: str) -> bool:
        """Whether a checkpoint has tried images and could score none."""
        tried = self._scores_of(digest, acquisition)

        def ask(connection: Connection) -> bool:
            scored = connection.execute(tried.where(scores.c.score.is_not(None)).limit(1)).first()
            return scored is None and connection.execute(tried.limit(1)).first() is not None

        return self._read(ask)

    def scored_images(self, digest: str, acquisitions: Iterable[str]) -> set[str]:
        """Images that this checkpoint has tried under all of `acquisitions`; without any, the empty set."""
        names = sorted(set(acquisitions))
        tried = (
            select(scores.c.image)
            .where(scores.c.study == self._study, scores.c.digest == digest, scores.c.acquisition.in_(names))
            .group_by(scores.c.image)
            .having(func.count() == len(names))
        )
        return self._read(lambda connection: set(connection.execute(tried).scalars())) if names else set()

    def _scores_of(self, digest: str, acquisition: str) -> Select[Any]:
        return select(scores.c.image, scores.c.score).where(
            scores.c.study == self._study, scores.c.digest == digest, scores.c.acquisition == acquisition
        )


def _replace(connection: Connection, rows: list[dict[str, Any]]) -> None:
    # Delete and insert is the upsert that every database knows.
    condition = [scores.c[key] == bindparam(f"old_{key}") for key in _KEYS]
    connection.execute(delete(scores).where(*condition), [{f"old_{key}": row[key] for key in _KEYS} for row in rows])
    connection.execute(insert(scores), rows)
