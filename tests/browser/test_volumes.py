"""A CT series in OHIF's MONAI Label mode, with a real PACS, server of both models, and browser."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, expect

import ct
from browser.viewer import LOAD_MS, Viewer, new_viewer
from integration import ultrasound
from integration.server import Server, running
from pacs import running_orthanc
from sequal.anatomy.models import model_of
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.prediction import checkpoint_payload
from sequal.settings import Settings
from sequal.study.state import save_checkpoint

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

CONF = {"models": "volume", "labels": "left_atrium,lesion_2", "volume_spacing": "3,3,4", "volume_patch": "32,32,32"}
#: The labelmap and the image as OHIF holds them, x fastest.
HELD = """() => {
  const { segmentationService } = window.extensionManager._servicesManager.services;
  const label = segmentationService.getLabelmapVolume("1");
  const { representationData } = segmentationService.getSegmentation("1");
  const image = window.cornerstone.cache.getVolume(representationData.Labelmap.referencedVolumeId);
  const array = (volume) => Array.from(volume.voxelManager.getCompleteScalarDataArray());
  return { shape: label.dimensions, label: array(label), image: array(image) };
}"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, str]]:
    """A server with an untrained model on a PACS with one volume; its series and its study."""
    folder = tmp_path_factory.mktemp("volumes")
    settings = Settings.from_conf(CONF)
    torch.manual_seed(1)
    model = model_of(settings)
    payload = checkpoint_payload(MeanTeacherPair(model.shape), {"settings": settings.record()}, model.name)
    state = folder / "state"
    (state / "volume").mkdir(parents=True)
    save_checkpoint(state / "volume" / "published.pt", payload)
    with running_orthanc(folder / "orthanc") as pacs:
        instances = ct.series(ct.phantom())
        series = ultrasound.store(pacs, *instances)
        with running(pacs, state, auto_scoring="false", **(CONF | {"models": "carotid,volume"})) as server:
            yield server, series, str(instances[0].StudyInstanceUID)


def _held(viewer: Viewer, name: str) -> NDArray[np.float64]:
    found = viewer.page.evaluate(HELD)
    return np.array(found[name], dtype=float).reshape(found["shape"], order="F")


def _connect(viewer: Viewer, study: str) -> None:
    viewer.page.goto(f"{viewer.server}/ohif/monai-label?StudyInstanceUIDs={study}")
    connect = viewer.page.locator(".settingsTable button.actionButton").first
    connect.wait_for(timeout=LOAD_MS)
    expect(viewer.page.locator("[data-cy='viewport-pane'] canvas").first).to_be_visible(timeout=LOAD_MS)
    viewer.agree()
    expect(viewer.page.locator(".settingsTable input").first).to_have_value(f"{viewer.server}/sequal/volume/")
    connect.click()
    expect(viewer.page.locator("button[title='Run Segmentation']").first).to_be_visible(timeout=LOAD_MS)


def test_a_volume_is_segmented_corrected_saved_and_opened_again(
    chromium: Browser, opened: tuple[Server, str, str], pictures: Path
) -> None:
    server, series, study = opened
    with new_viewer(chromium, server.url) as viewer:
        _connect(viewer, study)
        with viewer.page.expect_console_message(lambda message: "updated the segmentation" in message.text):
            viewer.page.locator("button[title='Run Segmentation']").first.click()
        np.testing.assert_array_equal(_held(viewer, "image"), ct.phantom().values)
        mask = _held(viewer, "label")
        assert mask.any()

        viewer.part("panelSegmentationWithTools-btn").click()
        viewer.part("Brush").click()
        pane = viewer.part("viewport-pane").bounding_box()
        assert pane is not None
        x, y = pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2
        viewer.page.mouse.move(x, y)
        viewer.page.mouse.down()
        viewer.page.mouse.move(x + 25, y, steps=4)
        viewer.page.mouse.up()
        viewer.page.wait_for_function(
            f"before => ({HELD})().label.some((value, at) => value !== before[at])", arg=mask.ravel(order="F").tolist()
        )
        corrected = _held(viewer, "label")
        viewer.part("sequal-save").click()
        expect(viewer.part("sequal-message")).to_have_text("Saved. ", timeout=LOAD_MS)
        viewer.page.screenshot(path=pictures / "ohif_volume.png")
    np.testing.assert_array_equal(server.stored_label(series), corrected)

    with new_viewer(chromium, server.url) as viewer:
        _connect(viewer, study)
        viewer.part("sequal-open").click()
        expect(viewer.part("sequal-message")).to_have_text("This is the stored label.", timeout=LOAD_MS)
        np.testing.assert_array_equal(_held(viewer, "label"), corrected)
