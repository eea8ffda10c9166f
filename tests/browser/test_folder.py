"""A folder without a PACS: from the start page to the frame, and from OHIF's study list to the same page."""

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from browser.annotator import Annotator
from browser.study import NAMES
from browser.viewer import LOAD_MS, Viewer, new_viewer
from integration.server import REPOSITORY, Server, running, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def folder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on three NIfTI frames."""
    folder = tmp_path_factory.mktemp("folder")
    studies = folder / "study"
    studies.mkdir()
    for name in NAMES[:3]:
        shutil.copy(REPOSITORY / "sample-data" / f"{name}.nii.gz", studies)
    with running(studies, folder / "state", auto_scoring="false") as started:
        yield started


@pytest.fixture
def at_folder(chromium: Browser, folder_server: Server) -> Iterator[Viewer]:
    with new_viewer(chromium, folder_server.url) as opened:
        opened.page.add_init_script("localStorage['sequal-annotator'] ||= 'anna'")
        yield opened


def _studies(server: Server) -> dict[str, str]:
    """StudyInstanceUID by image."""
    found = DICOMwebClient(f"{server.url}/sequal/dicom-web").search_for_studies()
    return {study["00081030"]["Value"][0]: study["0020000D"]["Value"][0] for study in found}


def test_the_start_page_leads_to_the_next_frame(at_folder: Viewer, folder_server: Server, pictures: Path) -> None:
    page = at_folder.page
    page.goto(folder_server.url)
    expect(page.locator("#images")).to_have_text("3")
    expect(page.locator("#labelled")).to_have_text("0")
    page.screenshot(path=pictures / "start.png")
    page.get_by_role("link", name="Annotate", exact=True).click()
    anna = Annotator(page, folder_server.url)
    anna.wait()
    assert anna.image in NAMES[:3]
    page.on("dialog", lambda dialog: dialog.accept())
    anna.part("home").click()
    expect(page.locator("#images")).to_have_text("3")


def test_ohifs_list_leads_to_a_corrected_label_of_a_folder(
    at_folder: Viewer, folder_server: Server, pictures: Path
) -> None:
    viewer, server, studies = at_folder, folder_server, _studies(folder_server)
    viewer.open_list()
    for name, study in studies.items():
        expect(viewer.part(f"studyRow-{study}")).to_contain_text(name, timeout=LOAD_MS)
    viewer.page.screenshot(path=pictures / "folder-list.png")
    name = NAMES[0]
    viewer.mode_button(studies[name]).click()
    viewer.page.wait_for_url("**/sequal/annotate/**", timeout=LOAD_MS)
    anna = Annotator(viewer.page, server.url)
    anna.wait(name)
    anna.wait_for_model()
    anna.choose("brush")
    anna.stroke([(30, 30), (80, 30)])
    drawn = anna.mask()
    anna.save()
    stored = np.asanyarray(nib.load(server.studies / "labels" / "final" / f"{name}.nii.gz").dataobj)
    np.testing.assert_array_equal(stored.reshape(drawn.shape), drawn)
    viewer.page.goto(server.url)
    expect(viewer.page.locator("#labelled")).to_have_text("1")

    # OHIF's own viewer shows the label beside the image, and on it.
    viewer.page.goto(f"{server.url}/ohif/viewer?StudyInstanceUIDs={studies[name]}")
    listed = viewer.page.locator("[data-cy^='study-browser-thumbnail']").filter(has_text="Label of the annotator")
    expect(listed).to_be_visible(timeout=LOAD_MS)
    viewer.agree()
    wait_for("the frame in OHIF", lambda: _pixels(viewer.page, lambda red, blue: (red == blue) & (red > 100)) > 10_000)
    assert _pixels(viewer.page, _is_red) == 0
    listed.dblclick()
    wait_for("the label in OHIF", lambda: _pixels(viewer.page, _is_red) > 1000)
    viewer.page.screenshot(path=pictures / "folder-viewer.png")


def _pixels(page: Page, found: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]) -> int:
    """Pixels of OHIF's pane whose red and blue are such."""
    pane = page.locator("[data-cy=viewport-pane]").bounding_box()
    assert pane
    with Image.open(io.BytesIO(page.screenshot(clip={**pane}))) as picture:
        colours = np.asarray(picture.convert("RGB")).astype(int)
    return int(np.count_nonzero(found(colours[:, :, 0], colours[:, :, 2])))


def _is_red(red: NDArray[Any], blue: NDArray[Any]) -> NDArray[Any]:
    return red - blue > 40
