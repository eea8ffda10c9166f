"""What somebody outside tries, against the real server: with requests that no client makes, pages, files and paths."""

import hashlib
import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

from integration.data import HEIGHT, LABELLED, WIDTH, frame, label_of, save_nifti
from integration.server import Server, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

IMAGE, SECRET = "p05_left", b"HUNTER2 "
PAGES: tuple[dict[str, str], ...] = (
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "same-site"},
)
TASKS = ("/train/carotid", "/train/", "/scoring/pld", "/scoring/", "/batch/infer/carotid")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the server that would do as the pixels of a label of the study."""
    path = tmp_path / "secret"
    path.write_bytes((SECRET * WIDTH * HEIGHT)[: WIDTH * HEIGHT])
    return path


def tree(folder: Path) -> dict[str, str]:
    """Every file of a study but MONAI Label's lists, with its digest."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "datastore"))]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def infer(server: Server, named: str, /, **params: Any) -> requests.Response:
    files = {"params": (None, json.dumps(params))}
    return server.request("POST", "/infer/carotid", params={"image": named}, files=files)


def alive(server: Server) -> None:
    assert server.request("GET", "/info/").status_code == 200


def started(server: Server) -> int:
    return sum(len(server.tasks(kind)) for kind in ("train", "scoring"))


@pytest.mark.parametrize("path", TASKS)
@pytest.mark.parametrize("key", ["bundle_path", "PYTHONPATH", "local_rank", "sent_file", "output", "model_filename"])
def test_no_key_of_a_request_reaches_a_process(server: Server, tmp_path: Path, path: str, key: str) -> None:
    before = started(server)
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")

    for body in ({key: str(tmp_path)}, {"carotid": {key: str(tmp_path)}}, {"pld": {key: str(tmp_path)}}):
        reply = server.request("POST", path, json=body)
        assert reply.status_code == 400, reply.text
        assert "'" in reply.json()["detail"]
    reply = server.request("POST", f"{path}?{key}={tmp_path}")
    assert reply.status_code == 400
    assert repr(key) in reply.json()["detail"]
    assert started(server) == before
    assert not (tmp_path / "was-run").exists()


def test_no_answer_tells_which_paths_exist(server: Server, secret: Path) -> None:
    there = [
        str(secret),
        "/etc/passwd",
        "/",
        "Makefile",
        "apps",
        ".",
        "..",
        str(Path(server.studies) / f"{IMAGE}.nii.gz"),
    ]
    forms = set()
    for path in [*there, *(f"{path}-not-there" for path in there), "file:///etc/passwd", "a\0b", "\u202e"]:
        for reply in (infer(server, path), server.request("GET", "/sequal/measurement", params={"image": path})):
            assert reply.status_code == 404, (path, reply.text)
            assert "HUNTER2" not in reply.text
        forms.add(infer(server, path).json()["detail"].split("got")[0])
        assert server.request("GET", "/datastore/image", params={"image": path}).status_code == 404
        assert server.request("GET", "/datastore/label", params={"label": path, "tag": "final"}).status_code == 404
        assert infer(server, IMAGE, image=path).status_code == 400
    assert len(forms) == 1


def detached(place: str, encoding: str = "raw", field: str = "data file") -> bytes:
    lines = ["NRRD0004", "type: uint8", "dimension: 3", f"sizes: {WIDTH} {HEIGHT} 1", f"encoding: {encoding}"]
    return "\n".join([*lines, f"{field}: {place}", "", ""]).encode()


@pytest.mark.parametrize("field", ["data file", "datafile", "Data File"])
@pytest.mark.parametrize("encoding", ["raw", "ascii"])
def test_no_file_has_another_file_read(server: Server, tmp_path: Path, secret: Path, field: str, encoding: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    before, image = tree(Path(server.studies)), {"image": IMAGE}
    for place in (secret, tmp_path / "pipe", "/dev/zero"):
        sent = ("x.nrrd", detached(str(place), encoding, field))
        replies = [
            server.request("POST", "/infer/carotid", files={"file": sent}),
            server.request("PUT", "/datastore/image", params={"image": "new"}, files={"file": sent}),
            server.request("POST", "/sequal/measurement", params=image, files={"label": sent}),
        ]
        for tag in ("final", "original", "reader-2"):
            replies.append(
                server.request("PUT", "/datastore/label", params=image | {"tag": tag}, files={"label": sent})
            )
        for reply in replies:
            assert reply.status_code == 400, reply.text
            assert "HUNTER2" not in reply.text
            assert str(place) not in reply.text
    assert tree(Path(server.studies)) == before
    kept = [path.read_bytes() for path in (server.state / "rejected").rglob("*") if path.is_file()]
    assert not any(SECRET in content for content in kept)
    alive(server)


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.py", "x.so", "x"])
@pytest.mark.parametrize("tag", ["final", "original", "reader-2", "../../x", ".hidden", "a/b"])
def test_nothing_but_labels_is_stored(server: Server, tmp_path: Path, tag: str, name: str) -> None:
    before = tree(Path(server.studies))
    label = save_nifti(tmp_path / "label.nii.gz", label_of(IMAGE)[:, :, None])
    sent = {"label": (name, label.read_bytes())}

    assert server.request("PUT", "/datastore/label", params={"image": IMAGE, "tag": tag}, files=sent).status_code == 400
    assert tree(Path(server.studies)) == before


def test_a_models_mask_replaces_no_experts_label(server: Server) -> None:
    image = LABELLED[0]
    before = tree(Path(server.studies))

    for params in ({"save_label": True, "label_tag": "final"}, {"save_label": "true", "label_tag": "final"}):
        reply = infer(server, image, **params)
        assert reply.status_code == 400
        assert "expert" in reply.json()["detail"]
    assert tree(Path(server.studies)) == before
    assert infer(server, image, save_label=True).status_code == 200
    changed = set(tree(Path(server.studies)).items()) - set(before.items())
    assert {path for path, _ in changed} == {f"labels/original/{image}.nii.gz"}


@pytest.mark.parametrize(
    "params",
    [
        {"result_dtype": "U20000"},
        {"result_dtype": "V999999999"},
        {"result_dtype": "(999999,)f8"},
        {"result_dtype": "O"},
        {"result_dtype": ["u1"] * 1000},
        {"result_extension": "." + "x" * 10_000},
        {"result_extension": ".nrrd/../../x"},
        {"client_id": "x" * 100_000},
        {"client_id": {"a": ["b"] * 1000}},
        {"client_id": "\ud800"},
        {"x" * 100_000: 1},
    ],
    ids=lambda params: str(params)[:40],
)
def test_nothing_is_allocated_for_a_wrong_value(server: Server, params: dict[str, Any]) -> None:
    process = psutil.Process(server.process.pid)
    infer(server, IMAGE)
    before = process.memory_info().rss

    for _ in range(3):
        reply = infer(server, IMAGE, **params)
        assert reply.status_code == 400
        assert len(reply.content) < 1000
    assert process.memory_info().rss - before < 64 << 20


def test_every_endpoint_refuses_another_page(server: Server) -> None:
    """Those that this version of MONAI Label or another part of the app adds included."""
    before = tree(Path(server.studies))
    listed = server.request("GET", "/openapi.json").json()["paths"]
    changing = {
        (path, method.upper())
        for path, methods in listed.items()
        for method in methods
        if method not in ("get", "head")
    }
    assert {("/train/{model}", "POST"), ("/datastore/label", "PUT"), ("/datastore/image", "DELETE")} <= changing
    unlisted = [("/train/", "POST"), ("/reload", "POST"), ("/session/", "PUT"), ("/proxy/dicom/stow/studies", "POST")]
    for path, method in [*sorted(changing), *unlisted, ("/not-there", "POST"), ("/", "QUERY")]:
        for headers in PAGES:
            reply = server.request(method, path, headers={**headers, "Content-Type": "text/plain"}, data="{}")
            assert reply.status_code == 403, (path, method, headers, reply.text)
            assert "access-control-allow-origin" not in reply.headers
    for path in listed:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert server.request("GET", path, headers=headers).status_code == 403
    assert tree(Path(server.studies)) == before
    reply = server.request("GET", "/info/", headers={"Origin": "http://evil.example"})
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def raw(server: Server, *lines: str, body: bytes = b"") -> int:
    """Send bytes that no library would; the status of the reply."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        start = connection.recv(64)
    return int(start.split(b" ")[1])


def test_requests_that_no_client_makes(server: Server) -> None:
    here, end = f"Host: 127.0.0.1:{server.port}", "Connection: close"
    assert raw(server, "GET /info/ HTTP/1.1", here, end) == 200
    assert raw(server, "GET /info/ HTTP/1.1", f"Host: [::1]:{server.port}", end) == 200
    refused = [
        ("GET /info/ HTTP/1.1", "Host: evil.example", end),
        ("GET /info/ HTTP/1.1", f"Host: evil.example:{server.port}", "X-Forwarded-Host: 127.0.0.1", end),
        ("GET /info/ HTTP/1.1", "Host: evil.example", here, end),
        ("GET /info/ HTTP/1.1", here, "Host: evil.example", end),
        ("GET /info/ HTTP/1.1", f"Host: 127.0.0.1:{server.port}@evil.example", end),
        ("GET /info/ HTTP/1.1", "Host:", end),
        ("GET /info/ HTTP/1.1", end),
        ("GET /info/ HTTP/1.0", end),
        (f"GET http://127.0.0.1:{server.port}/info/ HTTP/1.1", "Host: evil.example", end),
        ("GET http://evil.example/info/ HTTP/1.1", here, end),
        ("GET /ohif/.. HTTP/1.1", here, end),
        ("GET /static/%2e%2e/%2e%2e/app.py HTTP/1.1", here, end),
        ("GET /ohif/%00 HTTP/1.1", here, end),
        ("OPTIONS * HTTP/1.1", here, end),
        ("POST /train/carotid HTTP/1.1", here, "Content-Length: 2", "Content-Length: 3", end),
        (
            "GET /info/ HTTP/1.1",
            here,
            "Origin: http://evil.example",
            "Sec-Fetch-Site: cross-site",
            "Upgrade: websocket",
            end,
        ),
    ]
    for lines in refused:
        assert raw(server, *lines) in {400, 403}, lines
    sent = ("POST /train/carotid HTTP/1.1", here, "Content-Type: application/json", end, "Transfer-Encoding: chunked")
    body = b'16\r\n{"bundle_path":"/etc"}\r\n0\r\n\r\n'
    assert raw(server, *sent, body=body) == 400
    assert raw(server, *sent, "Content-Length: 4", body=body) == 400
    alive(server)


def test_sessions_are_off(server: Server, tmp_path: Path) -> None:
    assert server.request("PUT", "/session/?uncompress=true", files={"files": ("x.zip", b"PK")}).status_code == 406
    (tmp_path / "victim").mkdir()
    name = str(tmp_path / "victim").replace("/", "%2F")
    for method in ("GET", "DELETE"):
        assert server.request(method, f"/session/{name}").status_code in {404, 406}
    assert (tmp_path / "victim").exists()


def test_nothing_is_left_behind(server: Server) -> None:
    before = set(server.temporary.iterdir())
    pixels = save_nifti(server.received / "sent.nii.gz", frame(9)[0][:, :, None]).read_bytes()
    for name in ("x.nii.gz", "../../x.nii.gz", "/etc/cron.d/x.nii.gz", "x" * 240 + ".nii.gz", "x.sh"):
        reply = server.request("POST", "/infer/carotid", files={"file": (name, pixels)})
        assert reply.status_code == (400 if name == "x.sh" else 200), (name, reply.text)
    assert server.request("GET", "/datastore/dataset").status_code == 200
    assert server.request("PUT", "/model/carotid", files={"file": ("x.pt", b"code")}).status_code == 405
    assert server.request("POST", "/infer/wsi_v2/carotid", files={"file": ("x.svs", pixels)}).status_code == 400
    wait_for("the files to be removed", lambda: set(server.temporary.iterdir()) <= before, seconds=20)


def test_a_file_of_the_working_folder_is_not_taken_for_an_image(server: Server, tmp_path: Path) -> None:
    """The server of the tests works in the repository."""
    assert Path("Makefile").name == "Makefile"
    for name in ("Makefile", "README.md", "sample-data/p01_f1.nii.gz", "apps"):
        assert infer(server, name).status_code == 404
    assert np.isfinite(json.loads(infer(server, IMAGE).content.split(b"\r\n\r\n")[1].split(b"\r\n")[0])["pld"])
