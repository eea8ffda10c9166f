"""The demo's own server on a copy of a study, started and stopped again."""

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.processes import stop
from sequal.errors import ServerError, StudyError
from sequal.study.folder import FINAL_LABELS, StudyFiles
from sequal.study.state import MANIFEST_NAME

__all__ = ["copied_demo", "copy_study", "empty_demo", "running_server"]

_MARK: Final = "made-by-the-demo.txt"
_STARTS_WITHIN_S: Final = 300
_POLL_S: Final = 0.5
_LOG_LINES: Final = 3


def copied_demo(demo: Path, studies: Path) -> Path:
    """An empty demo folder with a copy of a study in it; a former demo is replaced.

    Args:
        demo: the folder.
        studies: what to copy; stays as it is.

    Returns:
        The copy, `demo/study`.

    Raises:
        StudyError: `demo` holds something else, holds `studies`, or cannot be written; `studies` has no images.
    """
    files = StudyFiles.open(studies)
    if studies.resolve().is_relative_to(demo.resolve()):
        raise StudyError(
            f"Expected `{demo}` to lie outside the studies, got `{studies}` within it. Name another --demo folder."
        )
    empty_demo(demo)
    try:
        return copy_study(files, demo / "study")
    except OSError as error:
        raise _not_writable(demo, error) from error


def empty_demo(demo: Path) -> None:
    """An empty demo folder; a former demo is replaced.

    Raises:
        StudyError: `demo` holds something else, or cannot be written.
    """
    try:
        if demo.exists() and (not demo.is_dir() or any(demo.iterdir())):
            if not (demo / _MARK).is_file():
                raise StudyError(
                    f"Expected `{demo}` to be empty, absent or a former demo, got other files in it. "
                    "Name another --demo folder, or empty this one."
                )
            shutil.rmtree(demo)
        demo.mkdir(parents=True, exist_ok=True)
        (demo / _MARK).write_text("`cli.py annotate --demo` made this folder, and replaces it when it is run again.\n")
    except OSError as error:
        raise _not_writable(demo, error) from error


def _not_writable(demo: Path, error: OSError) -> StudyError:
    return StudyError(f"Expected `{demo}` to be writable, got: {error}. Name another --demo folder.")


def copy_study(files: StudyFiles, target: Path) -> Path:
    """Copy images, submitted labels and the patients' manifest, and nothing else: no truth, no server's notes."""
    labels = target / FINAL_LABELS
    labels.mkdir(parents=True)
    for path in files.images.values():
        shutil.copy2(path, target)
    for path in files.labels.values():
        shutil.copy2(path, labels)
    if (files.folder / MANIFEST_NAME).is_file():
        shutil.copy2(files.folder / MANIFEST_NAME, target)
    return target


@contextmanager
def running_server(
    app: Path, studies: Path, state: Path, log: Path, conf: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A MONAI Label server for the time of a `with` block; it is stopped however the block ends.

    Args:
        app: folder of the app.
        studies: the studies folder.
        state: the state folder.
        log: file that its output goes to.
        conf: its settings beside the state.

    Yields:
        The server's address, when it answers.

    Raises:
        ServerError: MONAI Label is not installed beside this Python, or the server ends or does not answer.
    """
    if importlib.util.find_spec("monailabel") is None:
        raise ServerError(
            f"Expected MONAI Label to be installed for {sys.executable}, got no package `monailabel` there. "
            "Install requirements.txt into this environment."
        )
    port = _free_port()
    # The module, not the `monailabel` script: that runs whatever `python` is on PATH, and splits paths at spaces.
    arguments = [
        sys.executable,
        "-m",
        "monailabel.main",
        "start_server",
        "--app",
        app,
        "--studies",
        studies,
        "--host",
        "127.0.0.1",
    ]
    settings = {**(conf or {}), "state": state}
    arguments += ["--port", str(port), *(word for pair in settings.items() for word in ("--conf", *pair))]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the server in order.
        process = subprocess.Popen(
            [str(argument) for argument in arguments], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for_answer(process, address, log)
            yield address
        finally:
            stop(process)


def _wait_for_answer(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    client = AnnotationClient(address, "demo", log.parent)
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            client.info()
            return
        except ServerError:
            time.sleep(_POLL_S)
    came = "no answer" if process.poll() is None else f"its end with code {process.returncode}"
    last = " / ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    raise ServerError(f"Expected the server to start, got {came}: {last}. See {log}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
