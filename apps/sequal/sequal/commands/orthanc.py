"""A PACS on this computer: Orthanc with its DICOMweb plugin, for trying things out."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import requests

from sequal.commands.processes import stop
from sequal.errors import PacsError

__all__ = ["check_port", "running_orthanc"]

_INSTALL: Final = "Install it: `sudo apt install orthanc orthanc-dicomweb` (Debian, Ubuntu)"
#: Debian puts the program where only root looks for programs.
_PROGRAM_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_PLUGIN: Final = "libOrthancDicomWeb.so"
_PLUGIN_FOLDERS: Final = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins", "/usr/local/share/orthanc/plugins")
_STARTS_WITHIN_S, _POLL_S = 60.0, 0.2


@contextmanager
def running_orthanc(folder: Path, port: int) -> Iterator[str]:
    """Orthanc for the time of a `with` block, reachable from this computer alone; its database stays for the next time.

    Args:
        folder: for configuration, database and `orthanc.log`; made when it is not there.
        port: HTTP port on 127.0.0.1.

    Yields:
        The address of its DICOMweb service.

    Raises:
        PacsError: Orthanc or its plugin is not installed, the port is taken, or it does not start.
    """
    program, plugin = _program(), _plugin()
    check_port(port, "--pacs-port", "Debian starts an Orthanc of its own: `sudo systemctl disable --now orthanc`")
    folder = folder.resolve()  # Orthanc runs inside it
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(_configuration(folder, port, plugin), indent=1))
    with (folder / "orthanc.log").open("ab") as log:
        # A session of its own: Ctrl-C reaches this process alone, which then stops Orthanc in order.
        process = subprocess.Popen(
            [program, str(configuration)], stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}/dicom-web"
        _wait_for_answer(process, address, folder / "orthanc.log")
        yield address
    finally:
        stop(process)


def check_port(port: int, option: str, hint: str) -> None:
    """Refuse a port that another program has.

    Raises:
        PacsError: it is taken.
    """
    with socket.socket() as probe:
        # As servers do: a port that was in use a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PacsError(
                f"Expected port {port} to be free, got: {error}. Give another {option}, or stop what has it ({hint})."
            ) from error


def _configuration(folder: Path, port: int, plugin: str) -> dict[str, object]:
    database = str(folder / "database")
    return {
        "Name": "SEQUAL",
        "StorageDirectory": database,
        "IndexDirectory": database,
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [plugin],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }


def _program() -> str:
    found = shutil.which("Orthanc") or shutil.which("Orthanc", path=_PROGRAM_FOLDERS)
    if found is None:
        raise PacsError(
            f"Expected Orthanc to be installed, got no program `Orthanc`. {_INSTALL}, or use your own PACS."
        )
    return found


def _plugin() -> str:
    found = [str(path) for path in (Path(folder) / _PLUGIN for folder in _PLUGIN_FOLDERS) if path.exists()]
    if not found:
        raise PacsError(
            f"Expected Orthanc's DICOMweb plugin to be installed, got no {_PLUGIN} in {', '.join(_PLUGIN_FOLDERS)}. "
            f"{_INSTALL}, or use your own PACS."
        )
    return found[0]


def _wait_for_answer(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(requests.RequestException):
            if requests.get(f"{address}/studies", params={"limit": 1}, timeout=5).ok:
                return
        time.sleep(_POLL_S)
    came = "no answer" if process.poll() is None else f"its end with code {process.returncode}"
    raise PacsError(f"Expected Orthanc to start, got {came}. See {log}.")
