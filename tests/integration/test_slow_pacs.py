"""A PACS that is slow to send one image holds up whoever asked for that image, and nobody else."""

import http.server
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from integration import ultrasound
from integration.data import save_nifti
from integration.server import REPOSITORY, START_S, Server, command, environment, free_port, running, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

_LISTED = ("SeriesInstanceUID", "StudyInstanceUID", "Modality", "PatientID", "PatientName")


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        found = {key: values[0] for key, values in parse_qs(query).items()}
        if path.endswith("/series"):
            self._send("application/dicom+json", json.dumps(self.server.listed(found)).encode())
        else:
            uid = urlsplit(path).path.rpartition("/")[2]
            self.server.asked.append(uid)
            if uid == self.server.slow:
                self.server.over.wait()
            self._send('multipart/related; type="application/dicom"; boundary=B', self.server.instances(uid))

    def do_POST(self) -> None:
        self.send_error(503)

    def _send(self, kind: str, content: bytes) -> None:
        with suppress(OSError):  # of a client that gave up waiting
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


class _Pacs(http.server.ThreadingHTTPServer):
    """Holds series in memory; one of them is sent when `over` is set, not before."""

    daemon_threads = True

    def __init__(self, *series: list[Dataset]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._series = {str(instances[0].SeriesInstanceUID): instances for instances in series}
        self.uids = list(self._series)
        self.slow = self.uids[0]
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"

    def listed(self, query: dict[str, str]) -> list[dict[str, object]]:
        records = []
        for first, *_ in self._series.values():
            record = Dataset()
            for keyword in _LISTED:
                setattr(record, keyword, first.get(keyword))
            if int(query.get("offset", 0)) == 0 and all(
                str(first.get(key)) == query[key] for key in ("Modality", "SeriesInstanceUID") if key in query
            ):
                records.append(record.to_json_dict())
        return records

    def instances(self, uid: str) -> bytes:
        parts = b""
        for instance in self._series[uid]:
            buffer = io.BytesIO()
            dcmwrite(buffer, instance, write_like_original=False)
            parts += b"--B\r\nContent-Type: application/dicom\r\n\r\n" + buffer.getvalue() + b"\r\n"
        return parts + b"--B--\r\n"


@contextmanager
def _slow_pacs() -> Iterator[_Pacs]:
    pacs = _Pacs(ultrasound.series(0, "p1"), ultrasound.series(1, "p2"))
    threading.Thread(target=pacs.serve_forever, daemon=True).start()
    try:
        yield pacs
    finally:
        pacs.over.set()
        pacs.shutdown()
        pacs.server_close()


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[tuple[_Pacs, Server]]:
    state = tmp_path_factory.mktemp("slow") / "state"
    state.mkdir()
    shutil.copy(checkpoint, state / "published.pt")
    with _slow_pacs() as pacs, running(pacs.url, state, auto_scoring="false") as server:
        yield pacs, server


def test_others_are_answered_while_an_image_is_fetched(remote: tuple[_Pacs, Server], tmp_path: Path) -> None:
    pacs, server = remote
    slow, quick = pacs.uids
    label = save_nifti(tmp_path / "label.nii.gz", ultrasound.truth(1)[:, :, None].repeat(2, axis=2))
    with ThreadPoolExecutor(2) as others:
        held = [
            others.submit(server.request, "POST", "/infer/carotid", params={"image": slow}),
            others.submit(server.request, "GET", "/datastore/image", params={"image": slow}),
        ]
        wait_for("the fetch", lambda: slow in pacs.asked)
        assert server.request("GET", "/info/").json()["datastore"]["total"] == 2
        assert server.request("POST", "/infer/carotid", params={"image": quick}).status_code == 200
        server.request("POST", "/sequal/skip", params={"image": slow}, json={"reason": "slow"}).raise_for_status()
        assert server.client().next_sample("random", {})["id"] == quick
        assert server.save_label(quick, label).status_code == 200
        assert server.request("GET", "/sequal/measurement", params={"image": quick, "of": "label"}).status_code == 200
        assert server.request("GET", "/datastore/dataset").status_code == 200
        assert not any(one.done() for one in held)
        pacs.over.set()
        assert [one.result().status_code for one in held] == [200, 200]
    assert pacs.asked.count(slow) == 1


def test_a_second_server_with_a_state_of_its_own_is_refused(remote: tuple[_Pacs, Server], tmp_path: Path) -> None:
    pacs, server = remote
    ended = subprocess.run(
        command(f"{pacs.url}/", free_port(), {"state": tmp_path / "other"}),
        cwd=REPOSITORY,
        env={**environment(), "TMPDIR": str(server.temporary)},
        capture_output=True,
        text=True,
        timeout=2 * START_S,
        check=False,
    )
    assert ended.returncode != 0
    assert f"every server of {pacs.url} to have one state" in ended.stdout + ended.stderr
    assert str(server.state) in ended.stdout + ended.stderr
