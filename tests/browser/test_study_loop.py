"""Annotators go through a study in browsers: next frame, train, back to the former model, two at once."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from browser.annotator import LOAD_MS, PATH, TRAIN_MS, new_annotator
from integration.server import REPOSITORY, Server, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

SAMPLE = REPOSITORY / "sample-data"
FRAMES = ("p02_f1", "p04_f1", "p06_f1", "p08_f1", "p10_f1", "p12_f1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a training that is over in seconds, after it has scored the pool."""
    study = tmp_path / "study"
    study.mkdir()
    for name in FRAMES:
        shutil.copy(SAMPLE / f"{name}.nii.gz", study)
    quick = {"epochs": 1, "iterations_per_epoch": 3, "patch": 64}
    with running(study, tmp_path / "state", strategy="pld", **quick) as started:
        started.finished("scoring")
        yield started


def test_from_the_first_frame_to_the_trained_model_and_back(chromium: Browser, server: Server, pictures: Path) -> None:
    with new_annotator(chromium, server.url, name="", auto_run=True) as anna:
        # A name is asked for once.
        anna.page.goto(f"{server.url}{PATH}")
        anna.page.wait_for_selector("dialog[open]", timeout=LOAD_MS)
        anna.answer("ok", "anna")
        anna.wait()
        expect(anna.part("who")).to_have_text("anna")
        first = anna.image

        # Why this frame is in words, and the model has run by itself.
        expect(anna.part("frame-why")).to_have_text(f"chosen because the model is unsure here: 1st of {len(FRAMES)}")
        anna.wait_for_model()
        assert anna.mask().any()
        anna.page.wait_for_timeout(500)
        anna.page.screenshot(path=pictures / "first.png")

        anna.part("train").click()
        expect(anna.part("train-text")).to_have_text("There is no label yet. Save one first.")

        # The mask is right: one key is the whole work on a frame.
        anna.press("Enter")
        second = anna.wait_for_another(first)
        labels = server.request("GET", "/sequal/labels").json()
        assert (labels["labels"], labels["unedited"]) == (1, 1)

        # The next is corrected first.
        columns = np.flatnonzero(anna.mask()[:, :, 0].any(axis=1))
        row = int(np.flatnonzero(anna.mask()[columns[20], :, 0]).max())
        anna.choose("brush")
        anna.stroke([(float(columns[20]), row), (float(columns[20]) + 15, row)])
        anna.press("Control+s")
        anna.says(re.compile("^Saved"))
        labels = server.request("GET", "/sequal/labels").json()
        assert (labels["labels"], labels["unedited"]) == (2, 1)
        expect(anna.part("labels-text")).to_have_text("2 labels, 1 taken over unedited.")

        # Train: progress, what judged the new model.
        anna.part("train").click()
        expect(anna.part("train-bar")).to_be_visible()
        expect(anna.part("train-text")).to_contain_text(" since the start")
        anna.page.context.set_offline(True)
        expect(anna.part("train-text")).to_contain_text(
            "The server does not answer. If it still runs, the training goes on there."
        )
        anna.page.context.set_offline(False)
        expect(anna.part("train-text")).to_contain_text("labels of 2 patients judged it", timeout=TRAIN_MS)
        assert server.stats()["round"] == 1
        anna.page.screenshot(path=pictures / "trained.png")

        anna.page.reload()
        expect(anna.part("train-text")).to_contain_text("The last training: ", timeout=LOAD_MS)
        expect(anna.part("train-text")).to_contain_text("labels of 2 patients judged it")
        anna.wait()

        # Back to the model before, and forward again.
        served = lambda: server.request("GET", "/sequal/models").json()["in_service"]  # noqa: E731
        if served() == 1:
            anna.part("model-back").click()
            expect(anna.part("train-text")).to_have_text("In service now: starting weights.")
        assert served() == 0
        anna.part("models-summary").click()
        anna.page.locator("#models li[data-round='1'] button").click()
        expect(anna.part("train-text")).to_have_text("In service now: round 1.")
        assert served() == 1

        # Another session of the same name is the same annotator.
        assert second == anna.image
        anna.press("n")
        third = anna.wait_for_another(second)
        with new_annotator(chromium, server.url, name="anna") as again:
            again.open()
            assert again.image == third

        # Another annotator is not given it, and sees who has it open.
        with new_annotator(chromium, server.url, name="bob") as bob:
            bob.open()
            assert bob.image not in (first, second, third)
            expect(bob.page.locator(f"#list li[data-image={third}] .by")).to_contain_text("open with anna")
            bob.page.locator(f"#list li[data-image={third}]").click()
            bob.wait(third)
            bob.says(re.compile("anna has this frame open as well"))
            bob.page.screenshot(path=pictures / "two.png")


def test_when_every_frame_is_answered_the_page_says_so(chromium: Browser, server: Server) -> None:
    for image in FRAMES[1:]:
        assert server.request("POST", "/sequal/skip", params={"image": image}, json={}).status_code == 200
    with new_annotator(chromium, server.url) as anna:
        anna.open()
        assert anna.image == FRAMES[0]
        anna.press("w")
        anna.answer("yes")
        anna.says(re.compile("No frame is left"))
