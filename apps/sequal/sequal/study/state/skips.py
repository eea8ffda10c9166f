"""Skips: images that an annotator found not usable, which nobody is asked for until that is taken back."""

import time
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, Delete, delete, insert, select

from sequal.study.state.leases import ANONYMOUS
from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import skips

__all__ = ["SkipRecord", "Skips"]


@dataclass(frozen=True)
class SkipRecord:
    """One skipped image.

    Attributes:
        image: image id.
        client: who skipped it.
        reason: in his words; may be empty.
        skipped_at: seconds since the epoch (UTC).
    """

    image: str
    client: str
    reason: str
    skipped_at: float


class Skips(LedgerPart):
    """The skipped images of one study."""

    def skip(self, image: str, client: str | None, reason: str, now: float | None = None) -> SkipRecord:
        """Ask nobody for an image from now on; a second skip replaces who said why.

        Args:
            image: image id.
            client: who skips; None or "" is `ANONYMOUS`.
            reason: why it is not usable.
            now: time of the skip, seconds since the epoch (UTC).

        Raises:
            StudyError: the ledger cannot be written.
        """
        record = SkipRecord(image, client or ANONYMOUS, reason, time.time() if now is None else now)
        row = {"study": self._study, **asdict(record)}

        def replace(connection: Connection) -> None:
            connection.execute(self._of(image))
            connection.execute(insert(skips).values(row))

        self._write(replace)
        return record

    def take_back(self, image: str) -> bool:
        """Let an image be asked for again; False when it was not skipped."""
        return self._write(lambda connection: connection.execute(self._of(image)).rowcount) == 1

    def skips(self) -> list[SkipRecord]:
        """Every skipped image, the first one first."""
        columns = [skips.c[field.name] for field in fields(SkipRecord)]
        query = select(*columns).where(skips.c.study == self._study).order_by(skips.c.skipped_at, skips.c.image)
        return self._read(lambda connection: [SkipRecord(**row) for row in connection.execute(query).mappings()])

    def skipped(self) -> frozenset[str]:
        """Ids of the skipped images."""
        query = select(skips.c.image).where(skips.c.study == self._study)
        return self._read(lambda connection: frozenset(connection.execute(query).scalars()))

    def _of(self, image: str) -> Delete:
        return delete(skips).where(skips.c.study == self._study, skips.c.image == image)
