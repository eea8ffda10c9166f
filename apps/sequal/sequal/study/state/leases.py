"""Leases: an image that one annotator was asked for is kept from the others for a while."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sequal.study.state.part import LedgerPart
from sequal.study.state.schema import leases

__all__ = ["ANONYMOUS", "Leases"]

ANONYMOUS = "anonymous"
#: Free candidates that are tried in one transaction; the first is mostly still free.
_AT_ONCE: Final = 8


class Leases(LedgerPart):
    """The leases of one study. All times are seconds since the epoch (UTC); `now` is for tests.

    Clients that give no name are one client, `anonymous`. They still never work on the same image as long as
    there are free ones, because a client that asks again gets another image.
    """

    def acquire_lease(
        self, candidates: Iterable[str], client: str | None, lease_s: float, now: float | None = None
    ) -> str | None:
        """Lease the first candidate that nobody holds; no two clients get one image, in any thread or process.

        "Next Sample" twice without a label means "skip": the client's own leases are passed over (and kept)
        until no free candidate is left; then the one that runs out first is offered again and renewed.

        Args:
            candidates: image ids, the most wanted first; only as many are asked for as are needed.
            client: who asks; None or "" is `ANONYMOUS`.
            lease_s: length of the lease in seconds.
            now: time of the request.

        Returns:
            The leased image, or None when other clients hold all candidates or there is none.

        Raises:
            StudyError: the ledger cannot be written.
        """
        holder = client or ANONYMOUS
        at = time.time() if now is None else now
        held, own = self.lease_terms(at), list[str]()
        free = self._free(candidates, held, holder, own)
        while chunk := list(islice(free, _AT_ONCE)):
            image = self._write(partial(self._first, candidates=chunk, client=holder, now=at, until=at + lease_s))
            if image is not None:
                return image
        for image in sorted(own, key=lambda image: held[image][1]):
            if self.renew(image, client, lease_s, at):
                return image
        return None

    def renew(self, image: str, client: str | None, lease_s: float, now: float | None = None) -> bool:
        """Extend a client's own running lease to `lease_s` from now; False when it holds none."""
        at = time.time() if now is None else now
        holder = client or ANONYMOUS
        return self._write(lambda connection: self._renew(connection, image, holder, at, at + lease_s))

    def release(self, image: str) -> None:
        """Give an image free, whoever holds it: its label is submitted. Without a lease nothing happens."""
        statement = delete(leases).where(leases.c.study == self._study, leases.c.image == image)
        self._write(lambda connection: connection.execute(statement))

    def leased(self, now: float | None = None) -> dict[str, str]:
        """Images with a running lease, and the client that holds each."""
        at = time.time() if now is None else now
        held = self._read(lambda connection: self._held(connection, at))
        return {image: client for image, (client, _) in held.items()}

    def lease_terms(self, now: float | None = None) -> dict[str, tuple[str, float]]:
        """Images with a running lease, and for each the client that holds it and the time at which it ends."""
        at = time.time() if now is None else now
        return self._read(lambda connection: self._held(connection, at))

    @staticmethod
    def _free(
        candidates: Iterable[str], held: dict[str, tuple[str, float]], client: str, own: list[str]
    ) -> Iterator[str]:
        """Candidates that nobody held a moment ago; those of the client itself are put into `own`."""
        for image in candidates:
            if image not in held:
                yield image
            elif held[image][0] == client:
                own.append(image)

    def _first(
        self, connection: Connection, candidates: Sequence[str], client: str, now: float, until: float
    ) -> str | None:
        connection.execute(delete(leases).where(leases.c.study == self._study, leases.c.until <= now))
        held = self._held(connection, now)
        free = (image for image in candidates if image not in held)
        return next((image for image in free if self._insert(connection, image, client, now, until)), None)

    def _held(self, connection: Connection, now: float) -> dict[str, tuple[str, float]]:
        query = select(leases.c.image, leases.c.client, leases.c.until).where(
            leases.c.study == self._study, leases.c.until > now
        )
        return {row.image: (row.client, row.until) for row in connection.execute(query)}

    def _insert(self, connection: Connection, image: str, client: str, now: float, until: float) -> bool:
        row = {"study": self._study, "image": image, "client": client, "until": until, "created": now}
        try:
            # SQLite holds the write lock by now; in other databases another server may be quicker.
            with connection.begin_nested():
                connection.execute(insert(leases).values(row))
        except IntegrityError:
            return False
        return True

    def _renew(self, connection: Connection, image: str, client: str, now: float, until: float) -> bool:
        result = connection.execute(
            update(leases)
            .where(leases.c.study == self._study, leases.c.image == image)
            .where(leases.c.client == client, leases.c.until > now)
            .values(until=until)
        )
        return result.rowcount == 1
