"""A real PACS for tests: Orthanc with its DICOMweb plugin, on loopback, gone with the test."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError
from urllib.request import urlopen

import pytest

START_S, STOP_S, POLL_S = 30.0, 10.0, 0.1
PROGRAM = "Orthanc"
PLUGINS = (
    Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"),
    Path("/usr/lib/orthanc/plugins/libOrthancDicomWeb.so"),
)
#: Debian installs the daemon outside the PATH of ordinary users.
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def needed_program(name: str) -> str:
    """Path of a program, of this environment's or the system's; without it the test is skipped, but fails in CI."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    found = found or shutil.which(name, path=_SBIN)
    if found:
        return found
    _missing(f"`{name}` is not installed")


@contextmanager
def running_orthanc(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Start Orthanc with its database in `folder`, and stop it at the end.

    The same folder and port started again give the same PACS: a test can take it down and bring it back.

    Args:
        folder: for configuration, database and log (`orthanc.log`); made when it is not there.
        port: HTTP port on 127.0.0.1; None: a free one.

    Yields:
        The root of its DICOMweb service, `http://127.0.0.1:PORT/dicom-web`, without a slash at the end.
    """
    program, plugin = needed_program(PROGRAM), _plugin()
    port = _free_port() if port is None else port
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_configuration(folder, port, plugin), indent=1))
    log_file = folder / "orthanc.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [program, str(configuration)], stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
        )
    try:
        _wait_until_up(port, process, log_file)
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _configuration(folder: Path, port: int, plugin: Path) -> dict[str, object]:
    return {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }


def _wait_until_up(port: int, process: "subprocess.Popen[bytes]", log_file: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert process.poll() is None, f"Orthanc ended while starting:\n{log_file.read_text(errors='replace')[-3000:]}"
        with suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{port}/system", timeout=5) as reply:
            if reply.status == 200:
                return
        time.sleep(POLL_S)
    raise AssertionError(f"Waited {START_S:.0f} s in vain for Orthanc:\n{log_file.read_text(errors='replace')[-3000:]}")


def _plugin() -> Path:
    found = next((path for path in PLUGINS if path.exists()), None)
    if found:
        return found
    _missing("Orthanc's DICOMweb plugin (Debian: orthanc-dicomweb) is not installed")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI") or os.environ.get("SEQUAL_CI") == "1":
        pytest.fail(f"{reason}; continuous integration needs it.")
    pytest.skip(f"{reason}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
