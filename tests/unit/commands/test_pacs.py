import signal
import socket
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest
import requests
from typer.testing import CliRunner

from cli import app
from integration.server import APP, environment, free_port, wait_for
from pacs import needed_program
from sequal.commands import orthanc
from sequal.commands.orthanc import check_port, running_orthanc
from sequal.errors import PacsError
from sequal.experiments.volume_folder import make_volumes
from unit.commands.studies import make_folder


def test_without_orthanc_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(orthanc, "_PROGRAM_FOLDERS", str(tmp_path))
    studies = make_folder(tmp_path / "studies")
    arguments = ["pacs", str(studies), "--folder", str(tmp_path / "pacs"), "--port", str(free_port())]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "sudo apt install orthanc orthanc-dicomweb" in result.output
    assert not (tmp_path / "pacs").exists()


def test_without_its_plugin_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "Orthanc"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(orthanc, "_PLUGIN_FOLDERS", (str(tmp_path),))
    with (
        pytest.raises(PacsError, match=r"plugin to be installed.*apt install orthanc orthanc-dicomweb"),
        running_orthanc(tmp_path / "pacs", free_port()),
    ):
        pass


def test_a_port_that_is_taken_is_named_with_the_cure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PacsError, match=rf"port {port} to be free.*Give another --pacs-port.*disable it"):
            check_port(port, "--pacs-port", "disable it")


def test_an_orthanc_that_ends_is_reported_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "Orthanc"
    program.write_text("#!/bin/sh\necho no license\nexit 3\n")
    program.chmod(0o755)
    (tmp_path / "libOrthancDicomWeb.so").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(orthanc, "_PLUGIN_FOLDERS", (str(tmp_path),))
    with pytest.raises(PacsError, match="its end with code 3"), running_orthanc(tmp_path / "pacs", free_port()):
        pass
    assert (tmp_path / "pacs" / "orthanc.log").read_text() == "no license\n"


@pytest.mark.server
@pytest.mark.timeout(240)
def test_one_command_gives_a_pacs_a_server_on_it_and_stops_both(tmp_path: Path) -> None:
    needed_program("Orthanc")
    make_folder(tmp_path / "studies" / "carotid")
    make_volumes(tmp_path / "studies" / "volume", count=3, labelled=1, shape=(24, 24, 20))
    port, pacs_port = free_port(), free_port()
    # The folder as `make pacs` gives it, relative: Orthanc runs inside it.
    command = [sys.executable, str(APP / "cli.py"), "pacs", "studies", "--folder", "pacs"]
    command += ["--port", str(port), "--pacs-port", str(pacs_port), "--conf", f"state={tmp_path / 'state'}"]
    command += ["--models", "carotid,volume", "--labels", "left_atrium,aorta", "--modality", "CT"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--conf", "auto_scoring=false"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd=tmp_path,
        )
    try:

        def answer() -> dict[str, int] | None:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                reply = requests.get(f"http://127.0.0.1:{port}/info/", timeout=60)
            except requests.ConnectionError:
                return None
            return reply.json()["datastore"]

        status = wait_for("the server to answer", answer)
        assert (status["total"], status["completed"]) == (6 + 3, 2 + 1)
        volumes = f"http://127.0.0.1:{port}/sequal/volume/datastore"
        objects = requests.get(f"{volumes}/?output=all", timeout=60).json()["objects"]
        (labelled,) = [image for image, entry in objects.items() if "final" in entry["labels"]]
        info = requests.get(f"{volumes}/image/info?image={labelled}", timeout=60).json()
        assert info["Modality"] == "CT"
        (drawn,) = (tmp_path / "studies" / "volume" / "labels" / "final").glob("*.nii.gz")
        back = requests.get(f"{volumes}/label?label={labelled}&tag=final", timeout=60)
        (tmp_path / "back.nii.gz").write_bytes(back.content)
        one, other = (nib.as_closest_canonical(nib.load(file)) for file in (drawn, tmp_path / "back.nii.gz"))
        np.testing.assert_array_equal(np.asanyarray(one.dataobj), np.asanyarray(other.dataobj))
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-3)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) >= 2
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
