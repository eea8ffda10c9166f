import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from lib.web.dicomweb import FolderService, is_viewed, take_series_uids
from unit.web.dicomweb.folder import make_folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


@pytest.fixture
def uids(folder):
    return FolderService(folder).uids


@pytest.fixture
def client(folder, uids):
    server = FastAPI()

    @server.get("/asked")
    def asked(request: Request) -> dict:
        return {"query": dict(request.query_params), "viewed": is_viewed(request)}

    take_series_uids(server, folder, uids)
    take_series_uids(server, folder, uids)
    assert len(server.user_middleware) == 1
    return TestClient(server)


@pytest.mark.parametrize("key", ["image", "label", "id"])
def test_a_series_stands_for_its_image(client, uids, key):
    reply = client.get("/asked", params={key: uids.series("clip"), "tag": "a b&c", "empty": ""}).json()
    assert reply == {"query": {key: "clip", "tag": "a b&c", "empty": ""}, "viewed": True}


@pytest.mark.parametrize("value", ["clip", "2.25.1", "2.25.1 or more", "1.2.3", "2.25." + "9" * 60])
def test_whatever_else_an_image_is_named_by_stays(client, value):
    assert client.get("/asked", params={"image": value}).json() == {"query": {"image": value}, "viewed": False}


def test_an_id_counts_more_than_a_series(client, folder, uids):
    uid = uids.series("clip")
    folder.files[uid] = folder.files["still"]
    assert client.get("/asked", params={"image": uid}).json() == {"query": {"image": uid}, "viewed": False}


def test_a_series_elsewhere_in_the_query_stays(client, uids):
    value = uids.series("clip")
    assert client.get("/asked", params={"reason": value}).json() == {"query": {"reason": value}, "viewed": False}
