"""OHIF in a real browser, as an annotator drives it."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

WINDOW = {"width": 1280, "height": 800}
LOAD_MS, REPLY_MS, TRAIN_MS = 60_000, 30_000, 150_000
#: What the panel logs once OHIF shows a mask.
SHOWN = "updated the segmentation's scalar data"
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
        self.errors: list[str] = []
        page.on("console", self._listen)

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def part(self, name: str) -> Locator:
        """A part of OHIF, or of our bar (`sequal-…`), by the mark that it carries for tests."""
        return self.page.locator(f"[data-cy='{name}']").first

    @property
    def bar(self) -> Locator:
        return self.part("sequal-bar")

    @property
    def study_uid(self) -> str:
        """The study that is open, from the address."""
        return self.page.url.rpartition("=")[2]

    def open_list(self) -> None:
        self.page.goto(f"{self.server}/ohif/")
        expect(self.part("study-list-results")).to_be_visible(timeout=LOAD_MS)
        self.agree()

    def mode_button(self, study_uid: str) -> Locator:
        """The button that opens a study of the list for MONAI Label."""
        button = self.part(f"mode-monai-label-{study_uid}")
        if not button.count():
            self.part(f"studyRow-{study_uid}").click()
        return button

    def open_study(self, study_uid: str) -> None:
        """From the list, by its button, until the label can be drawn."""
        self.open_list()
        self.mode_button(study_uid).click()
        self.wait_until_connected()

    def wait_until_connected(self) -> None:
        expect(self.bar).to_be_visible(timeout=LOAD_MS)
        expect(self.run_button).to_be_visible(timeout=LOAD_MS)
        self.agree()
        self.page.wait_for_function("() => sequal.shown.label() !== null", timeout=LOAD_MS)

    def agree(self) -> None:
        """OHIF's note on investigational use lies under other notes at times: its button is pressed all the same."""
        button = self.part("confirm-and-hide-button")
        if button.count():
            button.dispatch_event("click")

    @property
    def run_button(self) -> Locator:
        return self.page.locator("button[title='Run Segmentation']")

    def run(self) -> str:
        """Segment automatically; the read-out."""
        with self.page.expect_console_message(lambda message: SHOWN in message.text, timeout=REPLY_MS):
            self.run_button.click()
        expect(self.part("sequal-readout")).not_to_be_empty(timeout=REPLY_MS)
        return self.part("sequal-readout").inner_text()

    def voxels(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """The label that OHIF holds, uint8 (W, H, slices)."""
        values = self.page.evaluate("() => Array.from(sequal.shown.label().voxels)")
        return np.array(values, dtype=np.uint8).reshape((*shape, -1), order="F")

    def stroke(self, tool: str, start: tuple[float, float], length_px: int = 60) -> None:
        """Draw one level line with `Brush` or `Eraser`; `start` as parts of the pane's width and height."""
        self.part(f"sequal{tool}").click()
        pane = self.part("viewport-pane").bounding_box()
        assert pane
        x, y = pane["x"] + start[0] * pane["width"], pane["y"] + start[1] * pane["height"]
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + length_px, y, steps=10)
        self.page.mouse.up()
        self.page.mouse.move(x, y)  # away from its end, so that the last movement is drawn

    def instance_number(self) -> int:
        """InstanceNumber of the slice that is shown, as OHIF prints it in the pane's corner."""
        found = re.search(r"I:\s*(\d+) \(", self.part("viewport-overlay-bottom-right").inner_text())
        assert found
        return int(found.group(1))

    def save(self) -> str:
        """Press Save; what came of it."""
        expect(self.part("sequal-save")).to_be_enabled()
        self.page.evaluate("() => { document.querySelector('[data-cy=sequal-message]').textContent = '' }")
        self.part("sequal-save").click()
        return self.answer(re.compile("Saved|Not saved|no label"))

    def answer(self, text: re.Pattern[str]) -> str:
        """Wait until the bar says so; all that it says."""
        expect(self.part("sequal-message")).to_have_text(text, timeout=REPLY_MS)
        return self.part("sequal-message").inner_text()

    def next_sample(self) -> str:
        """Press Next sample; UID of the study that opens, ready to be drawn on."""
        before = self.page.url
        self.part("sequal-next").click()
        self.page.wait_for_url(lambda url: url != before, timeout=REPLY_MS, wait_until="commit")
        self.wait_until_connected()
        return self.study_uid

    def coloured_pixels(self) -> int:
        """Pixels of the screen, where the image is, that are as warm as a mask: image and labels are grey and blue."""
        pane = self.part("viewport-pane").bounding_box()
        assert pane
        clip = {key: pane[key] for key in ("x", "y", "width", "height")}
        with Image.open(io.BytesIO(self.page.screenshot(clip=clip))) as picture:
            colours = np.asarray(picture.convert("RGB")).astype(int)
        return int(np.count_nonzero(colours[:, :, 0] - colours[:, :, 2] > 20))

    def picture(self, file: Path) -> None:
        self.page.screenshot(path=file)


@contextmanager
def new_viewer(browser: Browser, server: str) -> Iterator[Viewer]:
    context = browser.new_context(viewport=WINDOW)
    # OHIF asks the internet for a font; the tests ask nobody but the server.
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())
    try:
        yield Viewer(context.new_page(), server)
    finally:
        context.close()
