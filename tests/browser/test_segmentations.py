"""OHIF reads the segmentations that the server sends to the PACS."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from browser.study import CLIP, STUDY, serving
from browser.viewer import LOAD_MS, Viewer
from integration.server import Server
from pacs import running_orthanc
from sequal.files.dicom import Pacs, frames_to_slices, image_series

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

FRAME = "p10_f1"
#: Segment by class: the layer, and what was not annotated.
SEGMENTS = {0: 0, 1: 1, 255: 2}
#: Segments of every slice of the segmentation that is open, by the SOPInstanceUID of its image.
SLICES = """() => {
  const { segmentationService } = extensionManager._servicesManager.services;
  const [{ representationData }] = segmentationService.getSegmentations();
  const slices = representationData.Labelmap.imageIds.map((id) => cornerstone.cache.getImage(id));
  const uid = ({ referencedImageId }) => referencedImageId.match(/instances\\/([0-9.]+)\\//)[1];
  return Object.fromEntries(slices.map((one) => [uid(one), Array.from(one.voxelManager.getScalarData())]));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On a PACS of its own, so that each image has one segmentation."""
    folder = tmp_path_factory.mktemp("segmentations")
    with running_orthanc(folder / "pacs") as pacs:
        for stored in (STUDY[FRAME], STUDY[CLIP]):
            assert Pacs(pacs).store(image_series(stored.frame, stored.identity)) is None
        with serving(pacs, folder / "server", auto_scoring="false") as started:
            yield started


@pytest.mark.parametrize("name", [FRAME, CLIP])
def test_a_submitted_label_is_shown_pixel_by_pixel(viewer: Viewer, server: Server, tmp_path: Path, name: str) -> None:
    stored = STUDY[name]
    width, height, frames = stored.frame.grid
    label = np.zeros((width, height, frames), np.uint8)  # by frame
    for frame in range(frames):
        label[20 + 7 * frame : 90, 60 + frame : 68, frame] = 1
    label[100:] = 255
    instances = list(image_series(stored.frame, stored.identity))
    (tmp_path / "label.bin").write_bytes(frames_to_slices(label).ravel(order="F").tobytes())
    reply = server.save_label(instances[0].SeriesInstanceUID, tmp_path / "label.bin")
    assert (reply.status_code, reply.json()["pacs"]) == (200, "stored"), reply.text

    viewer.page.goto(f"{server.url}/ohif/segmentation?StudyInstanceUIDs={stored.study_uid}")
    listed = viewer.page.locator("[data-cy^='study-browser-thumbnail']").filter(has_text="Label of the annotator")
    expect(listed).to_be_visible(timeout=LOAD_MS)
    viewer.agree()
    listed.dblclick()
    viewer.page.get_by_role("button", name="Yes", exact=True).click(timeout=LOAD_MS)
    viewer.page.wait_for_function(
        "() => extensionManager._servicesManager.services.segmentationService.getSegmentations().length"
    )

    shown = viewer.page.evaluate(SLICES)
    assert set(shown) == {instance.SOPInstanceUID for instance in instances}
    for number, instance in enumerate(instances):
        values = np.array(shown[instance.SOPInstanceUID]).reshape((width, height), order="F")
        np.testing.assert_array_equal(values, np.vectorize(SEGMENTS.get)(label[:, :, number if frames > 1 else 0]))
