import base64
import gzip
import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from fastapi import HTTPException

from lib.web.ohif import PacsRequest, PacsService
from unit.web.ohif.echo_pacs import LONG, EchoPacs, echo_pacs

#: Long enough for a busy machine, short enough for a test that waits for it.
SHORT_S = 0.3


@pytest.fixture(scope="module")
def pacs() -> Iterator[EchoPacs]:
    with echo_pacs() as server:
        yield server


@pytest.fixture
def service(pacs: EchoPacs) -> PacsService:
    return PacsService(pacs.url, qido_prefix="qi", wado_prefix="wa", stow_prefix="st")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("qido/studies", "qi/studies"),
        ("wado/studies/1.2/series/1.3", "wa/studies/1.2/series/1.3"),
        ("stow/studies", "st/studies"),
        ("studies/1.2", "studies/1.2"),
        ("wado", "wado"),  # WADO-URI
        ("qidostudies/1", "qidostudies/1"),
        ("qido/studies/1.2/series/1.3/metadata", "wa/studies/1.2/series/1.3/metadata"),
        ("stow/studies/1.2/metadata", "st/studies/1.2/metadata"),
        ("wado/studies/1.2/frames/1,2", "wa/studies/1.2/frames/1,2"),
        ("wado/a b?c#d%e/é", "wa/a%20b%3Fc%23d%25e/%C3%A9"),
    ],
)
def test_each_operation_goes_to_its_prefix(service, path, expected):
    assert service.address(path) == f"{service.url}/{expected}"
    assert service.address(path, "limit=1").endswith(f"/{expected}?limit=1")


def test_without_prefixes_everything_lies_below_the_root():
    bare = PacsService("http://pacs/dicom-web/", qido_prefix="", wado_prefix=None)
    for operation in ("qido", "wado", "stow"):
        assert bare.address(f"{operation}/studies") == "http://pacs/dicom-web/studies"
    assert bare.address("studies") == "http://pacs/dicom-web/studies"


@pytest.mark.parametrize("path", ["../system", "wado/../../system", "qido/.", "wado/studies/.."])
def test_a_path_that_leaves_the_service_is_refused(service, pacs, path):
    before = list(pacs.asked)
    with pytest.raises(HTTPException) as caught:
        service.ask(PacsRequest("POST", path))
    assert caught.value.status_code == 400
    assert caught.value.detail.startswith("Expected a path below the DICOMweb service, got ")
    assert pacs.asked == before


def test_query_body_and_the_headers_that_matter_reach_the_pacs(service):
    headers = {
        "accept": 'multipart/related; type="application/octet-stream"',
        "content-type": "multipart/related; boundary=b",
        "authorization": "Bearer of the server",
        "cookie": "a=b",
        "host": "the server",
        "connection": "keep-alive",
        "content-length": "999",
        "x-of-the-viewer": "1",
    }
    reply = service.ask(PacsRequest("POST", "stow/studies", "includefield=a%2Cb", headers, b"\x00\xffbody"))

    said = json.loads(reply.body)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/dicom+json"
    assert (said["method"], said["body"]) == ("POST", "\x00\xffbody")
    assert said["path"] == "/dicom-web/st/studies?includefield=a&includefield=b"
    assert said["headers"]["accept"] == headers["accept"]
    assert said["headers"]["content-type"] == headers["content-type"]
    assert said["headers"]["accept-encoding"] == "identity"
    assert said["headers"]["content-length"] == "6"
    assert not {"authorization", "cookie", "x-of-the-viewer"} & said["headers"].keys()
    assert said["headers"]["host"] != "the server"


def test_user_name_and_password_are_the_servers(service):
    known = replace(service, user="reader", password="secret")
    said = json.loads(known.ask(PacsRequest("GET", "qido/studies", "", {"authorization": "Bearer x"})).body)
    assert said["headers"]["authorization"] == "Basic " + base64.b64encode(b"reader:secret").decode()
    assert "secret" not in repr(known)


def test_content_stays_encoded_as_the_pacs_sends_it(service):
    reply = service.ask(PacsRequest("GET", "wado/zipped", "", {"accept-encoding": "gzip, br"}))
    assert reply.headers["content-encoding"] == "gzip"
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert gzip.decompress(reply.body) == LONG


def test_content_in_chunks_has_a_length_here(service):
    reply = service.ask(PacsRequest("GET", "wado/chunked"))
    assert reply.body == LONG
    assert reply.headers["content-type"] == 'multipart/related; boundary="x y"'
    assert reply.headers["content-length"] == str(len(LONG))
    assert "transfer-encoding" not in reply.headers


def test_an_error_of_the_pacs_is_told_without_what_concerns_its_own_connection(service):
    reply = service.ask(PacsRequest("GET", "wado/conflict"))
    assert (reply.status_code, reply.body) == (409, b"no")
    assert dict(reply.headers) == {"content-type": "text/plain", "warning": "299 pacs: more", "content-length": "2"}


def test_an_answer_without_content_is_told_as_such(service):
    reply = service.ask(PacsRequest("GET", "qido/nothing"))
    assert (reply.status_code, reply.body) == (204, b"")


@pytest.mark.parametrize("path", ["qido/silent", "wado/stops"])
def test_a_pacs_that_falls_silent_is_waited_for_no_longer_than_allowed(service, path):
    with pytest.raises(HTTPException) as caught:
        replace(service, read_s=SHORT_S).ask(PacsRequest("GET", path))
    assert caught.value.status_code == 504
    assert caught.value.detail == (
        f"Expected the PACS at {service.url} to answer within 0.3 s, got silence. "
        "Start the PACS or check the address in `--studies`; then ask again."
    )


def test_a_connection_is_waited_for_no_longer_than_allowed(service, monkeypatch):
    def request(*args: object, timeout: tuple[float, float], **more: object) -> None:
        assert timeout == (service.connect_s, service.read_s)
        raise requests.ConnectTimeout

    monkeypatch.setattr(requests, "request", request)
    with pytest.raises(HTTPException) as caught:
        service.ask(PacsRequest("GET", "qido/studies"))
    assert caught.value.status_code == 504
    assert "within 5 s, got silence" in caught.value.detail


def test_an_answer_that_trickles_ends(service):
    with pytest.raises(HTTPException) as caught:
        replace(service, whole_s=SHORT_S).ask(PacsRequest("GET", "wado/trickles"))
    assert caught.value.status_code == 504
    assert "as a whole within 0.3 s, got a part of the answer" in caught.value.detail


def test_an_answer_that_breaks_off_is_no_answer(service):
    with pytest.raises(HTTPException) as caught:
        service.ask(PacsRequest("GET", "wado/broken"))
    assert caught.value.status_code == 502


def test_a_pacs_that_refuses_is_named_with_the_cure():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web"
        with pytest.raises(HTTPException) as caught:
            PacsService(url).ask(PacsRequest("GET", "qido/studies"))
    assert caught.value.status_code == 502
    assert caught.value.detail == (
        f"Expected the PACS at {url} to answer, got ConnectionError. "
        "Start the PACS or check the address in `--studies`; then ask again."
    )
