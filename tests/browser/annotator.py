"""The annotator's page in a real browser, as an annotator drives it."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

WINDOW = {"width": 1400, "height": 860}
LOAD_MS, REPLY_MS, TRAIN_MS = 30_000, 30_000, 150_000
PATH = "/sequal/annotate/"
NUMBER = re.compile(r"([0-9.]+) (mm|px)")

Place = tuple[float, float]


class Annotator:
    """One page, and who sits before it.

    Args:
        page: of the browser.
        server: address of the MONAI Label server.
    """

    def __init__(self, page: Page, server: str) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def part(self, name: str) -> Locator:
        """A part of the page by its id."""
        return self.page.locator(f"#{name}")

    def open(self, image: str = "", **query: str) -> None:
        """Open the page, on a frame or on the next one, and wait until it can be drawn on."""
        asked = "&".join(f"{key}={value}" for key, value in ({"image": image} | query).items() if value)
        self.page.goto(f"{self.server}{PATH}?{asked}")
        self.wait(image)

    def wait(self, image: str = "") -> None:
        """Until a frame (`image`, or any) is open and nothing is going on."""
        named = "work.info.image === image" if image else "true"
        self.page.wait_for_function(
            f"(image) => {{ const {{ work, isBusy }} = window.sequal || {{}}; return work && !isBusy && {named}; }}",
            arg=image,
            timeout=LOAD_MS,
        )

    def wait_for_another(self, image: str) -> str:
        """Until a frame other than `image` is open; its id."""
        self.page.wait_for_function(
            "(image) => { const { work, isBusy } = sequal; return work && !isBusy && work.info.image !== image; }",
            arg=image,
            timeout=LOAD_MS,
        )
        return self.image

    def wait_for_model(self) -> None:
        """Until the model's mask is there."""
        self.page.wait_for_function(
            "() => { const { work, isBusy } = sequal; return work && !isBusy && work.model && work.model.voxels; }",
            timeout=LOAD_MS,
        )

    @property
    def image(self) -> str:
        """Id of the open frame."""
        found: str = self.page.evaluate("() => sequal.work.info.image")
        return found

    def mask(self) -> NDArray[np.uint8]:
        """What is drawn, uint8 (W, H, F)."""
        shape, values = self.page.evaluate(
            "() => { const { mask } = sequal.work;"
            " return [[mask.width, mask.height, mask.frames], Array.from(mask.voxels)]; }"
        )
        return np.array(values, dtype=np.uint8).reshape(shape, order="F")

    def choose(self, tool: str) -> None:
        self.page.locator(f"[data-tool={tool}]").click()

    def at(self, column: float, row: float) -> Place:
        """Where a pixel of the frame is on the screen."""
        x, y = self.page.evaluate(
            "(place) => { const box = sequal.view.canvas.getBoundingClientRect();"
            " const [x, y] = sequal.view.toScreen(place); return [box.x + x, box.y + y]; }",
            [column, row],
        )
        return x, y

    def stroke(self, places: Sequence[Place], steps: int = 8) -> None:
        """Press, go from pixel to pixel with `steps` movements each, let go."""
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=steps)
        mouse.up()

    def click(self, column: float, row: float) -> None:
        self.page.mouse.click(*self.at(column, row))

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def answer(self, choice: str, text: str = "") -> None:
        """Answer the question that the page asks."""
        dialog = self.part("dialog")
        expect(dialog).to_be_visible()
        if text:
            dialog.locator("input").fill(text)
        dialog.locator(f"button[data-answer={choice}]").click()
        expect(dialog).not_to_be_visible()

    def says(self, text: str | re.Pattern[str]) -> str:
        """Wait until the page says so; all that it says."""
        expect(self.part("message")).to_have_text(text, timeout=REPLY_MS)
        return self.part("message").inner_text()

    def save(self) -> None:
        self.part("save").click()
        self.says(re.compile("^Saved"))

    def thickness(self, whose: str = "mine") -> tuple[float, float, str]:
        """Mean, maximum and unit as the page shows them, once they are those of what is drawn now."""
        self.page.wait_for_function(
            f"() => document.querySelector('#{whose}-mean:not(.dim):not(:empty)')",
            timeout=REPLY_MS,
        )
        found = [NUMBER.fullmatch(self.part(f"{whose}-{name}").inner_text()) for name in ("mean", "max")]
        assert found[0], self.part(f"{whose}-mean").inner_text()
        assert found[1]
        return float(found[0][1]), float(found[1][1]), found[0][2]

    def colours(self) -> NDArray[np.int64]:
        """The screen where the frame is, (rows, columns, RGB)."""
        box = self.part("stage").bounding_box()
        assert box
        clip = {key: box[key] for key in ("x", "y", "width", "height")}
        with Image.open(io.BytesIO(self.page.screenshot(clip=clip))) as picture:
            return np.asarray(picture.convert("RGB")).astype(np.int64)

    def red_pixels(self) -> int:
        red, green, blue = np.moveaxis(self.colours(), 2, 0)
        return int(np.count_nonzero((red > 150) & (green < 120) & (blue < 120)))


@contextmanager
def new_browser(browser: Browser, server: str, name: str = "anna") -> Iterator[BrowserContext]:
    """A browser that was never here before, of an annotator who has told a name; without one it is asked for."""
    context = browser.new_context(viewport=WINDOW)
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())
    if name:
        context.add_init_script(f"localStorage['sequal-annotator'] ||= '{name}'")
    try:
        yield context
    finally:
        context.close()


@contextmanager
def new_annotator(browser: Browser, server: str, name: str = "anna", *, auto_run: bool = False) -> Iterator[Annotator]:
    """A page of a new browser; the model runs by itself when it is asked to."""
    with new_browser(browser, server, name) as context:
        if not auto_run:
            context.add_init_script("localStorage.setItem('sequal-auto-run', 'no')")
        annotator = Annotator(context.new_page(), server)
        yield annotator
        assert annotator.errors == []
