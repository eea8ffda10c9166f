import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser.study import STUDY, serving
from browser.viewer import Viewer, installed_chromium, new_viewer
from integration.server import Server
from pacs import running_orthanc
from sequal.files.dicom import Pacs, image_series

START_MS = 60_000
#: A real window without a screen; no request to anybody but the server.
FLAGS = (
    "--no-sandbox",
    "--headless=new",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PACS with the frames of `STUDY`, each a study of its own."""
    with running_orthanc(tmp_path_factory.mktemp("pacs")) as url:
        for stored in STUDY.values():
            assert Pacs(url).store(image_series(stored.frame, stored.identity)) is None
        yield url


@pytest.fixture(scope="session")
def server(pacs: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on the PACS, with a training that is over in seconds, after it has scored the pool."""
    with serving(pacs, tmp_path_factory.mktemp("server"), epochs=1, iterations_per_epoch=3, patch=64) as started:
        started.finished("scoring")
        yield started


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_chromium(), args=list(FLAGS), timeout=START_MS)
        yield browser
        browser.close()


@pytest.fixture
def viewer(chromium: Browser, server: Server) -> Iterator[Viewer]:
    """A browser that was never here before."""
    with new_viewer(chromium, server.url) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go; the variable keeps them, to look at or for the documentation."""
    folder = Path(os.environ.get("SEQUAL_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
