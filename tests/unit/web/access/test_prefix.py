from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from lib.web.access import asked_model, behind_prefix, check_prefix
from lib.web.access.one_model import OneModel
from lib.web.access.prefix import Prefix
from lib.web.dicomweb import FolderService
from lib.web.ohif.in_front import place_of, put_in_front
from lib.web.routes.dicomweb import dicomweb_routes
from sequal.errors import SettingsError
from unit.web.dicomweb.folder import make_folder


def _client(app: FastAPI, prefix: str = "/monai", root_path: str = "") -> TestClient:
    app.add_middleware(OneModel, models=("volume",))
    app.add_middleware(Prefix, prefix=prefix)
    return TestClient(app, root_path=root_path)


def _server() -> FastAPI:
    app = FastAPI()

    @app.get("/info/")
    def info(request: Request) -> list[str | None]:
        return [str(request.base_url), asked_model()]

    @app.get("/")
    def start() -> str:
        return "the start page"

    @app.get("/ohif/{path:path}")
    def viewer(path: str) -> str:
        return path

    return app


def test_every_path_answers_below_the_prefix_and_without_it() -> None:
    client = _client(_server())
    answers = {
        place: client.get(f"{place}/info/").json() for place in ("", "/monai", "/monai/sequal/volume", "/sequal/volume")
    }
    assert answers == {
        "": ["http://testserver/", None],
        "/monai": ["http://testserver/monai/", None],
        "/monai/sequal/volume": ["http://testserver/monai/sequal/volume/", "volume"],
        "/sequal/volume": ["http://testserver/sequal/volume/", "volume"],
    }
    assert [client.get(path).json() for path in ("/", "/monai", "/monai/")] == ["the start page"] * 3
    assert [client.get(path).status_code for path in ("/monain/info/", "/monai/monai/info/")] == [404, 404]
    redirected = client.get("/monai/sequal/volume/info", follow_redirects=False)
    assert redirected.headers["location"] == "http://testserver/monai/sequal/volume/info/"


def test_the_viewer_opens_at_the_address_that_its_files_have_in_them() -> None:
    client = _client(_server())
    opened = client.get("/monai/ohif/monai-label?StudyInstanceUIDs=1.2")
    assert (opened.url, opened.json()) == ("http://testserver/ohif/monai-label?StudyInstanceUIDs=1.2", "monai-label")


def test_the_viewer_opens_below_the_root_of_a_proxy() -> None:
    client = _client(_server(), root_path="/outer")
    opened = client.get("/outer/monai/ohif/a?b=1", follow_redirects=False)
    assert opened.headers["location"] == "/outer/ohif/a?b=1"


def test_the_way_to_the_viewer_keeps_what_stands_in_its_path() -> None:
    client = _client(_server())
    opened = client.get("/monai/ohif/a%3Fb%23c%25d e?f=%3F", follow_redirects=False)
    assert opened.headers["location"] == "/ohif/a%3Fb%23c%25d%20e?f=%3F"
    assert client.get("/monai/ohif/a%3Fb%23c%25d e").json() == "a?b#c%d e"


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "ANY")


def test_the_servers_own_endpoints_do_not_answer_behind_the_prefix() -> None:
    app, router, run = _server(), APIRouter(), []

    @router.api_route("/info/", methods=list(METHODS))
    @router.api_route("/ohif/{path:path}", methods=list(METHODS))
    def original(path: str = "") -> None:
        run.append(path)

    app.include_router(router, prefix="/monai")
    put_in_front(app, behind_prefix("/monai"))
    client = _client(app)
    for place in ("/monai", "/sequal/volume", "/monai/sequal/volume"):
        for path in ("/monai/info/", "/monai/info", "/%6donai/info/", "/monai%2Finfo/", "/monai/ohif/a", "/monai/"):
            for method in METHODS:
                assert client.request(method, place + path).status_code == 404
        assert client.get(f"{place}//monai/info/").status_code == 404
        assert client.get(f"{place}/monai//info/").status_code == 404
        assert "got it once more" in client.get(f"{place}/monai/info/").json()["detail"]
        assert client.get(f"{place}/info/").status_code == 200
    assert run == []
    check_prefix("/monai", [place_of(route)[0] for route in app.routes])  # as when the app is built anew
    assert behind_prefix("") == []


def test_without_a_prefix_nothing_changes() -> None:
    client = _client(_server(), "")
    assert client.get("/info/").json() == ["http://testserver/", None]
    assert client.get("/ohif/a", follow_redirects=False).json() == "a"


def test_dicomweb_gives_addresses_below_the_prefix(tmp_path: Path) -> None:
    app = FastAPI()
    put_in_front(app, dicomweb_routes(FolderService(make_folder(tmp_path))))
    reply = _client(app).get("/monai/proxy/dicom/qido/studies", params={"limit": 1})
    assert reply.json()[0]["00081190"]["Value"][0].startswith("http://testserver/monai/proxy/dicom/qido/studies/")


@pytest.mark.parametrize("prefix", ["/sequal", "/sequal/volume", "/info"])
def test_a_prefix_that_hides_paths_of_the_server_is_refused(prefix: str) -> None:
    paths = ["/", "/info/", "/sequal/status"]
    with pytest.raises(SettingsError, match=f"MONAI_LABEL_API_STR.*got '{prefix}', as in '{prefix}"):
        check_prefix(prefix, paths)
    check_prefix(f"{prefix}s", paths)
    check_prefix("", paths)
