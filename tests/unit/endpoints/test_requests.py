import io
import json
import zipfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from monailabel.config import settings
from monailabel.utils.async_tasks.task import AsyncTask

from lib.endpoints import SafeSessions, serve_requests
from lib.web.access.one_model import OneModel
from lib.web.routes.by_model import names_a_model
from sequal.errors import SettingsError


class Task:
    """A trainer, method or model that refuses one value."""

    def check(self, request):
        if request.get("epochs") == 0:
            raise SettingsError("Expected `epochs` to be over 0, got 0. Change it.")


class App:
    """What the endpoints need of the app."""

    studies = "study"

    def __init__(self):
        self._trainers, self._scoring_methods, self._infers = {"carotid": Task()}, {"pld": Task()}, {"carotid": Task()}
        self.inferred = []
        self.session_store = None

    def infer(self, request):
        sent = request.get("sent_file")
        self.inferred.append(request | ({"bytes": Path(sent).read_bytes()} if sent else {}))
        return {"label": None, "file": None, "params": {"pld": 0.1}}

    def datastore(self):
        return None

    def sessions(self):
        return self.session_store


@pytest.fixture
def app():
    return App()


@pytest.fixture
def started(monkeypatch):
    """What reaches MONAI Label's background tasks."""
    calls = []

    def run(method, request=None, params=None, force_sync=False, enqueue=False):
        calls.append((method, {**request, **(params or {})}))
        return {"id": "1"}, None

    monkeypatch.setattr(AsyncTask, "run", staticmethod(run))
    return calls


@pytest.fixture
def client(app, monkeypatch):
    server = FastAPI()

    @server.get("/train/")
    def status() -> str:
        return "status"

    from monailabel.endpoints import infer, train

    monkeypatch.setattr(train, "app_instance", lambda: InfoApp())
    server.include_router(train.router)
    server.include_router(infer.router)
    serve_requests(server, app)
    serve_requests(server, app)
    return TestClient(server)


class InfoApp:
    def info(self):
        return {"trainers": {"carotid": {}}}


TASKS = ["/train/carotid", "/train/", "/scoring/pld", "/batch/infer/carotid"]


@pytest.mark.parametrize("path", TASKS)
@pytest.mark.parametrize("nested", [False, True])
def test_an_unknown_key_starts_nothing(client, started, path, nested):
    body = {"bundle_path": "/tmp"}
    reply = client.post(path, json={"carotid": body} if nested else body)

    assert reply.status_code == 400
    assert ("'carotid'" if nested and path != "/train/" else "'bundle_path'") in reply.json()["detail"]
    assert started == []


@pytest.mark.parametrize("path", [*TASKS, "/infer/carotid", "/activelearning/pld"])
def test_an_unknown_key_of_the_query_starts_nothing(client, started, app, path):
    reply = client.post(f"{path}?bundle_path=/tmp")

    assert reply.status_code == 400
    assert "'bundle_path'" in reply.json()["detail"]
    assert started == []
    assert app.inferred == []


def test_known_keys_pass_and_the_other_methods_of_a_path_stay(client, started):
    assert client.post("/train/carotid", json={"max_epochs": 1, "client_id": "me"}).json() == {"id": "1"}
    assert client.post("/train/", json={"carotid": {"epochs": 2}, "gpus": "all"}).status_code == 200
    assert client.post("/scoring/pld").status_code == 200
    assert client.post("/batch/infer/carotid?images=unlabeled", json={"max_batch_size": 1}).status_code == 200
    assert [call[0] for call in started] == ["train", "train", "scoring", "batch_infer"]
    assert started[0][1] == {"model": "carotid", "max_epochs": 1, "client_id": "me"}
    assert started[3][1]["max_workers"] == 1
    assert client.get("/train/").json() == {"detail": "No Train Tasks Found"}


def test_a_name_in_the_request_is_that_of_the_path(client, started):
    assert client.post("/train/carotid", json={"model": "carotid"}).status_code == 200
    assert client.post("/train/", json={"model": "carotid"}).status_code == 200
    assert client.post("/train/carotid", json={"model": "../x"}).status_code == 400
    assert client.post("/scoring/pld", json={"method": "dice"}).status_code == 400
    assert len(started) == 2


def test_a_request_for_all_trainers_that_names_one_trains_that(client, started, app):
    app._trainers["volume"] = Task()
    assert client.post("/train/", json={"model": "volume", "epochs": 2}).json() == {
        "volume": {"result": {"id": "1"}, "detail": None}
    }
    assert started == [("train", {"model": "volume", "epochs": 2})]


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("activelearning/random", {"model": "carotid"}),
        ("train/", {"model": "carotid"}),
        ("train/", {"volume": {"model": "carotid"}}),
        ("train/carotid", {}),
        ("scoring/", {"model": "carotid"}),
        ("scoring/pld", {"model": "carotid"}),
        ("batch/infer/carotid", {}),
        ("batch/infer/carotid_review", {}),
        ("infer/carotid_contours?image=a", {}),
        ("sequal/skip?model=carotid", {}),
    ],
)
def test_at_the_address_of_a_model_another_one_is_refused(client, started, app, path, sent):
    for task in ("volume", "carotid_review", "carotid_contours"):
        app._trainers[task] = app._infers[task] = Task()
    client.app.add_api_route(
        "/sequal/skip", list, methods=["POST"], dependencies=[names_a_model(["carotid", "volume"])]
    )
    client.app.add_middleware(OneModel, models=("carotid", "volume"))
    reply = client.post(f"/sequal/volume/{path}", json=sent)
    assert (reply.status_code, reply.json()["detail"][:80]) == (
        400,
        "Expected a request for the model of its address, 'volume', got one for 'carotid'",
    )
    assert started == app.inferred == []
    assert client.post("/sequal/volume/train/", json={"model": None, "epochs": 2}).status_code == 200
    assert client.post("/sequal/volume/batch/infer/volume").status_code == 200
    assert [(method, values["model"]) for method, values in started] == [("train", "volume"), ("batch_infer", "volume")]


def test_an_image_for_one_of_several_models_is_no_image_for_a_server_of_one(client):
    reply = client.put("/datastore/image?image=a&model=volume", files={"file": ("a.nii.gz", b"")})
    assert reply.status_code == 400
    assert "got 'volume'" in reply.json()["detail"]


def test_a_scoring_may_be_of_one_model(client, started):
    assert client.post("/scoring/pld", json={"model": "volume"}).status_code == 200
    assert started == [("scoring", {"method": "pld", "model": "volume"})]


def test_a_value_that_its_task_refuses_never_waits_for_its_turn(client, started):
    reply = client.post("/train/carotid", json={"epochs": 0})

    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("Expected `epochs`")
    assert started == []


@pytest.mark.parametrize("path", ["/train/liver", "/scoring/dice", "/batch/infer/liver"])
def test_a_task_that_is_not_there_is_not_found(client, started, path):
    assert client.post(path).status_code == 404
    assert started == []


@pytest.mark.parametrize("content", ["[1]", '"x"', '"\\ud800"', "7", "{", "[" * 5000, '{"a": ' * 5000])
def test_json_that_is_no_object_starts_nothing(client, started, content):
    reply = client.post("/train/carotid", content=content.encode(), headers={"Content-Type": "application/json"})

    assert reply.status_code == 400
    assert "JSON object" in reply.json()["detail"]
    assert started == []


def test_a_body_without_end_is_not_kept(client, started):
    body = b'{"client_id": "' + b"x" * (2 << 20) + b'"}'
    reply = client.post("/train/carotid", content=body, headers={"Content-Type": "application/json"})

    assert reply.status_code == 400
    assert started == []


@pytest.mark.parametrize("content", ["", "null", "{}"])
def test_a_request_without_keys_starts_with_the_settings(client, started, content):
    reply = client.post("/train/carotid", content=content, headers={"Content-Type": "application/json; charset=utf-8"})
    assert reply.status_code == 200
    assert len(started) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_no_model_is_uploaded_or_deleted(client, method):
    assert client.request(method, "/model/carotid", files={"file": ("x.pt", b"code")}).status_code == 405


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_json_that_says_it_is_something_else_starts_nothing(client, started, content_type):
    reply = client.post("/train/carotid", content='{"epochs": 1}', headers={"Content-Type": content_type})

    assert 400 <= reply.status_code < 500
    assert started == []


def _infer(client, params=None, query=None, **files):
    form = {} if params is None else {"params": (None, params if isinstance(params, str) else json.dumps(params))}
    return client.post("/infer/carotid", params=query or {"image": "p01"}, files={**form, **files} or None)


@pytest.mark.parametrize(
    "params",
    [
        {"image": "/etc/passwd"},
        {"sent_file": "/etc/passwd"},
        {"session": {"image": "/etc/passwd"}},
        {"model": "other"},
        {"result_dtype": "U20000"},
        {"result_extension": "/x"},
        {"client_id": ["a"]},
        '["no object"]',
        "no json",
        "[" * 5000,
        '{"client_id": "\\ud800"}',
        "7",
    ],
)
def test_an_inference_with_wrong_params_reads_nothing(client, app, params):
    reply = _infer(client, params)

    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("Expected ")
    assert app.inferred == []


def test_an_image_of_the_study_is_named_by_its_id(client, app):
    assert _infer(client, {"client_id": "me"}).status_code == 200
    assert app.inferred == [{"model": "carotid", "client_id": "me", "image": "p01"}]


@pytest.mark.parametrize(
    "name", ["x.nii.gz", "/home/me/x.nii.gz", "C:\\scans\\x.NII.GZ", "../../x.nii.gz", "x\0.nii.gz"]
)
def test_a_file_is_kept_under_a_name_of_ours_and_gone_at_the_end(client, app, name):
    assert _infer(client, query={}, file=(name, b"frame")).status_code == 200
    (request,) = app.inferred
    kept = Path(request["sent_file"])
    assert kept.name == "sent.nii.gz"
    assert request["bytes"] == b"frame"
    assert not kept.parent.exists()


@pytest.mark.parametrize("name", ["x.py", "x", "x.nii.gz/../../y", "." * 300, "x." + "a" * 300])
def test_a_suffix_that_is_none_of_an_image_is_not_used(client, app, name):
    assert _infer(client, query={}, file=(name, b"frame")).status_code == 200
    assert Path(app.inferred[0]["sent_file"]).name == "sent"


def test_a_file_wins_over_an_id_so_that_an_id_is_never_a_file(client, app):
    _infer(client, query={"image": "/etc/passwd"}, file=("x.png", b"frame"))
    assert "image" not in app.inferred[0]


@pytest.mark.parametrize(
    ("query", "files", "status"),
    [
        ({"image": "p01", "output": "dicom_seg"}, {}, 400),
        ({"image": "p01"}, {"label": ("x.bin", b"1")}, 400),
        ({"image": ""}, {}, 400),
        ({"session_id": "../x"}, {}, 400),
        ({"image": "p01", "output": "../x"}, {}, 422),
    ],
)
def test_what_no_model_takes_is_refused(client, app, query, files, status):
    assert _infer(client, query=query, **files).status_code == status
    assert app.inferred == []


def test_a_picture_that_is_not_to_be_written_cannot_be_sent(client, app):
    reply = _infer(client, {"result_write_to_file": False}, {"image": "p01", "output": "image"})
    assert reply.status_code == 400


@pytest.mark.parametrize("path", ["/infer/wsi/carotid", "/infer/wsi_v2/carotid"])
def test_whole_slide_images_are_refused_before_anything_is_kept(client, app, path):
    reply = client.post(path, params={"image": "/etc/passwd"})

    assert reply.status_code == 400
    assert app.inferred == []


@pytest.mark.parametrize(
    "name", ["x.png", "../../x.png", "/etc/x.png", "..", "meta.info", "x\0.png", "a" * 300 + ".png"]
)
def test_a_file_of_a_session_gets_a_plain_name(client, app, tmp_path, name):
    app.session_store = SafeSessions(str(tmp_path / "sessions"))

    reply = client.put("/session/", files={"files": (name, b"frame")})

    kept = Path(reply.json()["session_info"]["image"])
    assert kept.read_bytes() == b"frame"
    assert kept.parent == tmp_path / "sessions" / reply.json()["session_id"]
    assert kept.name.startswith("1")
    assert len(kept.name) < 100


def test_sessions_that_are_off_say_how_to_turn_them_on(client):
    reply = client.put("/session/", files={"files": ("x.png", b"frame")})
    assert reply.status_code == 406
    assert "--conf sessions true" in reply.json()["detail"]
    assert "--conf sessions true" in _infer(client, query={"session_id": "x"}).json()["detail"]


def test_a_session_that_is_not_there_is_not_found(client, app, tmp_path):
    app.session_store = SafeSessions(str(tmp_path))
    assert _infer(client, query={"session_id": "../x"}).status_code == 404


@pytest.mark.parametrize(("content", "status"), [(b"no archive", 400), (None, 200)])
def test_an_archive_of_a_session_is_unpacked_by_our_rules(client, app, tmp_path, content, status):
    app.session_store = SafeSessions(str(tmp_path / "sessions"))
    if content is None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("frame.png", b"frame")
        content = archive.getvalue()

    assert client.put("/session/?uncompress=true", files={"files": ("x.zip", content)}).status_code == status


def test_the_log_shows_no_password(client, monkeypatch, tmp_path):
    (tmp_path / "logs").mkdir()
    line = "conf: {'ledger': 'postgresql+psycopg://anna:hunter2@db/x'}; http://127.0.0.1:8000/a@b"
    (tmp_path / "logs" / "app.log").write_text(f"{line}\n" * 3)
    monkeypatch.setattr(settings, "MONAI_LABEL_APP_DIR", str(tmp_path))

    for query in ({"text": "true"}, {"lines": 1, "html": "false"}, {"lines": 0, "html": "false"}):
        reply = client.get("/logs/", params=query)
        assert reply.status_code == 200
        assert "hunter2" not in reply.text
        assert "postgresql+psycopg://anna:***@db/x" in reply.text
        assert "http://127.0.0.1:8000/a@b" in reply.text
    assert "<html>" in client.get("/logs/").text


@pytest.mark.parametrize(("studies", "refused"), [("study", True), ("https://healthcare.googleapis.com/v1", False)])
def test_a_study_elsewhere_keeps_monai_labels_way_to_it(app, monkeypatch, studies, refused):
    from monailabel.endpoints import proxy

    async def answer(request, op, path):
        return JSONResponse([op, path])

    monkeypatch.setattr(proxy, "proxy_dicom", answer)
    app.studies = studies
    server = FastAPI()
    serve_requests(server, app)
    reply = TestClient(server).get("/proxy/dicom/qido/studies")
    assert reply.status_code == (404 if refused else 200)
    assert refused or reply.json() == ["qido", "studies"]
