"""The ledger's database connection: SQLite in WAL mode, or whatever SQLAlchemy URL is given."""

import json
import logging
import math
import os
import sqlite3
import weakref
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex

from sequal.errors import StudyError
from sequal.study.state.schema import METADATA

__all__ = ["WRITE", "move_corrupt_aside", "open_engine", "sqlite_url"]

logger = logging.getLogger(__name__)

# Execution option of a connection whose transaction takes the write lock at once: a read that turns into a
# write in SQLite fails immediately when another process wrote in between, whatever the busy timeout.
WRITE = {"sequal_write": True}
_BUSY_TIMEOUT_S = 30
#: Any number that no other program takes for a lock of its own in the database.
_MAKING_TABLES = 0x5E90A1
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path.resolve()}"


def open_engine(url: str) -> Engine:
    """Connect to a ledger database and make its tables where they are missing.

    Args:
        url: SQLAlchemy URL. An SQLite URL must name a file: processes cannot share memory.

    Returns:
        An engine that may be used by several threads, and in a forked or spawned process.

    Raises:
        StudyError: the URL is malformed, its driver is missing, or the database cannot be reached.
    """
    try:
        parsed = make_url(url)
        shown = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise StudyError(f"Expected `ledger` to name a database file, got {url!r}. Add its path.")
            engine = _sqlite_engine(url)
        else:
            engine = create_engine(parsed, json_serializer=_to_json, pool_pre_ping=True)
            _ENGINES.add(engine)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        # Not the URL itself: it may hold a password.
        raise StudyError(
            f"Expected `ledger` to be a SQLAlchemy URL whose driver is installed, got {type(error).__name__}. "
            "Check the URL, or install the driver."
        ) from error
    try:
        with engine.execution_options(**WRITE).begin() as connection:
            if parsed.get_backend_name() == "postgresql":
                # Of two servers that start at once one would be told that the table which it makes is there.
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MAKING_TABLES})
            METADATA.create_all(connection)
            for table in METADATA.sorted_tables:  # a table of an older ledger may lack an index
                for index in table.indexes:
                    connection.execute(CreateIndex(index, if_not_exists=True))
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StudyError(f"Expected the ledger at {shown} to be writable, got: {cause}. Check `ledger`.") from error
    return engine


def move_corrupt_aside(path: Path) -> Path | None:
    """Rename an SQLite file that is damaged, with its journals, so that a fresh one can take its place.

    A file that is merely locked or unreadable stays.

    Args:
        path: the ledger file; it may be absent.

    Returns:
        The new name, `ledger.corrupt-<n>.db`, or None when there is nothing wrong.
    """
    if not path.is_file() or not _is_corrupt(path):
        return None
    number = 1
    while (aside := path.with_name(f"{path.stem}.corrupt-{number}{path.suffix}")).exists():
        number += 1
    for suffix in ("-wal", "-shm"):
        journal = path.with_name(path.name + suffix)
        if journal.exists():
            journal.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    logger.error(
        "The ledger %s is damaged and was moved to %s: scores, leases and the history of rounds start "
        "afresh; labels, refined labels and checkpoints are untouched.",
        path,
        aside.name,
    )
    return aside


def _is_corrupt(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",))
    except sqlite3.DatabaseError as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT
    finally:
        connection.close()


def _sqlite_engine(url: str) -> Engine:
    # Connections are kept: when the last one of a file is closed, SQLite moves its journal into it and waits for the
    # disk, which costs more than any query.
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S}, json_serializer=_to_json)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    _ENGINES.add(engine)
    return engine


def _forget_connections() -> None:
    """In a forked process: connections must not be used, nor closed, by another process than their own."""
    for engine in list(_ENGINES):
        engine.dispose(close=False)


_ENGINES: "weakref.WeakSet[Engine]" = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_forget_connections)


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own object
    connection.isolation_level = None  # the driver must not open transactions of its own: `_begin_sqlite` does
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("sequal_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _to_json(value: object) -> str:
    return json.dumps(_plain(value), sort_keys=True, allow_nan=False)


def _plain(value: object) -> object:
    """JSON values only: NaN and infinities become null, arrays and their scalars lists and numbers, paths strings."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
