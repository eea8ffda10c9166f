"""What a DICOMweb server may answer, by a server that answers so."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from dicomweb_client import DICOMwebClient
from monailabel.config import Settings
from pydicom.dataset import Dataset

from lib.datastores import archive as archive_module
from lib.datastores import viewed_pacs
from lib.datastores.archive import ImageArchive, Series, with_timeout
from lib.datastores.connection import open_archive, search_filter
from lib.web.ohif import PacsService
from sequal.anatomy.models import MODELS
from sequal.errors import PacsError, StudyError


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        status, body = self.server.answer(parse_qs(urlsplit(self.path).query))
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.end_headers()
        with suppress(BrokenPipeError):  # of a client that gave up waiting
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class _Pacs(http.server.ThreadingHTTPServer):
    """Answers as a test says, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.answer = lambda query: (200, b"[]")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"


@pytest.fixture
def pacs() -> Iterator[_Pacs]:
    server = _Pacs()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _archive(url: str) -> ImageArchive:
    return ImageArchive(DICOMwebClient(url, session=with_timeout(requests.Session())))


def _record(index: int) -> dict[str, object]:
    dataset = Dataset()
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = f"1.2.{index}", "1.2"
    dataset.Modality, dataset.PatientID, dataset.PatientName = "US", "x", "Anna"
    return dataset.to_json_dict()


def test_all_pages_are_read(pacs: _Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "_PAGE", 2)
    records = [_record(index) for index in range(5)]

    def page(query: dict[str, list[str]]) -> tuple[int, bytes]:
        start = int(query["offset"][0])
        return 200, json.dumps(records[start : start + int(query["limit"][0])]).encode()

    pacs.answer = page
    found = _archive(pacs.url).series({"Modality": "US"})
    assert [series.uid for series in found] == [f"1.2.{index}" for index in range(5)]
    assert found[0] == Series("1.2.0", "1.2", "US", "x", ("Anna", ""))
    assert all("Modality=US" in path for path in pacs.requests)


def test_a_server_that_ignores_pages_is_asked_once_more_and_no_longer(
    pacs: _Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "_PAGE", 2)
    pacs.answer = lambda query: (200, json.dumps([_record(index) for index in range(3)]).encode())
    assert len(_archive(pacs.url).series({})) == 3
    assert len(pacs.requests) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "HTTP 401. Set MONAI_LABEL_DICOMWEB_USERNAME"),
        (403, "HTTP 403. Ask for the right"),
        (404, "HTTP 404. Check the address"),
        (503, "HTTP 503. Start the PACS"),
    ],
)
def test_a_refusal_says_what_to_do(pacs: _Pacs, status: int, words: str) -> None:
    pacs.answer = lambda query: (status, b"")
    with pytest.raises(PacsError, match=words):
        _archive(pacs.url).series({})
    assert len(pacs.requests) == 1  # the client's own retries would stand the server still


@pytest.mark.parametrize("body", [b"<html>", b'[{"0020000E": 3}]', b"[3]", b'"x"'])
def test_an_answer_that_is_no_dicomweb_is_called_so(pacs: _Pacs, body: bytes) -> None:
    pacs.answer = lambda query: (200, body)
    with pytest.raises(PacsError, match="Is this the address of a DICOMweb service"):
        _archive(pacs.url).series({})


def test_a_pacs_that_is_down_is_not_asked_again_at_once(pacs: _Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _archive("http://127.0.0.1:9/dicom-web")
    with pytest.raises(PacsError, match=r"Expected http://127.0.0.1:9/dicom-web to list its series, got Connection"):
        archive.series({})
    archive.client = DICOMwebClient(pacs.url)
    with pytest.raises(PacsError, match="got Connection"):
        archive.series({})
    assert pacs.requests == []
    archive._rest_until = 0.0
    assert archive.series({}) == []


def test_silence_ends(pacs: _Pacs, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(archive_module, "_READ_S", 0.2)
    pacs.answer = lambda query: (released.wait(20), (200, b"[]"))[1]
    with pytest.raises(PacsError, match="got ReadTimeout"):
        _archive(pacs.url).series({})
    released.set()


def test_an_object_that_is_not_taken_is_an_error(pacs: _Pacs) -> None:
    answer = Dataset()
    failed = Dataset()
    failed.FailureReason = 0xA700
    answer.FailedSOPSequence = [failed]

    class _Client:
        base_url = pacs.url

        def set_http_retry_params(self, retry: bool) -> None:
            self.retry = retry

        def store_instances(self, datasets: list[Dataset]) -> Dataset:
            return answer

    with pytest.raises(PacsError, match="failure reason 42752"):
        ImageArchive(_Client()).store(Dataset())


def test_a_series_that_the_pacs_cannot_send_leaves_nothing_behind(pacs: _Pacs, tmp_path: Path) -> None:
    pacs.answer = lambda query: (500, b"")
    with pytest.raises(PacsError, match=r"send series 1\.2\.3"):
        _archive(pacs.url).download(Series("1.2.3", "1.2", "US"), tmp_path / "cache" / "1.2.3")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_address_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(StudyError, match="MONAI_LABEL_DICOMWEB_PASSWORD") as refused:
        open_archive("http://reader:secret@pacs/dicom-web", Settings())
    assert "secret" not in str(refused.value)
    with pytest.raises(StudyError, match="DICOMweb service"):
        open_archive("ftp://pacs", Settings())


def test_a_malformed_address_is_refused() -> None:
    with pytest.raises(StudyError, match="Expected `--studies` to be a folder or the address of a DICOMweb service"):
        open_archive("http://[x", Settings())


def test_viewers_ask_with_the_servers_settings() -> None:
    settings = Settings(
        MONAI_LABEL_DICOMWEB_USERNAME="reader",
        MONAI_LABEL_DICOMWEB_PASSWORD="secret",
        MONAI_LABEL_QIDO_PREFIX="qido",
        MONAI_LABEL_WADO_PREFIX="wado",
        MONAI_LABEL_STOW_PREFIX="stow",
    )
    expected = PacsService(
        "http://pacs", "reader", "secret", qido_prefix="qido", wado_prefix="wado", stow_prefix="stow"
    )
    assert viewed_pacs("http://pacs", settings) == expected
    assert viewed_pacs("http://pacs", Settings()) == PacsService("http://pacs")


def test_viewers_of_googles_cloud_are_left_to_monai_label() -> None:
    assert viewed_pacs("https://healthcare.googleapis.com/v1/projects/p/dicomStores/d/dicomWeb", Settings()) is None


def test_the_servers_settings_are_used(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(
        MONAI_LABEL_DICOMWEB_USERNAME="reader",
        MONAI_LABEL_DICOMWEB_PASSWORD="secret",
        MONAI_LABEL_QIDO_PREFIX="qido",
        MONAI_LABEL_DICOMWEB_CACHE_PATH="/cache",
    )
    client = open_archive("http://pacs/dicom-web/", settings).client
    assert (client.base_url, client.qido_url_prefix) == ("http://pacs/dicom-web", "qido")
    assert client._session.auth == ("reader", "secret")
    assert "MONAI_LABEL_DICOMWEB_CACHE_PATH is not used" in caplog.text


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({"Modality": "CT"}, {"Modality": "US"}),  # MONAI Label's default
        ({"Modality": "US", "PatientID": "x"}, {"Modality": "US", "PatientID": "x"}),
        ({}, {}),
    ],
)
def test_ultrasound_is_looked_for_unless_told_otherwise(given: dict[str, str], used: dict[str, str]) -> None:
    assert search_filter(Settings(MONAI_LABEL_DICOMWEB_SEARCH_FILTER=given), MODELS["carotid"]) == used
