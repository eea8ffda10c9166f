"""Locks of a study that every process with its ledger sees, on whichever machine it runs."""

import time

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from sequal.study.state.part import LedgerPart
from sequal.study.state.processes import has_ended
from sequal.study.state.schema import locks

__all__ = ["Locks"]


class Locks(LedgerPart):
    """Named locks of one study, each held for a while by a process that renews it. `now` is for tests."""

    def take_lock(self, name: str, holder: str, hold_s: float, now: float | None = None) -> str | None:
        """Take a lock that is free, has run out, or whose holder has ended on this machine.

        Args:
            name: of the lock.
            holder: who takes it, as `process_name` gives it.
            hold_s: after how many seconds it runs out, unless it is renewed.
            now: time of the call, seconds since the epoch (UTC).

        Returns:
            None when it is taken, else who holds it.

        Raises:
            StudyError: the ledger cannot be written.
        """
        at = time.time() if now is None else now
        return self._write(lambda connection: self._take(connection, name, holder, at, at + hold_s))

    def renew_lock(self, name: str, holder: str, hold_s: float, now: float | None = None) -> bool:
        """Hold a lock longer; False when another process has taken it meanwhile.

        Raises:
            StudyError: the ledger cannot be written.
        """
        at = time.time() if now is None else now
        statement = update(locks).where(*self._key(name), locks.c.holder == holder).values(until=at + hold_s)
        return bool(self._write(lambda connection: connection.execute(statement).rowcount) == 1)

    def free_lock(self, name: str, holder: str) -> None:
        """Give a lock back; one that another process holds stays.

        Raises:
            StudyError: the ledger cannot be written.
        """
        statement = delete(locks).where(*self._key(name), locks.c.holder == holder)
        self._write(lambda connection: connection.execute(statement))

    def lock_holder(self, name: str, now: float | None = None) -> str | None:
        """Who holds a lock now; None when it is free, has run out, or its holder has ended on this machine."""
        at = time.time() if now is None else now
        query = select(locks.c.holder, locks.c.until).where(*self._key(name))
        row = self._read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None or row.until <= at or has_ended(row.holder) else str(row.holder)

    def _key(self, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return locks.c.study == self._study, locks.c.name == name

    def _take(self, connection: Connection, name: str, holder: str, at: float, until: float) -> str | None:
        row = connection.execute(select(locks.c.holder, locks.c.until).where(*self._key(name))).one_or_none()
        if row is None:
            # Of two servers that do this at once one is told that the row is there, and tries again.
            connection.execute(insert(locks).values(study=self._study, name=name, holder=holder, until=until))
            return None
        if row.until > at and row.holder != holder and not has_ended(row.holder):
            return str(row.holder)
        unchanged = (*self._key(name), locks.c.holder == row.holder, locks.c.until == row.until)
        taken = connection.execute(update(locks).where(*unchanged).values(holder=holder, until=until)).rowcount == 1
        return None if taken else str(row.holder)
