"""A real PostgreSQL for tests: Debian's package, a cluster of its own on a free port, gone with the test."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_S = 240
#: PostgreSQL refuses to run as root; Debian's package makes this user.
_USER = "postgres"


@contextmanager
def running_postgres(port: int) -> Iterator[str]:
    """Start a new, empty cluster, and remove it at the end.

    Args:
        port: TCP port on 127.0.0.1.

    Yields:
        Its SQLAlchemy URL, password included.
    """
    programs = _programs()
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed")
    folder, password = Path(tempfile.mkdtemp(prefix="pg")), secrets.token_hex(8)
    who = {"user": _USER, "group": _USER} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, _USER, _USER)
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=START_S, **who
        )

    try:
        run("initdb", "-D", str(data), "-U", "sequal", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "-N")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "-t", str(START_S), "start")
        try:
            yield f"postgresql+psycopg://sequal:{password}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Debian keeps them outside the PATH, by version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = Path(found[-1]) if found else Path(shutil.which("initdb") or "")
    if program.name == "initdb":
        return program.parent
    reason = "PostgreSQL is not installed (Debian: postgresql)"
    if os.environ.get("SEQUAL_CI"):
        pytest.fail(reason)
    pytest.skip(reason)
