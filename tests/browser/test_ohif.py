"""From the study list of OHIF to the page where ultrasound is annotated: a real PACS, server and browser."""

import io
import re
from contextlib import ExitStack
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from playwright.sync_api import Browser, expect

from browser.annotator import LOAD_MS, Annotator, new_annotator
from browser.study import CLIP, STUDY, serving
from browser.viewer import Viewer, new_viewer
from integration.server import Server
from pacs import running_orthanc
from sequal.files.dicom import Pacs, image_series

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

FRAME = "p04_f1"


def _images(server: Server) -> dict[str, str]:
    """Image id of every study."""
    ids = server.client().datastore()["objects"]
    infos = {image: server.request("GET", "/datastore/image/info", params={"image": image}).json() for image in ids}
    return {info["StudyInstanceUID"]: image for image, info in infos.items()}


def test_from_the_study_list_to_a_corrected_label_in_the_pacs(
    viewer: Viewer, server: Server, pacs: str, pictures: Path
) -> None:
    stored = STUDY[FRAME]
    image = _images(server)[stored.study_uid]
    viewer.open_list()
    for listed in STUDY.values():
        expect(viewer.part(f"studyRow-{listed.study_uid}")).to_contain_text(listed.name)
    button = viewer.mode_button(stored.study_uid)
    expect(button).to_be_enabled()
    viewer.page.screenshot(path=pictures / "ohif_list.png")
    viewer.page.evaluate("() => localStorage.setItem('sequal-annotator', 'anna')")
    button.click()

    anna = Annotator(viewer.page, server.url)
    viewer.page.wait_for_url("**/sequal/annotate/**", timeout=LOAD_MS)
    anna.wait(image)
    expect(anna.part("frame-name")).to_have_text(FRAME)
    expect(anna.page.locator("#list li")).to_have_count(len(STUDY))
    anna.wait_for_model()
    mask = anna.mask()
    assert mask.shape == stored.frame.grid, "two identical slices are one frame"
    assert mask.any()
    anna.choose("brush")
    column = int(np.nonzero(mask.any(axis=1))[0].mean())
    row = int(np.flatnonzero(mask[column, :, 0]).max())
    anna.stroke([(column, row), (column + 20, row)])
    edited = anna.mask()
    assert np.count_nonzero(edited) > np.count_nonzero(mask)
    anna.page.screenshot(path=pictures / "ohif_annotate.png")
    anna.save()

    label = server.stored_label(image)
    for copy in range(label.shape[2]):
        np.testing.assert_array_equal(label[:, :, copy], edited[:, :, 0])
    found = DICOMwebClient(pacs).search_for_series(stored.study_uid, search_filters={"Modality": "SEG"})
    assert len(found) == 1

    # Reopened, from the list again.
    anna.open(study=stored.study_uid)
    np.testing.assert_array_equal(anna.mask(), edited)
    expect(anna.part("frame-state")).to_have_text("labelled")


def test_the_study_list_finds_what_is_searched_for(viewer: Viewer) -> None:
    viewer.open_list()
    viewer.part("input-mrn").fill("p02")
    found = [stored for stored in STUDY.values() if stored.name.startswith("p02")]
    expect(viewer.page.locator("[data-cy^='studyRow-']")).to_have_count(len(found), timeout=LOAD_MS)
    for stored in found:
        expect(viewer.part(f"studyRow-{stored.study_uid}")).to_be_visible()


def test_a_stroke_on_a_clip_is_stored_on_the_frame_that_is_shown(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    stored = STUDY[CLIP]
    image = _images(server)[stored.study_uid]
    with new_annotator(chromium, server.url) as anna:
        anna.open(image)
        anna.press("ArrowRight")
        expect(anna.part("film-text")).to_have_text("2 of 3")
        anna.choose("brush")
        anna.stroke([(30, 40), (60, 40)])
        drawn = anna.mask()
        assert drawn.shape == stored.frame.grid
        assert [bool(drawn[:, :, frame].any()) for frame in range(3)] == [False, True, False]
        picture = server.request("GET", "/sequal/picture", params={"image": image, "frame": 1}).content
        anna.save()

    shown = np.asarray(Image.open(io.BytesIO(picture))).T
    np.testing.assert_array_equal(shown, stored.frame.pixels[:, :, 1])
    file = tmp_path / "volume.nii.gz"
    file.write_bytes(server.request("GET", "/datastore/image", params={"image": image}).content)
    volume = np.asanyarray(nib.load(file).dataobj)
    slices = {index for index in range(3) if np.array_equal(volume[:, :, index], shown)}
    assert len(slices) == 1
    label = server.stored_label(image)
    assert {index for index in range(3) if (label[:, :, index] == 1).any()} == slices
    np.testing.assert_array_equal(label[:, :, slices.pop()] == 1, drawn[:, :, 1] == 1)


def test_a_label_is_kept_while_the_pacs_is_down_and_one_slice_is_enough(chromium: Browser, tmp_path: Path) -> None:
    stored, flat = STUDY["p04_f1"], STUDY["p08_f2"]
    with ExitStack() as pacs_life:
        pacs = pacs_life.enter_context(running_orthanc(tmp_path / "pacs"))
        assert Pacs(pacs).store(image_series(stored.frame, stored.identity)) is None
        assert Pacs(pacs).store(image_series(flat.frame, flat.identity)[:1]) is None
        with (
            serving(pacs, tmp_path / "server", auto_scoring="false") as server,
            new_annotator(chromium, server.url) as anna,
        ):
            images = _images(server)
            anna.open(images[flat.study_uid])
            assert anna.mask().shape == flat.frame.grid
            anna.choose("brush")
            anna.stroke([(30, 60), (90, 60)])
            anna.save()
            np.testing.assert_array_equal(
                server.stored_label(images[flat.study_uid]).reshape(flat.frame.grid), anna.mask()
            )

            anna.open(images[stored.study_uid])
            anna.stroke([(30, 60), (90, 60)])
            pacs_life.close()
            anna.part("save").click()
            anna.says(re.compile("^Saved at the server, which sends it to the PACS later."))
            label = server.stored_label(images[stored.study_uid])
            for copy in range(2):
                np.testing.assert_array_equal(label[:, :, copy], anna.mask()[:, :, 0])


def test_the_button_can_be_switched_off(pacs: str, chromium: Browser, tmp_path: Path) -> None:
    study = STUDY[FRAME].study_uid
    with serving(pacs, tmp_path, ohif_bridge="false", auto_scoring="false") as server:
        assert "sequal" not in server.request("GET", "/ohif/app-config.js").text
        with new_viewer(chromium, server.url) as viewer:
            viewer.open_list()
            assert viewer.mode_button(study).count() == 0
            expect(viewer.mode_button(study, "monai-label")).to_be_disabled()  # as the stock viewer has it
