import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.web.dicomweb import FolderService
from lib.web.ohif.in_front import put_in_front
from lib.web.routes.dicomweb import DICOMWEB_PATH, dicomweb_routes
from unit.web.dicomweb.folder import make_folder


def _client(service, **more):
    app = FastAPI()
    put_in_front(app, dicomweb_routes(service, **more))
    return TestClient(app)


@pytest.fixture
def client(tmp_path):
    return _client(FolderService(make_folder(tmp_path)))


@pytest.mark.parametrize("path", [DICOMWEB_PATH, "/proxy/dicom/qido", "/proxy/dicom/wado", "/proxy/dicom"])
def test_a_viewer_is_answered_wherever_it_asks_with_addresses_of_that_place(client, path):
    reply = client.get(f"{path}/studies", params={"limit": 1})
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/dicom+json")
    assert reply.headers["cache-control"] == "no-store"
    (found,) = reply.json()
    address = found["00081190"]["Value"][0]
    assert address.startswith(f"http://testserver{path}/studies/2.25.")
    assert client.get(f"{address.removeprefix('http://testserver')}/series").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies?limit=x", 400),
        ("/studies?Unknown=x", 400),
        ("/studies?PatientID=%ff", 400),
        ("/studies/1.2/metadata", 404),
        ("/nothing", 404),
        ("/studies/../../etc", 404),
    ],
)
def test_bad_requests_are_answered_with_the_reason(client, path, status):
    reply = client.get(DICOMWEB_PATH + path)
    assert reply.status_code == status
    assert reply.json()["detail"]


def test_a_damaged_image_is_no_error_of_the_server(client):
    found = client.get(f"{DICOMWEB_PATH}/studies", params={"StudyDescription": "damaged"}).json()
    uid = found[0]["0020000D"]["Value"][0]
    reply = client.get(f"{DICOMWEB_PATH}/studies/{uid}/metadata")
    assert (reply.status_code, "damaged.nii.gz" in reply.json()["detail"]) == (400, True)


@pytest.mark.parametrize("path", [DICOMWEB_PATH, "/proxy/dicom/stow"])
def test_nothing_is_stored_by_dicomweb(client, path):
    reply = client.post(f"{path}/studies", content=b"x")
    assert (reply.status_code, "PUT /datastore/label" in reply.json()["detail"]) == (405, True)


def test_a_study_in_a_pacs_has_no_folder_to_show():
    reply = _client(None).get(f"{DICOMWEB_PATH}/studies")
    assert (reply.status_code, "/proxy/dicom/" in reply.json()["detail"]) == (404, True)


def test_who_may_not_read_sees_no_image(tmp_path):
    def nobody() -> None:
        raise HTTPException(status_code=401)

    client = _client(FolderService(make_folder(tmp_path)), dependencies=[Depends(nobody)])
    for path in (DICOMWEB_PATH, "/proxy/dicom/qido"):
        assert client.get(f"{path}/studies").status_code == 401
