"""What every part of the ledger shares: the database, the study's key, and how to read and write."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from sequal.errors import StudyError
from sequal.study.state.engine import WRITE

__all__ = ["LedgerPart"]

_ATTEMPTS = 5
#: What PostgreSQL says when two transactions stood in each other's way: deadlock, and serialisation failure.
_AGAIN = ("40P01", "40001")
_Result = TypeVar("_Result")


class LedgerPart:
    """One study's rows in an open database."""

    def __init__(self, engine: Engine, study: str = "") -> None:
        """A part of the ledger of `study`.

        Args:
            engine: as `open_engine` gives it.
            study: key of the study; several may share a database without seeing each other.
        """
        self._engine = engine
        self._writer = engine.execution_options(**WRITE)
        self._study = study

    def _read(self, query: Callable[[Connection], _Result]) -> _Result:
        try:
            with self._engine.begin() as connection:
                return query(connection)
        except DBAPIError as error:
            raise StudyError(f"Expected the ledger to be readable, got: {error.orig}. Check its folder.") from error

    def _write(self, change: Callable[[Connection], _Result]) -> _Result:
        """Run `change` in one transaction; again when another server was in its way or inserted the same key first."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._writer.begin() as connection:
                    return change(connection)
            except IntegrityError:
                # SQLite never comes here: its write lock is held from the start of the transaction.
                if attempt == _ATTEMPTS:
                    raise
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) in _AGAIN and attempt < _ATTEMPTS:
                    continue
                raise StudyError(
                    f"Expected the ledger to be writable, got: {error.orig}. Check its folder and the disk."
                ) from error
        raise AssertionError  # the last attempt returns or raises
