from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from lib.ohif import LastPredictions, serve_bridge


@pytest.fixture
def server(tmp_path: Path) -> FastAPI:
    """A server whose proxies answer with the path that they would ask the PACS for, as MONAI Label's have it."""

    def somebody(user: str = "") -> None:
        if user == "nobody":
            raise HTTPException(status_code=401)

    router = APIRouter(prefix="/proxy", dependencies=[Depends(somebody)])

    @router.get("/dicom/qido/{path:path}")
    @router.post("/dicom/qido/{path:path}")
    async def search(path: str) -> str:
        return path

    @router.get("/dicom/wado/{path:path}")
    async def retrieve(path: str) -> str:
        return path

    app = FastAPI()
    app.include_router(router)
    (tmp_path / "app-config.js").touch()
    for _ in range(2):  # as after a reload
        serve_bridge(app, tmp_path, LastPredictions())
    return app


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("qido/studies", "studies"),
        ("qido/studies?limit=101&offset=0", "studies?limit=101&offset=0"),
        (
            "qido/studies?PatientName=*p02*&includefield=a%2Cb",
            "studies?PatientName=*p02*&includefield=a&includefield=b",
        ),
        ("qido/studies?PatientName=M%C3%BCller%20X&StudyDate=", "studies?PatientName=M%C3%BCller%20X"),
        ("qido/studies/1.2/series/1.3/metadata?limit=1", "studies/1.2/series/1.3/metadata"),
        ("wado/studies/1.2?limit=1", "studies/1.2"),
    ],
)
def test_a_search_reaches_the_pacs_with_its_query(server, asked, expected):
    assert TestClient(server).get(f"/proxy/dicom/{asked}").json() == expected


def test_other_methods_and_who_may_ask_stay_as_they_are(server):
    client = TestClient(server)
    assert client.post("/proxy/dicom/qido/studies?limit=1").json() == "studies"
    assert client.get("/proxy/dicom/qido/studies?user=nobody").status_code == 401
