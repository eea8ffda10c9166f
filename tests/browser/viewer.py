"""OHIF in a real browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

WINDOW = {"width": 1280, "height": 800}
LOAD_MS = 60_000
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def installed_chromium() -> str:
    """The system's browser: Playwright brings none. Without one the test is skipped, but fails in CI."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found:
        return found
    reason = f"None of {', '.join(PROGRAMS)} is installed"
    if os.environ.get("CI") or os.environ.get("SEQUAL_CI") == "1":
        pytest.fail(f"{reason}; continuous integration needs one.")
    pytest.skip(f"{reason}.")


class Viewer:
    """One page of the viewer.

    Args:
        page: of the browser.
        server: address of the MONAI Label server.
    """

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server

    def part(self, name: str) -> Locator:
        """A part of OHIF by the mark that it carries for tests."""
        return self.page.locator(f"[data-cy='{name}']").first

    def open_list(self) -> None:
        self.page.goto(f"{self.server}/ohif/")
        expect(self.part("study-list-results")).to_be_visible(timeout=LOAD_MS)
        self.agree()

    def mode_button(self, study_uid: str, mode: str = "annotate") -> Locator:
        """The button that opens a study of the list in a mode."""
        button = self.part(f"mode-{mode}-{study_uid}")
        if not self.part(f"mode-viewer-{study_uid}").count():
            self.part(f"studyRow-{study_uid}").click()
            expect(self.part(f"mode-viewer-{study_uid}")).to_be_visible()
        return button

    def agree(self) -> None:
        """OHIF's note on investigational use lies under other notes at times: its button is pressed all the same."""
        button = self.part("confirm-and-hide-button")
        if button.count():
            button.dispatch_event("click")


@contextmanager
def new_viewer(browser: Browser, server: str) -> Iterator[Viewer]:
    context = browser.new_context(viewport=WINDOW)
    # OHIF asks the internet for a font; the tests ask nobody but the server.
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())
    try:
        yield Viewer(context.new_page(), server)
    finally:
        context.close()
