"""An annotator works on ultrasound in OHIF: a real PACS, a real server and a real browser."""

import re
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from playwright.sync_api import Browser, Route, expect

from browser.study import CLIP, STUDY, serving
from browser.viewer import LOAD_MS, TRAIN_MS, Viewer, new_viewer
from integration.server import APP, Server
from lib.dicom import Pacs, image_series
from lib.settings import Settings
from lib.state import StudyState, file_digest
from pacs import running_orthanc

pytestmark = [pytest.mark.server, pytest.mark.timeout(500)]

STARTING_WEIGHTS = APP / "model" / "pretrained_carotid.pt"
BY_STUDY = {stored.study_uid: stored for stored in STUDY.values()}
DIAMETER_MM = 1.0  # of the brush: its radius is 0.5 mm
EVERY_PIXEL_DRAWN = """() => {
    const label = sequal.shown.label;
    sequal.shown.label = () => ({ ...label(), voxels: label().voxels.map(() => 1) });
}"""


def _images(server: Server) -> dict[str, str]:
    """The image's id of every study."""
    ids = server.client().datastore()["objects"]
    infos = {image: server.request("GET", "/datastore/image/info", params={"image": image}).json() for image in ids}
    return {info["StudyInstanceUID"]: image for image, info in infos.items()}


def _by_default(server: Server) -> list[str]:
    """The images' ids, those that the default strategy asks for first in front."""
    ledger = StudyState.open(server.state, Settings()).ledger
    scores = ledger.scores(file_digest(STARTING_WEIGHTS), Settings().strategy)
    assert len(scores) == len(STUDY)
    return sorted(scores, key=lambda image: -scores[image])


def _readout_of(params: dict[str, object]) -> str:
    """What the bar must show of a reply."""
    imt = params["imt"]
    assert isinstance(imt, dict)
    pld = format(Decimal(f"{params['pld']:.2e}"), "f")
    return f"IMT mean {imt['mean_mm']:.2f} mm, max {imt['max_mm']:.2f} mm\nPLD {pld} · confidence "


def test_an_annotator_works_entirely_in_the_browser(viewer: Viewer, server: Server, pictures: Path) -> None:
    images, asked_for = _images(server), _by_default(server)
    first = next(study for study, image in images.items() if image == asked_for[-1])
    before = server.client().info()["datastore"]["completed"]
    viewer.open_list()
    for study, listed in BY_STUDY.items():
        expect(viewer.part(f"studyRow-{study}")).to_contain_text(listed.name)
    expect(viewer.mode_button(first)).to_be_enabled()
    viewer.picture(pictures / "list.png")

    # Open: one pane, connected by itself, nothing drawn.
    viewer.mode_button(first).click()
    viewer.wait_until_connected()
    assert viewer.study_uid == first
    expect(viewer.page.locator("[data-cy=viewport-pane]")).to_have_count(1)
    expect(viewer.part("sequal-count")).to_have_text(f"{before} of {len(STUDY)} annotated")
    assert viewer.page.locator("[data-cy=sequal-strategy] option").count() == 11
    expect(viewer.part("sequal-strategy")).to_have_value(Settings().strategy)

    # Next sample, by the default strategy: its first image, and the reason stands in the bar.
    second = viewer.next_sample()
    assert images[second] == asked_for[0]
    assert viewer.answer(re.compile("place 1 of")).startswith("This image was chosen: drawn by chance")

    # Auto-segmentation: the mask is on the screen and on both copies of the frame, the thickness in the bar.
    stored = BY_STUDY[second]
    shape = stored.frame.grid[:2]
    assert not viewer.voxels(shape).any()
    bare = viewer.coloured_pixels()
    readout = viewer.run()
    _, params = server.client().infer("carotid", images[second], {})
    assert readout.startswith(f"{_readout_of(params)}{100 * params['confidence']:.0f} %")
    mask = viewer.voxels(shape)
    assert mask.shape == (*shape, 2)
    np.testing.assert_array_equal(mask[:, :, 0], mask[:, :, 1])
    area = int(np.count_nonzero(mask[:, :, 0]))
    assert area > 500
    coloured = viewer.coloured_pixels() - bare
    assert coloured > area, "the frame is shown enlarged, so a mask has more pixels on the screen than in the file"
    viewer.picture(pictures / "mask.png")

    # Brush: what it draws is as high as the brush, above the mask, on one of the copies.
    viewer.stroke("Brush", (0.4, 0.45))
    viewer.page.wait_for_function(f"() => sequal.shown.label().voxels.reduce((a, b) => a + b, 0) > {2 * area}")
    drawn = viewer.voxels(shape) & ~mask
    columns, rows, slices = np.nonzero(drawn)
    assert len(set(slices)) == 1
    assert stored.frame.calibration.spacing_mm
    dx, dy = stored.frame.calibration.spacing_mm
    assert (rows.max() - rows.min() + 1) * dy == pytest.approx(DIAMETER_MM, abs=3 * dy)
    assert (columns.max() - columns.min() + 1) * dx > 2 * DIAMETER_MM
    assert viewer.coloured_pixels() > bare + coloured

    # Eraser, on half of it.
    viewer.stroke("Eraser", (0.4, 0.45), length_px=20)
    viewer.page.wait_for_function(
        f"() => sequal.shown.label().voxels.reduce((a, b) => a + b, 0) < {2 * area + len(rows)}"
    )
    edited = viewer.voxels(shape)
    remaining = int(np.count_nonzero(edited & ~mask))
    assert 0 < remaining < len(rows)
    viewer.picture(pictures / "brush.png")

    # Save: the server counts the image, and has the voxels that the browser has; the edited copy is the label.
    # The stroke lies beside the wall, and the annotator is told so.
    assert viewer.save().startswith("Saved, but look again. ")
    expect(viewer.part("sequal-count")).to_have_text(f"{before + 1} of {len(STUDY)} annotated")
    status = server.client().info()["datastore"]
    assert (status["completed"], status["total"]) == (before + 1, len(STUDY))
    label = server.stored_label(images[second])
    assert label.shape[:2] == shape
    for copy in range(label.shape[2]):
        np.testing.assert_array_equal(label[:, :, copy], edited[:, :, slices[0]])
    viewer.picture(pictures / "saved.png")

    # Update model: the bar tells the progress and the end, the panel counts after connecting again.
    viewer.page.locator("label[for='tab-1']").click()
    viewer.page.get_by_role("button", name="Update Model").click()
    expect(viewer.part("sequal-training")).to_contain_text("Training", timeout=LOAD_MS)
    expect(viewer.part("sequal-training")).to_contain_text("Training ended: the new model is in use", timeout=TRAIN_MS)
    assert server.stats()["round"] == 1
    assert server.published.exists()
    viewer.page.locator(".settingsTable button.actionButton").click()
    expect(viewer.page.locator(f"td[title='{before + 1}/{len(STUDY)} samples annotated']")).to_be_visible(
        timeout=LOAD_MS
    )
    viewer.picture(pictures / "trained.png")

    # The next sample is another one.
    third = viewer.next_sample()
    assert third in BY_STUDY
    assert third not in (first, second)


def test_the_study_list_finds_what_is_searched_for(viewer: Viewer, pictures: Path) -> None:
    viewer.open_list()
    viewer.part("input-mrn").fill("p02")
    found = [stored for stored in STUDY.values() if stored.name.startswith("p02")]
    expect(viewer.page.locator("[data-cy^='studyRow-']")).to_have_count(len(found), timeout=LOAD_MS)
    for stored in found:
        expect(viewer.part(f"studyRow-{stored.study_uid}")).to_be_visible()
    viewer.picture(pictures / "found.png")

    # Beside the image are the studies of its patient, by their names.
    viewer.mode_button(found[0].study_uid).click()
    viewer.wait_until_connected()
    names = viewer.page.get_by_text(re.compile("^p[0-9]+_")).all_inner_texts()
    viewer.picture(pictures / "patient.png")
    assert sorted(set(names)) == sorted(stored.name for stored in found)


def test_a_stroke_on_a_clip_is_stored_on_the_frame_that_is_shown(
    viewer: Viewer, server: Server, tmp_path: Path
) -> None:
    stored = STUDY[CLIP]
    image, shape = _images(server)[stored.study_uid], stored.frame.grid[:2]
    viewer.open_study(stored.study_uid)
    expect(viewer.part("viewport-overlay-bottom-right")).to_contain_text("I:", timeout=LOAD_MS)
    viewer.stroke("Brush", (0.4, 0.5))
    viewer.page.wait_for_function("() => sequal.shown.label().voxels.some(Boolean)")
    drawn = viewer.voxels(shape)
    assert drawn.shape == stored.frame.grid
    shown = viewer.instance_number() - 1

    assert viewer.save() == "Saved."

    file = tmp_path / "volume.nii.gz"
    file.write_bytes(server.request("GET", "/datastore/image", params={"image": image}).content)
    volume = np.asanyarray(nib.load(file).dataobj)
    slices = {index for index in range(3) if np.array_equal(volume[:, :, index], stored.frame.pixels[:, :, shown])}
    assert len(slices) == 1
    label = server.stored_label(image)
    assert {index for index in range(3) if (label[:, :, index] == 1).any()} == slices
    np.testing.assert_array_equal(label[:, :, slices.pop()] == 1, drawn.any(axis=2))

    # The study now holds a segmentation as well, and opens on the clip all the same.
    viewer.open_study(stored.study_uid)
    assert viewer.voxels(shape).shape == stored.frame.grid


def test_a_change_of_panel_keeps_label_and_connection(viewer: Viewer, server: Server) -> None:
    study = list(BY_STUDY)[1]
    viewer.open_study(study)
    viewer.run()
    mask = viewer.voxels(BY_STUDY[study].frame.grid[:2])

    viewer.part("panelSegmentationWithTools-btn").click()
    expect(viewer.part("Brush")).to_be_visible(timeout=LOAD_MS)
    expect(viewer.run_button).to_have_count(0)
    viewer.part("monailabel-btn").click()
    viewer.wait_until_connected()

    np.testing.assert_array_equal(viewer.voxels(BY_STUDY[study].frame.grid[:2]), mask)


def test_a_refusal_is_shown_with_its_reason(viewer: Viewer, server: Server, pictures: Path) -> None:
    study = list(BY_STUDY)[2]
    viewer.open_study(study)
    before = server.client().info()["datastore"]["completed"]

    # Nothing is drawn: the first press asks, so that no frame is said to show no layer by mistake.
    viewer.part("sequal-save").click()
    assert viewer.answer(re.compile("Nothing is drawn")).endswith("that this frame shows no layer.")

    # Every pixel is drawn, as no expert does.
    viewer.page.evaluate(EVERY_PIXEL_DRAWN)
    answer = viewer.save()

    assert answer.startswith("Not saved. The label was not accepted. Expected ")
    assert "thin line" in answer
    assert server.client().info()["datastore"]["completed"] == before
    viewer.picture(pictures / "refused.png")

    # A label that was begun on another image than the one that is open is not sent at all.
    sent: list[str] = []
    viewer.page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    viewer.page.evaluate("() => { sequal.shown.image = () => 'another image' }")
    assert viewer.save().startswith("Not saved. The label was begun on another image")
    assert sent == []


def test_a_server_that_is_gone_loses_no_label(viewer: Viewer) -> None:
    study = list(BY_STUDY)[2]
    viewer.open_study(study)
    viewer.run()
    mask = viewer.voxels(BY_STUDY[study].frame.grid[:2])
    viewer.page.route("**/datastore/label**", lambda route: route.abort())

    answer = viewer.save()

    assert answer.startswith("Not saved. The server does not answer.")
    np.testing.assert_array_equal(viewer.voxels(BY_STUDY[study].frame.grid[:2]), mask)


def test_a_series_of_one_slice_is_named_and_a_pacs_that_is_down_loses_no_label(
    chromium: Browser, tmp_path: Path
) -> None:
    stored, flat = STUDY["p04_f1"], STUDY["p08_f2"]
    with ExitStack() as pacs_life:
        pacs = pacs_life.enter_context(running_orthanc(tmp_path / "pacs"))
        Pacs(pacs).store(image_series(stored.frame, stored.identity))
        Pacs(pacs).store(image_series(flat.frame, flat.identity)[:1])
        with serving(pacs, tmp_path / "server", auto_scoring="false") as server:
            with new_viewer(chromium, server.url) as viewer:
                viewer.open_list()
                viewer.mode_button(flat.study_uid).click()
                viewer.answer(re.compile("OHIF cannot draw on this series"))

                image = _images(server)[stored.study_uid]
                viewer.open_study(stored.study_uid)
                # By hand: no segmentation made the server fetch the image, the opening of it did.
                viewer.stroke("Brush", (0.4, 0.5))
                viewer.page.wait_for_function("() => sequal.shown.label().voxels.some(Boolean)")
                drawn = viewer.voxels(stored.frame.grid[:2]).any(axis=2)
                pacs_life.close()

                answer = viewer.save()

            assert answer.startswith("Saved at the server, which sends it to the PACS later.")
            for copy in range(2):
                np.testing.assert_array_equal(server.stored_label(image)[:, :, copy] == 1, drawn)


def test_leaving_an_unsaved_label_takes_two_presses(viewer: Viewer) -> None:
    study = list(BY_STUDY)[2]
    viewer.open_study(study)
    viewer.run()

    viewer.part("sequal-next").click()

    viewer.answer(re.compile("not saved"))
    assert viewer.study_uid == study
    assert viewer.next_sample() != study


def test_other_internals_bring_up_the_stock_viewer_and_say_so(viewer: Viewer, pictures: Path) -> None:
    def another_version(route: Route) -> None:
        reply = route.fetch()
        changed = reply.text().replace("@ohif/mode-monai-label", "@ohif/mode-of-another-version")
        assert changed != reply.text()
        route.fulfill(response=reply, body=changed)

    viewer.page.route("**/ohif/app-config.js", another_version)
    viewer.open_list()

    expect(viewer.part("sequal-notice")).to_contain_text("this is the stock viewer", timeout=LOAD_MS)
    expect(viewer.mode_button(next(iter(BY_STUDY)))).to_be_disabled()  # as the stock viewer has it for ultrasound
    assert any("SEQUAL: this is the stock viewer" in text for text in viewer.errors)
    viewer.picture(pictures / "notice.png")


def test_the_bridge_can_be_switched_off(pacs: str, chromium: Browser, tmp_path: Path) -> None:
    with serving(pacs, tmp_path, ohif_bridge="false", auto_scoring="false") as server:
        assert "sequal" not in server.request("GET", "/ohif/app-config.js").text
        with new_viewer(chromium, server.url) as viewer:
            viewer.open_list()
            expect(viewer.mode_button(next(iter(BY_STUDY)))).to_be_disabled()
            viewer.page.goto(f"{server.url}/ohif/monai-label?StudyInstanceUIDs={next(iter(BY_STUDY))}")
            expect(viewer.page.locator(".settingsTable")).to_be_visible(timeout=LOAD_MS)
            expect(viewer.page.locator("[data-cy=viewport-pane]")).to_have_count(3, timeout=LOAD_MS)
            assert viewer.bar.count() == 0
            assert viewer.page.evaluate("() => typeof window.sequal") == "undefined"
