"""An annotator works on a folder in OHIF, without a PACS: a real server and a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from playwright.sync_api import Browser, expect

from browser.study import NAMES
from browser.viewer import LOAD_MS, Viewer, new_viewer
from integration.server import REPOSITORY, Server, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(500)]

PICTURE = "a picture"


@pytest.fixture(scope="module")
def folder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server on two NIfTI frames and a picture without calibration."""
    folder = tmp_path_factory.mktemp("folder")
    studies = folder / "study"
    studies.mkdir()
    for name in NAMES[:2]:
        shutil.copy(REPOSITORY / "sample-data" / f"{name}.nii.gz", studies)
    pixels = np.asanyarray(nib.load(REPOSITORY / "sample-data" / f"{NAMES[2]}.nii.gz").dataobj)
    Image.fromarray(pixels.reshape(pixels.shape[:2]).astype(np.uint8).T).save(studies / f"{PICTURE}.png")
    with running(studies, folder / "state", auto_scoring="false") as started:
        yield started


@pytest.fixture
def at_folder(chromium: Browser, folder_server: Server) -> Iterator[Viewer]:
    with new_viewer(chromium, folder_server.url) as opened:
        yield opened


def _studies(server: Server) -> dict[str, str]:
    """StudyInstanceUID by image."""
    found = DICOMwebClient(f"{server.url}/sequal/dicom-web").search_for_studies()
    return {study["00081030"]["Value"][0]: study["0020000D"]["Value"][0] for study in found}


def test_a_frame_of_a_folder_is_segmented_corrected_and_saved(
    at_folder: Viewer, folder_server: Server, pictures: Path
) -> None:
    viewer, server, studies = at_folder, folder_server, _studies(folder_server)
    viewer.page.goto(server.url)
    expect(viewer.page.locator("#images")).to_have_text("3")
    expect(viewer.page.locator("#labelled")).to_have_text("0")
    viewer.picture(pictures / "start.png")
    viewer.page.get_by_role("link", name="Open the viewer").click()
    for name, study in studies.items():
        expect(viewer.part(f"studyRow-{study}")).to_contain_text(name, timeout=LOAD_MS)
    viewer.agree()
    viewer.picture(pictures / "folder-list.png")

    name = NAMES[0]
    viewer.mode_button(studies[name]).click()
    viewer.wait_until_connected()
    assert re.search(r"IMT mean 0\.\d+ mm", viewer.run())
    stored = nib.load(server.studies / f"{name}.nii.gz")
    shape = stored.shape[:2]
    mask = viewer.voxels(shape)
    assert mask.any()
    np.testing.assert_array_equal(mask[:, :, 0], mask[:, :, 1])

    viewer.stroke("Brush", (0.4, 0.45))
    viewer.page.wait_for_function(f"() => sequal.shown.label().voxels.reduce((a, b) => a + b, 0) > {int(mask.sum())}")
    edited = viewer.voxels(shape)
    assert viewer.save().startswith("Saved")
    viewer.picture(pictures / "folder-saved.png")
    changed = next(index for index in range(2) if (edited[:, :, index] != mask[:, :, index]).any())
    label = np.asanyarray(nib.load(server.studies / "labels" / "final" / f"{name}.nii.gz").dataobj)
    assert label.shape == stored.shape
    np.testing.assert_array_equal(label.reshape(shape), edited[:, :, changed])

    # The next frame is another one, and the start page counts the label.
    assert viewer.next_sample() in set(studies.values()) - {studies[name]}
    viewer.page.goto(server.url)
    expect(viewer.page.locator("#labelled")).to_have_text("1")


def test_a_labelled_frame_opens_beside_its_segmentation(
    at_folder: Viewer, folder_server: Server, pictures: Path
) -> None:
    name = NAMES[1]
    pixels = nib.load(folder_server.studies / f"{name}.nii.gz")
    drawn = np.zeros(pixels.shape, np.uint8)
    drawn[40:-40, 100:112] = 1
    nib.save(nib.Nifti1Image(drawn, pixels.affine), folder_server.state / "label.nii.gz")
    assert folder_server.save_label(name, folder_server.state / "label.nii.gz").status_code == 200

    at_folder.open_study(_studies(folder_server)[name])
    assert at_folder.voxels(pixels.shape[:2]).shape == (*pixels.shape[:2], 2)
    at_folder.picture(pictures / "folder-labelled.png")


def test_a_picture_without_calibration_is_measured_in_pixels(
    at_folder: Viewer, folder_server: Server, pictures: Path
) -> None:
    at_folder.open_study(_studies(folder_server)[PICTURE])
    readout = at_folder.run()
    at_folder.picture(pictures / "folder-picture.png")
    assert " px" in readout
    assert " mm" not in readout
