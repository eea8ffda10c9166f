"""Refinements: the ledger's account of each refined label, whose pixels the refined store keeps."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, delete, insert, select

from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import refined

__all__ = ["RefinedRecord", "Refinements"]


@dataclass(frozen=True)
class RefinedRecord:
    """Where a refined label came from.

    Attributes:
        image: image id.
        round: number of the round that made it.
        label_digest: digest of the expert's label that it came from.
        checkpoint_digest: digest of the checkpoint whose teacher refined it.
        fraction_changed: pixels that differ from the expert's label, of all pixels, in 0..1.
        fusion_lambda: λ, the confidence above which a pixel was changed.
        created_at: seconds since the epoch (UTC).
    """

    image: str
    round: int
    label_digest: str
    checkpoint_digest: str
    fraction_changed: float
    fusion_lambda: float
    created_at: float


class Refinements(LedgerPart):
    """The refined labels of one study."""

    def put_refined(self, records: Iterable[RefinedRecord]) -> None:
        """Record the refined labels of a round; the same image and round again replaces the row.

        Raises:
            StudyError: the ledger cannot be written.
        """
        rows = list(records)
        self._write(lambda connection: self._replace(connection, rows))

    def refined(self) -> list[RefinedRecord]:
        """All refined labels that were recorded and not dropped, by round, then image."""
        columns = [refined.c[field.name] for field in fields(RefinedRecord)]
        query = select(*columns).where(refined.c.study == self._study)
        ordered = query.order_by(refined.c.round, refined.c.image)
        return self._read(lambda connection: [RefinedRecord(**row) for row in connection.execute(ordered).mappings()])

    def drop_refined(self, image: str) -> None:
        """Forget an image's refined labels: the expert has edited the label that they came from."""
        statement = delete(refined).where(refined.c.study == self._study, refined.c.image == image)
        self._write(lambda connection: connection.execute(statement))

    def _replace(self, connection: Connection, records: Iterable[RefinedRecord]) -> None:
        for record in records:
            connection.execute(
                delete(refined).where(
                    refined.c.study == self._study,
                    refined.c.image == record.image,
                    refined.c.round == record.round,
                )
            )
            connection.execute(insert(refined).values(study=self._study, **asdict(record)))
