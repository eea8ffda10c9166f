import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib.web.annotator import page_files
from lib.web.routes.annotator_page import PAGE_PATH, page_routes


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.router.routes.extend(page_routes("femoral"))
    return TestClient(app)


def test_the_page_is_served_and_every_file_that_it_names(client):
    page = client.get(f"{PAGE_PATH}/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:href|src)="([a-z_]+\.(?:css|js))"', page.text)
    imported = {
        name
        for path, kind in page_files().values()
        if kind == "text/javascript"
        for name in re.findall(r'from "\./([a-z_]+\.js)"', path.read_text(encoding="utf-8"))
    }
    for name in {*named, *imported}:
        assert client.get(f"{PAGE_PATH}/{name}").status_code == 200, name
    assert {*named, *imported, "index.html"} == set(page_files()), "a file that nobody loads"


def test_the_page_is_of_the_model_of_its_study_and_no_file_names_another(client):
    assert 'data-model="femoral"' in client.get(f"{PAGE_PATH}/").text
    scripts = [path for path, kind in page_files().values() if kind == "text/javascript"]
    assert not [path.name for path in scripts if "carotid" in path.read_text(encoding="utf-8")]


def test_the_page_asks_no_other_host():
    for path, _ in page_files().values():
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", path.read_text(encoding="utf-8")), path.name


def test_the_address_without_a_slash_leads_to_the_page_with_what_was_asked_for(client):
    reply = client.get(PAGE_PATH, params={"study": "1.2&3", "other": "x"}, follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (307, "annotate/?study=1.2%263")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpicture.py", "__init__.py", "%2e%2e"])
def test_nothing_else_is_served(client, name):
    assert client.get(f"{PAGE_PATH}/{name}").status_code == 404
