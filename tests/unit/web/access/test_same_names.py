import unicodedata
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from lib.web.access import protect

NFC, NFD = (unicodedata.normalize(form, "Jérôme 1+2&x=ü") for form in ("NFC", "NFD"))


@pytest.fixture
def client():
    """A server that says what it was asked, of a study with one image whose id is in NFC."""
    app = FastAPI()

    @app.get("/")
    def asked(request: Request) -> list[tuple[str, str]]:
        return list(request.query_params.multi_items())

    protect(app, (), (), lambda name: NFC if name == NFD else name)
    return TestClient(app, base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("key", ["image", "label", "id"])
@pytest.mark.parametrize("form", [NFC, NFD])
def test_an_id_reaches_the_server_as_the_study_writes_it(client, key, form):
    sent = [("tag", NFD), (key, form), ("empty", ""), (key, "p01")]
    assert client.get(f"/?{urlencode(sent)}").json() == [["tag", NFD], [key, NFC], ["empty", ""], [key, "p01"]]


@pytest.mark.parametrize("query", ["", "image", "image=%ff%fe", "image=\u00e9", "=&&image==", "image=a%00b"])
def test_what_is_no_name_goes_on_as_it_is(client, query):
    plain = FastAPI()
    plain.router.routes[:] = client.app.router.routes
    expected = TestClient(plain, base_url="http://127.0.0.1:8000").get(f"/?{query}")
    assert client.get(f"/?{query}").json() == expected.json()
