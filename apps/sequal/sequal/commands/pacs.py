"""`pacs`: a PACS on this computer with a study in it, and the server on that PACS."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sequal.commands.console import OUT
from sequal.commands.dicom_out.to_dicom import ToDicomOptions, to_dicom_command
from sequal.commands.orthanc import check_port, running_orthanc
from sequal.commands.place import StudyPlace
from sequal.commands.processes import stop
from sequal.errors import ServerError
from sequal.files.dicom import VolumeModality

__all__ = ["PacsOptions", "pacs_command"]


@dataclass(frozen=True)
class PacsOptions:
    """What to run, and where.

    Attributes:
        folder: of the PACS: its database, its log, the DICOM objects.
        app: folder of the app.
        port: of the server.
        pacs_port: of the PACS.
        conf: settings of the server, `key=value`.
        modality: of volumes, whose files do not say it.
    """

    folder: Path
    app: Path
    port: int
    pacs_port: int
    conf: Sequence[str] = ()
    modality: VolumeModality = "MR"


def pacs_command(places: Sequence[StudyPlace], options: PacsOptions) -> None:
    """Start Orthanc, load studies into it, and run the server on it until Ctrl-C; all on loopback.

    The DICOM objects have the same UIDs each time, so that a second run loads nothing twice and finds its labels.

    Args:
        places: the study of each model, to be loaded; they stay as they are.
        options: what and where.

    Raises:
        PacsError: Orthanc is not installed, a port is taken, or it does not start.
        ServerError: the server ends with an error.
    """
    check_port(options.port, "--port", "perhaps another MONAI Label server")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    with running_orthanc(options.folder, options.pacs_port) as address:
        for place in places:
            out = options.folder / "dicom"
            out = out / place.settings.model if len(places) > 1 else out
            to_dicom_command(place, ToDicomOptions(out=out, stow=address, modality=options.modality))
        OUT.print(
            f"PACS: {address}   Open http://127.0.0.1:{options.port}/ in a browser.   Ctrl-C stops both", markup=False
        )
        _serve(address, options)


def _serve(address: str, options: PacsOptions) -> None:
    conf = [part for pair in options.conf for part in ("--conf", *pair.split("=", 1))]
    # The module, not the `monailabel` script: that runs whatever `python` is on PATH.
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(options.app.resolve())]
    command += ["--studies", address, "--host", "127.0.0.1", "--port", str(options.port), *conf]
    process = subprocess.Popen(command, env=_environment(), start_new_session=True)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        return
    finally:
        stop(process)
    if code:
        raise ServerError(f"Expected the server to run, got its end with code {code}. Read its messages above.")


def _environment() -> dict[str, str]:
    """As after activating the environment, where dcmqi's `itkimage2segimage` is."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path}
