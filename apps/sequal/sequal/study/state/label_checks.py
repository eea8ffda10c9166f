"""Label checks: what a model said of its mask before an expert drew the label, and what the label then found."""

import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import label_checks

__all__ = ["LabelCheck", "LabelChecks"]


@dataclass(frozen=True)
class LabelCheck:
    """One automatic mask beside the label that an expert drew.

    Attributes:
        image: image id.
        checkpoint_digest: of the model that made the mask; it had not learnt from this image.
        predicted_dice: the Dice that was expected of the mask, 0..1; None where nothing was predicted.
        dice: the Dice of the mask with the label, 0..1.
        sizes: for each structure `label`, `unit`, `predicted` and `drawn`: thickness or volume, None where there is
            none.
        checked_at: seconds since the epoch (UTC).
    """

    image: str
    checkpoint_digest: str
    predicted_dice: float | None
    dice: float
    sizes: list[dict[str, Any]] = field(default_factory=list)
    checked_at: float = field(default_factory=time.time)


class LabelChecks(LedgerPart):
    """The label checks of one study, one an image."""

    def put_check(self, check: LabelCheck) -> None:
        """Record a check; a former one of the image is replaced.

        Raises:
            StudyError: the ledger cannot be written.
        """

        def replace(connection: Connection) -> None:
            connection.execute(delete(label_checks).where(*self._check_of(check.image)))
            connection.execute(insert(label_checks).values(study=self._study, **asdict(check)))

        self._write(replace)

    def forget_check(self, image: str) -> None:
        """Drop the check of an image; nothing where there is none.

        Raises:
            StudyError: the ledger cannot be written.
        """
        self._write(lambda connection: connection.execute(delete(label_checks).where(*self._check_of(image))))

    def _check_of(self, image: str) -> tuple[ColumnElement[bool], ...]:
        return label_checks.c.study == self._study, label_checks.c.image == image

    def checks(self) -> list[LabelCheck]:
        """All checks, the first one first."""
        columns = [label_checks.c[field.name] for field in fields(LabelCheck)]
        query = select(*columns).where(label_checks.c.study == self._study)
        ordered = query.order_by(label_checks.c.checked_at, label_checks.c.image)
        return self._read(lambda connection: [LabelCheck(**row) for row in connection.execute(ordered).mappings()])
