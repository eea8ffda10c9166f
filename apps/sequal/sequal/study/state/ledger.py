"""The ledger: scores, refinements, rounds, leases, skips, label checks and locks of one study in one database."""

from pathlib import Path
from typing import Self

from sequal.study.state.engine import move_corrupt_aside, open_engine, sqlite_url
from sequal.study.state.label_checks import LabelChecks
from sequal.study.state.leases import Leases
from sequal.study.state.locks import Locks
from sequal.study.state.refinements import Refinements
from sequal.study.state.rounds import Rounds
from sequal.study.state.scores import Scores
from sequal.study.state.skips import Skips

__all__ = ["Ledger"]


class Ledger(Scores, Refinements, Rounds, Leases, Skips, LabelChecks, Locks):
    """The ledger of one study; safe to use from several threads and processes at once.

    A table that an older version of the app did not know is made when its ledger is opened.
    """

    @classmethod
    def open(cls, place: Path | str, study: str = "") -> Self:
        """Open a ledger, making it where it is missing.

        Args:
            place: an SQLite file (a damaged one is moved aside and a fresh one begun), or a SQLAlchemy URL.
            study: key of the study; several may share a database without seeing each other.

        Raises:
            StudyError: the database cannot be reached or written.
        """
        if isinstance(place, str):
            return cls(open_engine(place), study)
        move_corrupt_aside(place)
        return cls(open_engine(sqlite_url(place)), study)

    def locks_of(self, study: str) -> Locks:
        """Locks under another key than the study's, in the same database.

        Args:
            study: the key, at most 64 characters.
        """
        return Locks(self._engine, study)

    def close(self) -> None:
        """Close what connections are open; the ledger opens new ones when it is used again."""
        self._engine.dispose()
