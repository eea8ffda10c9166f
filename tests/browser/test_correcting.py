"""An annotator corrects masks in a browser, on a study that is a folder: nothing but the server is there."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Route, expect
from typer.testing import CliRunner

from browser.annotator import PATH, Annotator, new_annotator
from cli import app
from integration.server import REPOSITORY, Server, running

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SAMPLE = REPOSITORY / "sample-data"
FRAMES = (
    "p01_f1",
    "p02_f1",
    "p02_f2",
    "p04_f1",
    "p04_f2",
    "p06_f1",
    "p08_f1",
    "p08_f2",
    "p10_f1",
    "p12_f1",
    "p14_f1",
    "p05_f2",
    "p05_f3",
)
ROWS = slice(60, 72)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a few sample frames, a clip, and a picture without a scale."""
    folder = tmp_path_factory.mktemp("folder")
    study = folder / "study"
    study.mkdir()
    for name in FRAMES:
        shutil.copy(SAMPLE / f"{name}.nii.gz", study)
    frames = [np.asanyarray(nib.load(SAMPLE / f"p16_f{number}.nii.gz").dataobj) for number in (1, 2, 3)]
    width, height = (min(frame.shape[axis] for frame in frames) for axis in (0, 1))
    clip = np.concatenate([frame[:width, :height].reshape(width, height, 1) for frame in frames], axis=2)
    nib.save(nib.Nifti1Image(clip, nib.load(SAMPLE / "p16_f1.nii.gz").affine), study / "p16_clip.nii.gz")
    Image.fromarray(np.asanyarray(nib.load(SAMPLE / "p03_f1.nii.gz").dataobj).squeeze().T.astype(np.uint8)).save(
        study / "bare.png"
    )
    with running(study, folder / "state", auto_scoring="false") as started:
        yield started


@pytest.fixture
def anna(chromium: Browser, server: Server) -> Iterator[Annotator]:
    with new_annotator(chromium, server.url) as annotator:
        yield annotator


def _grid(server: Server, image: str) -> tuple[int, int, int]:
    found = server.request("GET", "/sequal/frame", params={"image": image}).json()
    return found["width"], found["height"], found["frames"]


def _band(server: Server, image: str, rows: slice = ROWS, columns: slice = slice(None)) -> NDArray[np.uint8]:
    label = np.zeros(_grid(server, image), np.uint8)
    label[columns, rows] = 1
    return label


def _label(server: Server, tmp_path: Path, image: str, label: NDArray[np.uint8], client_id: str = "") -> None:
    file = tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(label, np.eye(4)), file)
    with file.open("rb") as sent:
        reply = server.request(
            "PUT",
            "/datastore/label",
            params={"image": image},
            files={"label": (file.name, sent)},
            data={"params": json.dumps({"client_id": client_id} if client_id else {})},
        )
    assert reply.status_code == 200, reply.text


def _state(server: Server, image: str) -> dict[str, object]:
    frames = server.request("GET", "/sequal/frames", params={"search": image}).json()["frames"]
    return next(frame for frame in frames if frame["image"] == image)


def _stored(server: Server, image: str) -> NDArray[np.uint8]:
    return server.stored_label(image).reshape(_grid(server, image))


def test_a_labelled_frame_opens_with_its_label_and_saving_replaces_it(
    anna: Annotator, server: Server, tmp_path: Path, pictures: Path
) -> None:
    _label(server, tmp_path, "p01_f1", _band(server, "p01_f1"))
    anna.open("p01_f1")
    np.testing.assert_array_equal(anna.mask(), _band(server, "p01_f1"))
    expect(anna.part("frame-state")).to_have_text("labelled")

    anna.choose("brush")
    anna.stroke([(40, 74), (90, 74)])
    edited = anna.mask()
    assert np.count_nonzero(edited) > np.count_nonzero(_band(server, "p01_f1"))
    expect(anna.part("frame-state")).to_have_text("not saved")
    anna.page.screenshot(path=pictures / "reopened.png")
    anna.save()

    np.testing.assert_array_equal(_stored(server, "p01_f1"), edited)
    assert _state(server, "p01_f1")["by"] == "anna"
    row = anna.page.locator("#list li[data-image=p01_f1]")
    expect(row.locator(".chip")).to_have_text("labelled")
    expect(row.locator(".by")).to_contain_text("by anna")


def test_what_nobody_annotated_stays_so_except_where_it_is_drawn(
    anna: Annotator, server: Server, tmp_path: Path
) -> None:
    sparse = np.full(_grid(server, "p12_f1"), 255, np.uint8)
    sparse[30:80] = 0
    sparse[30:80, ROWS] = 1
    _label(server, tmp_path, "p12_f1", sparse)
    anna.open("p12_f1")
    np.testing.assert_array_equal(anna.mask(), sparse)
    anna.choose("brush")
    anna.stroke([(70, 66), (95, 66)])
    drawn = np.unique(np.nonzero(anna.mask() != sparse)[0])
    assert drawn.min() >= 60, "columns that were annotated before stay as they were, but for the brush"
    assert not (anna.mask()[drawn] == 255).any(), "a column in which something was drawn is annotated"
    untouched = np.setdiff1d(np.arange(sparse.shape[0]), drawn)
    np.testing.assert_array_equal(anna.mask()[untouched], sparse[untouched])
    anna.save()
    np.testing.assert_array_equal(_stored(server, "p12_f1"), anna.mask())


def test_undo_and_redo_go_through_strokes_runs_and_curves(anna: Annotator, pictures: Path) -> None:
    anna.open("p02_f1")
    states = [anna.mask()]
    anna.choose("brush")
    anna.stroke([(30, 40), (60, 40)])
    states.append(anna.mask())
    anna.part("run").click()
    anna.wait_for_model()
    states.append(anna.mask())
    column = int(np.nonzero(states[-1].any(axis=1))[0].mean())
    row = int(np.nonzero(states[-1][column, :, 0])[0].min())
    anna.choose("curves")
    anna.stroke([(column, row - 0.5), (column, row - 4.5)])
    states.append(anna.mask())
    anna.thickness()
    anna.page.screenshot(path=pictures / "dragged.png")
    anna.choose("eraser")
    anna.stroke([(column, row), (column + 20, row)])
    states.append(anna.mask())
    assert len({state.tobytes() for state in states}) == 5

    for state in states[-2::-1]:
        anna.press("Control+z")
        np.testing.assert_array_equal(anna.mask(), state)
    expect(anna.part("undo")).to_be_disabled()
    expect(anna.part("frame-state")).to_have_text("open")
    for state in states[1:3]:
        anna.press("Control+Shift+Z")
        np.testing.assert_array_equal(anna.mask(), state)
    for state in states[3:]:
        anna.part("redo").click()
        np.testing.assert_array_equal(anna.mask(), state)
    anna.part("undo").click()
    np.testing.assert_array_equal(anna.mask(), states[-2])
    anna.choose("brush")
    anna.stroke([(10, 20), (20, 20)])
    expect(anna.part("redo")).to_be_disabled()


def test_nobody_leaves_unsaved_work_without_a_question(anna: Annotator, server: Server) -> None:
    anna.open("p02_f2")
    anna.stroke([(30, 40), (60, 40)])
    drawn = anna.mask()

    anna.page.locator("#list li[data-image=p04_f1]").click()
    anna.answer("stay")
    assert anna.image == "p02_f2"
    np.testing.assert_array_equal(anna.mask(), drawn)

    asked: list[str] = []
    anna.page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    anna.part("home").click(no_wait_after=True)
    anna.page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert anna.image == "p02_f2"

    anna.page.locator("#list li[data-image=p04_f1]").click()
    anna.answer("leave")
    anna.wait("p04_f1")
    assert not anna.mask().any()
    anna.page.locator("#list li[data-image=p02_f2]").click()
    anna.wait("p02_f2")
    np.testing.assert_array_equal(anna.mask(), drawn)
    anna.page.locator("#list li[data-image=p04_f1]").click()
    anna.answer("save")
    anna.wait("p04_f1")
    np.testing.assert_array_equal(_stored(server, "p02_f2"), drawn)


@pytest.mark.parametrize(("image", "unit"), [("p04_f1", "mm"), ("bare", "px")])
def test_a_fast_stroke_has_no_gap_and_the_size_of_the_brush(anna: Annotator, image: str, unit: str) -> None:
    anna.open(image)
    anna.choose("brush")
    expect(anna.part("size-text")).to_contain_text(unit)
    anna.part("size").fill("0")
    anna.stroke([(20, 30), (110, 75)], steps=1)  # one movement across the frame
    columns = anna.mask()[:, :, 0].any(axis=1)
    assert columns[20:111].all(), "the thinnest brush leaves no gap"

    anna.press("Control+z")
    anna.part("size").fill("8")
    for _ in range(2):
        anna.press("]")
    for _ in range(3):
        anna.press("[")
    radius = float(anna.part("size-text").inner_text().split()[0])
    anna.stroke([(20, 40), (110, 40)], steps=1)
    _, dy = anna.page.evaluate("() => sequal.work.info.spacing_mm") or (1.0, 1.0)
    height = anna.mask()[:, :, 0].sum(axis=1)[30:100]
    np.testing.assert_allclose(height * dy, 2 * radius, atol=1.01 * dy)

    # The tool and its size stay for the next frame.
    anna.choose("eraser")
    anna.part("size").fill("10")
    anna.page.locator("#list li[data-image=p08_f1]").click()
    anna.answer("leave")
    anna.wait("p08_f1")
    expect(anna.page.locator("[data-tool=eraser]")).to_have_class("chosen")
    expect(anna.part("size")).to_have_value("10")


def test_a_curve_that_is_dragged_by_five_pixels_takes_the_label_along(
    anna: Annotator, server: Server, tmp_path: Path, pictures: Path
) -> None:
    before = _band(server, "p04_f2", slice(60, 80))
    _label(server, tmp_path, "p04_f2", before)
    anna.open("p04_f2")
    anna.choose("curves")
    column = 60
    anna.stroke([(column, 59.5), (column, 64.5)])

    reach = anna.page.evaluate("() => sequal.tools.size / sequal.work.info.spacing_mm[0]")
    distance = np.abs(np.arange(before.shape[0]) - column)
    share = np.where(distance < reach, 0.5 * (1 + np.cos(np.pi * distance / reach)), 0.0)
    expected = before.copy()
    for place, depth in enumerate(59.5 + 5 * share):
        expected[place, 60 : int(np.ceil(depth)), 0] = 0
    np.testing.assert_array_equal(anna.mask(), expected)
    assert expected[column, :, 0].argmax() == 65
    anna.page.screenshot(path=pictures / "curve.png")

    # MA, with Shift: the whole line.
    anna.page.keyboard.down("Shift")
    anna.stroke([(column, 79.5), (column, 84.5)])
    anna.page.keyboard.up("Shift")
    expected[:, 80:85] = 1
    np.testing.assert_array_equal(anna.mask(), expected)
    anna.save()
    np.testing.assert_array_equal(_stored(server, "p04_f2"), expected)


def test_li_and_ma_are_drawn_by_clicks_on_an_empty_frame(anna: Annotator, server: Server, pictures: Path) -> None:
    anna.open("p06_f1")
    width = _grid(server, "p06_f1")[0]
    anna.press("l")
    for column in (10, width // 2, width - 10):
        anna.click(column, 49.5)
    anna.click(width // 3, 20)
    anna.press("Control+z")  # the last click
    anna.press("Enter")
    for column in (20, width - 20):
        anna.click(column, 61.5)
    anna.page.screenshot(path=pictures / "lines.png")
    assert not anna.mask().any(), "until the second line is done"
    anna.press("Enter")
    drawn = anna.mask()[:, :, 0]
    assert drawn[25 : width - 25].any(axis=1).all()
    assert not drawn[:18].any()
    assert not drawn[width - 18 :].any()
    for column in (30, width // 2, width - 30):
        rows = np.flatnonzero(drawn[column])
        assert (abs(rows.min() - 50) <= 1, abs(rows.max() - 61) <= 1) == (True, True)
    anna.press("Control+z")
    assert not anna.mask().any(), "the two lines are one step"


def test_a_second_piece_in_a_column_is_red_before_it_is_saved(
    anna: Annotator, server: Server, tmp_path: Path, pictures: Path
) -> None:
    band = _band(server, "p08_f1")
    _label(server, tmp_path, "p08_f1", band)
    anna.open("p08_f1")
    assert anna.red_pixels() == 0
    expect(anna.part("tidy")).to_be_hidden()
    anna.choose("brush")
    anna.part("size").fill("6")
    anna.stroke([(40, 25), (80, 25)])
    expect(anna.part("tidy")).to_be_visible()
    anna.page.mouse.move(5, 5)
    assert anna.red_pixels() > 1000
    anna.page.screenshot(path=pictures / "second_piece.png")
    expect(anna.part("mine-words")).to_contain_text("Only its longest piece is measured", timeout=10_000)
    anna.part("tidy").click()
    np.testing.assert_array_equal(anna.mask(), band)
    expect(anna.part("tidy")).to_be_hidden()


def test_no_wall_and_skip_are_said_with_a_reason_and_taken_back(
    anna: Annotator, server: Server, pictures: Path
) -> None:
    anna.open("p08_f2")
    anna.press("w")
    anna.page.screenshot(path=pictures / "no_wall.png")
    anna.answer("yes", "a vein")
    anna.wait_for_another("p08_f2")
    said = _state(server, "p08_f2")
    assert (said["state"], said["by"], said["why"]) == ("no wall", "anna", "a vein")
    assert not _stored(server, "p08_f2").any()
    expect(anna.part("labels-text")).to_contain_text("1 without a wall")

    anna.part("take-back").click()
    anna.wait("p08_f2")
    expect(anna.part("labels-text")).not_to_contain_text("without a wall")
    assert _state(server, "p08_f2")["state"] == "open"

    anna.part("skip").click()
    anna.answer("no")
    assert anna.image == "p08_f2"
    anna.press("k")
    anna.answer("yes", "shadow")
    anna.wait_for_another("p08_f2")
    said = _state(server, "p08_f2")
    assert (said["state"], said["by"], said["why"]) == ("skipped", "anna", "shadow")

    # Later, from the list.
    anna.page.locator("#list li[data-image=p08_f2]").click()
    anna.wait("p08_f2")
    anna.part("take-back").click()
    anna.says(re.compile("p08_f2 is open again"))
    assert _state(server, "p08_f2")["state"] == "open"


def test_nothing_drawn_is_not_saved_by_mistake(anna: Annotator, server: Server) -> None:
    anna.open("p08_f2")
    anna.press("Enter")
    anna.says(re.compile("Nothing is drawn. Press W"))
    assert (anna.image, _state(server, "p08_f2")["state"]) == ("p08_f2", "open")


def test_the_thickness_is_that_of_what_is_drawn_now_and_of_the_command_line(
    anna: Annotator, server: Server, tmp_path: Path
) -> None:
    anna.open("p10_f1")
    anna.press("r")
    model = anna.thickness("model")
    assert anna.thickness() == model, "one mask has one thickness"
    anna.choose("brush")
    anna.part("size").fill("5")
    columns = np.flatnonzero(anna.mask()[:, :, 0].any(axis=1))
    low = [int(np.flatnonzero(anna.mask()[column, :, 0]).max()) for column in columns[10:60:10]]
    anna.stroke([(float(column), row + 2.0) for column, row in zip(columns[10:60:10], low, strict=True)])
    mine = anna.thickness()
    assert mine[0] > model[0]
    assert anna.thickness("model") == model
    anna.save()

    out = tmp_path / "out"
    labels = Path(server.studies) / "labels" / "final"
    arguments = ["measure", str(server.studies), "--labels", str(labels), "--out", str(out), "--no-overlays"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    with (out / "frames.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["image"] == "p10_f1")
    assert mine == (round(float(row["imt_mean_mm"]), 2), round(float(row["imt_max_mm"]), 2), "mm")

    # Never another frame's.
    anna.page.locator("#list li[data-image=p14_f1]").click()
    anna.wait("p14_f1")
    expect(anna.part("mine-words")).to_have_text("Nothing is drawn.")
    assert [anna.part(name).inner_text() for name in ("mine-mean", "model-mean")] == ["–", ""]


def test_the_buttons_stay_where_they_are_when_the_figures_come(anna: Annotator) -> None:
    """A click on one that moves meets another, or none."""
    anna.open("p06_f1")
    before = anna.part("save").bounding_box()
    anna.choose("brush")
    anna.stroke([(30, 50), (80, 50)])
    anna.thickness()
    expect(anna.part("mine-words")).not_to_be_empty()
    after = anna.part("save").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2


def test_the_picture_keeps_its_size_whatever_tool_is_chosen(anna: Annotator, pictures: Path) -> None:
    anna.page.set_viewport_size({"width": 1280, "height": 720})
    anna.open("p06_f1")
    found = []
    for tool in ("brush", "eraser", "curves", "lines"):
        anna.choose(tool)
        found.append([anna.part(name).bounding_box() for name in ("stage", "undo")])
        anna.page.screenshot(path=pictures / f"small_{tool}.png")
    assert all(boxes == found[0] for boxes in found)


def test_brightness_lifts_the_dark_and_does_not_burn_out_the_bright(anna: Annotator) -> None:
    anna.open("p06_f1")
    before = anna.colours()[..., 0]
    anna.part("bright").fill("200")  # a gamma of 2
    anna.page.wait_for_function("() => sequal.view.light === 2 && !sequal.view.isDue")
    after = anna.colours()[..., 0]
    # Scaling to the screen mixes neighbours: where a patch is even, a grey value follows the curve.
    for grey in (20, 80, 200):
        assert np.median(after[abs(before - grey) <= 1]) == pytest.approx(255 * (grey / 255) ** 0.5, abs=12)
    anna.part("bright").fill("100")
    anna.page.wait_for_function("() => sequal.view.light === 1 && !sequal.view.isDue")
    np.testing.assert_array_equal(anna.colours()[..., 0], before)


def test_the_list_of_keys_is_read_from_its_first_line(anna: Annotator) -> None:
    anna.page.set_viewport_size({"width": 1280, "height": 500})
    anna.open("p06_f1")
    anna.press("?")
    expect(anna.part("dialog").get_by_text("Save and next")).to_be_in_viewport()


def test_the_open_frame_is_in_sight_in_the_list(anna: Annotator) -> None:
    anna.page.set_viewport_size({"width": 1280, "height": 400})
    anna.open("p16_clip")
    expect(anna.page.locator("#list li[data-image=p16_clip]")).to_be_in_viewport()
    expect(anna.page.locator("#list li[data-image=bare]")).not_to_be_in_viewport()


def test_without_a_scale_the_thickness_is_in_pixels_and_in_words(anna: Annotator) -> None:
    anna.open("bare")
    anna.choose("brush")
    anna.part("size").fill("6")
    anna.stroke([(20, 40), (110, 40)])
    assert anna.thickness()[2] == "px"
    expect(anna.part("mine-words")).to_contain_text("no scale")


def test_the_wheel_zooms_and_the_stroke_stays_in_sight(anna: Annotator) -> None:
    anna.open("p14_f1")
    expect(anna.part("film")).to_be_hidden()
    anna.choose("brush")
    anna.stroke([(40, 40), (60, 40)])
    drawn, zoom = anna.mask(), anna.page.evaluate("() => sequal.view.zoom")
    anna.page.mouse.move(*anna.at(50, 40))
    anna.page.mouse.wheel(0, -400)
    anna.page.wait_for_function("(zoom) => sequal.view.zoom > 1.5 * zoom", arg=zoom)
    np.testing.assert_array_equal(anna.mask(), drawn)
    anna.stroke([(50, 45), (55, 45)])
    assert anna.mask()[52, 45, 0] == 1, "what is drawn lies under the pointer at any zoom"
    anna.press("Control+z")
    anna.press("0")
    assert anna.page.evaluate("() => sequal.view.zoom") == pytest.approx(zoom)


def test_a_clip_is_turned_frame_by_frame_and_drawn_on_the_one_that_is_shown(anna: Annotator, server: Server) -> None:
    anna.open("p16_clip")
    expect(anna.part("film")).to_be_visible()
    anna.press("ArrowRight")
    expect(anna.part("film-text")).to_have_text("2 of 3")
    anna.choose("brush")
    anna.stroke([(30, 40), (60, 40)])
    drawn = anna.mask()
    assert [bool(drawn[:, :, frame].any()) for frame in range(3)] == [False, True, False]
    anna.press("ArrowLeft")
    anna.save()
    np.testing.assert_array_equal(_stored(server, "p16_clip"), drawn)


def test_unsaved_work_is_there_again_after_a_reload(anna: Annotator, server: Server) -> None:
    anna.open("p14_f1")
    anna.choose("brush")
    anna.stroke([(30, 50), (80, 50)])
    drawn = anna.mask()
    anna.page.wait_for_function("() => sequal.kept")
    anna.page.evaluate("() => sequal.kept")
    anna.page.on("dialog", lambda dialog: dialog.accept())
    anna.page.reload()
    anna.wait("p14_f1")
    np.testing.assert_array_equal(anna.mask(), drawn)
    anna.says(re.compile("drawing of last time is here again"))
    expect(anna.part("frame-state")).to_have_text("not saved")
    anna.save()
    np.testing.assert_array_equal(_stored(server, "p14_f1"), drawn)
    anna.page.reload()
    anna.wait("p14_f1")
    expect(anna.part("frame-state")).to_have_text("labelled")


def _reload(annotator: Annotator, image: str) -> None:
    annotator.page.wait_for_function("() => sequal.kept")
    annotator.page.evaluate("() => sequal.kept")
    annotator.page.once("dialog", lambda dialog: dialog.accept())
    annotator.page.reload()
    annotator.page.wait_for_function("(image) => window.sequal?.work?.info.image === image", arg=image)


@pytest.mark.parametrize("choice", ["mine", "theirs", None])
def test_a_drawing_does_not_win_over_a_label_that_was_saved_since(
    anna: Annotator, server: Server, tmp_path: Path, pictures: Path, choice: str | None
) -> None:
    image = "p14_f1"
    _label(server, tmp_path, image, _band(server, image), client_id="anna")
    anna.open(image)
    anna.choose("brush")
    anna.stroke([(30, 40), (80, 40)])
    drawn, theirs = anna.mask(), _band(server, image, slice(80, 92))
    anna.page.evaluate("() => sequal.kept")
    _label(server, tmp_path, image, theirs, client_id="ben")
    _reload(anna, image)

    dialog = anna.part("dialog")
    expect(dialog).to_contain_text(re.compile("Your drawing of .+ is older than the label that ben saved at .+"))
    expect(dialog.locator("figcaption")).to_contain_text(["Your drawing", "Saved by ben"])
    mine, other = (
        canvas.evaluate("(canvas) => canvas.toDataURL()") for canvas in dialog.locator("canvas").element_handles()
    )
    assert mine != other
    anna.page.screenshot(path=pictures / f"two_labels_{choice}.png")
    np.testing.assert_array_equal(_stored(server, image), theirs)
    if choice is None:
        anna.press("Escape")
    else:
        anna.answer(choice)
    anna.wait(image)
    if choice == "theirs":
        np.testing.assert_array_equal(anna.mask(), theirs)
        expect(anna.part("frame-state")).to_have_text("labelled")
        anna.press("Control+z")
    np.testing.assert_array_equal(anna.mask(), drawn)
    expect(anna.part("frame-state")).to_have_text("not saved")
    anna.page.evaluate("() => sequal.kept")
    if choice == "mine":
        anna.save()
        np.testing.assert_array_equal(_stored(server, image), drawn)
    elif choice == "theirs":
        anna.press("Control+Shift+Z")
        _reload(anna, image)
        anna.wait(image)
        np.testing.assert_array_equal(anna.mask(), theirs)
    else:  # it is asked again
        anna.part("save").click()
        anna.answer("theirs")
        np.testing.assert_array_equal(_stored(server, image), theirs)
        np.testing.assert_array_equal(anna.mask(), theirs)
        measured = server.request("GET", "/sequal/measurement", params={"image": image, "of": "label"}).json()["imt"]
        assert anna.thickness()[0] == round(measured["mean_mm"], 2)


def test_a_label_that_waited_does_not_take_the_place_of_a_colleagues(
    anna: Annotator, server: Server, tmp_path: Path
) -> None:
    image = "p08_f1"
    _label(server, tmp_path, image, _band(server, image), client_id="anna")
    anna.open(image)
    anna.choose("eraser")
    anna.part("size").fill("8")
    anna.stroke([(20, 66), (40, 66)])
    drawn, theirs = anna.mask(), _band(server, image, slice(80, 92))
    anna.page.context.set_offline(True)
    anna.part("save").click()
    anna.says(re.compile("Kept in this browser"))
    _label(server, tmp_path, image, theirs, client_id="ben")
    anna.page.context.set_offline(False)
    anna.says(re.compile("p08_f1: not saved. ben saved a label at .+ Open the frame to choose"))
    expect(anna.part("waiting")).to_be_empty()
    expect(anna.part("frame-state")).to_have_text("not saved")
    np.testing.assert_array_equal(_stored(server, image), theirs)
    np.testing.assert_array_equal(anna.mask(), drawn)
    anna.part("save").click()
    anna.answer("mine")
    anna.says(re.compile("^Saved"))
    np.testing.assert_array_equal(_stored(server, image), drawn)


def test_lines_that_are_not_done_are_there_again_after_a_reload(anna: Annotator) -> None:
    anna.open("p06_f1")
    anna.press("l")
    for column in (20, 60, 100):
        anna.click(column, 50)
    anna.press("Control+z")
    anna.press("Control+Shift+Z")
    anna.press("Enter")
    anna.click(20, 62)
    anna.press("b")
    anna.press("l")  # one point is no line: given up
    assert not anna.page.evaluate("() => sequal.work.lines")
    for column in (20, 60, 100):
        anna.click(column, 50)
    anna.press("Enter")
    anna.click(20, 62)
    expect(anna.part("frame-state")).to_have_text("not saved")
    _reload(anna, "p06_f1")
    anna.wait("p06_f1")
    anna.says(re.compile("drawing of last time is here again"))
    expect(anna.part("hint")).to_contain_text("Click along MA")
    anna.click(100, 62)
    anna.press("Enter")
    drawn = anna.mask()[:, :, 0]
    assert drawn[22:99, 51:61].all()
    assert not drawn[:19].any()
    anna.press("Control+z")
    assert not anna.mask().any()


def test_the_picture_is_zoomed_and_moved_by_keys(anna: Annotator) -> None:
    anna.open("p02_f1")
    zoom, middle = anna.page.evaluate("() => sequal.view.zoom"), anna.at(50, 40)
    anna.press("+")
    anna.press("+")
    assert anna.page.evaluate("() => sequal.view.zoom") == pytest.approx(zoom * 1.25**2)
    before = anna.at(50, 40)
    for key, axis, sign in (("ArrowLeft", 0, 1), ("ArrowRight", 0, -1), ("ArrowUp", 1, 1), ("ArrowDown", 1, -1)):
        anna.press(f"Shift+{key}")
        after = anna.at(50, 40)
        assert sign * (after[axis] - before[axis]) > 20
        assert after[1 - axis] == pytest.approx(before[1 - axis])
        before = after
    anna.press("-")
    anna.press("-")
    assert anna.page.evaluate("() => sequal.view.zoom") == pytest.approx(zoom)
    anna.press("0")
    assert anna.at(50, 40) == pytest.approx(middle)


def test_a_colleague_at_the_same_computer_does_not_get_the_drawing(anna: Annotator) -> None:
    anna.open("p02_f2")
    before = anna.mask()
    anna.choose("brush")
    anna.stroke([(30, 50), (80, 50)])
    drawn = anna.mask()
    anna.page.wait_for_function("() => sequal.kept")
    anna.page.evaluate("() => sequal.kept")
    anna.page.on("dialog", lambda dialog: dialog.accept())
    for name, expected in (("ben", before), ("anna", drawn)):
        anna.page.evaluate(f"() => localStorage.setItem('sequal-annotator', '{name}')")
        anna.page.reload()
        anna.wait("p02_f2")
        np.testing.assert_array_equal(anna.mask(), expected)
    anna.press("Control+z")


def test_a_label_saved_without_a_connection_is_sent_when_it_is_back(
    anna: Annotator, server: Server, tmp_path: Path
) -> None:
    _label(server, tmp_path, "p08_f1", _band(server, "p08_f1"))
    anna.open("p08_f1")
    anna.choose("eraser")
    anna.part("size").fill("8")
    anna.stroke([(20, 66), (40, 66)])
    drawn = anna.mask()
    anna.page.context.set_offline(True)
    anna.part("save").click()
    anna.says(re.compile("Kept in this browser"))
    expect(anna.part("waiting")).to_contain_text("1 not sent yet")
    expect(anna.part("frame-state")).to_have_text("not sent yet")
    assert not np.array_equal(_stored(server, "p08_f1"), drawn)

    anna.page.context.set_offline(False)
    expect(anna.part("waiting")).to_be_empty(timeout=15_000)
    anna.says("The server answers again. Saved: p08_f1.")
    expect(anna.part("frame-state")).to_have_text("labelled")
    np.testing.assert_array_equal(_stored(server, "p08_f1"), drawn)
    assert anna.thickness()[2] == "mm"


def test_a_label_on_its_way_does_not_land_on_a_newer_one(anna: Annotator, server: Server, tmp_path: Path) -> None:
    _label(server, tmp_path, "p08_f1", _band(server, "p08_f1"))
    anna.open("p08_f1")
    anna.choose("eraser")
    anna.part("size").fill("8")
    anna.stroke([(20, 66), (40, 66)])
    anna.page.context.set_offline(True)
    anna.part("save").click()
    anna.says(re.compile("Kept in this browser"))
    anna.stroke([(50, 66), (70, 66)])
    newer = anna.mask()

    held: list[Route] = []
    anna.page.route("**/datastore/label**", lambda route: held.append(route) if not held else route.continue_())
    anna.page.context.set_offline(False)
    while not held:  # the older label is sent, and does not arrive
        anna.page.wait_for_timeout(100)
    anna.part("save").click()
    anna.page.wait_for_timeout(1000)  # time enough for the newer one to overtake it
    held[0].continue_()
    expect(anna.part("waiting")).to_be_empty(timeout=15_000)
    anna.says(re.compile("^Saved"))
    np.testing.assert_array_equal(_stored(server, "p08_f1"), newer)


def test_a_refusal_is_shown_with_its_reason_and_the_drawing_stays(
    anna: Annotator, server: Server, tmp_path: Path
) -> None:
    _label(server, tmp_path, "p14_f1", _band(server, "p14_f1"))
    anna.open("p14_f1")
    before = _stored(server, "p14_f1")
    anna.page.evaluate("() => { sequal.work.history.push(sequal.work.mask.edit((pixels) => pixels.fill(1), 0)) }")
    anna.part("save").click()
    assert "thin line" in anna.says(re.compile("^Not saved. The label was not accepted"))
    assert anna.mask().all()
    np.testing.assert_array_equal(_stored(server, "p14_f1"), before)
    anna.press("Control+z")


def test_every_key_is_in_the_list(anna: Annotator, pictures: Path) -> None:
    anna.open("p04_f1")
    anna.press("?")
    dialog = anna.part("dialog")
    expect(dialog).to_be_visible()
    anna.page.screenshot(path=pictures / "keys.png")
    shown = dialog.inner_text()
    for words in (
        "Save and next",
        "Undo",
        "Redo",
        "No wall",
        "Skip",
        "Brush",
        "Eraser",
        "Curves",
        "Run the model",
        "Zoom in",
        "Zoom out",
        "Look further left",
        "[",
        "]",
    ):
        assert words in shown
    anna.press("Escape")
    expect(dialog).not_to_be_visible()


def test_the_page_asks_no_other_host(chromium: Browser, server: Server) -> None:
    context = chromium.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.add_init_script("localStorage.setItem('sequal-annotator', 'anna')")
    annotator = Annotator(context.new_page(), server.url)
    annotator.open("p04_f1")
    context.close()
    assert [url for url in asked if not url.startswith((server.url, "data:", "blob:"))] == []
    assert any(PATH in url for url in asked)


def _draw_lines(annotator: Annotator) -> None:
    annotator.press("l")
    for row in (100, 110):
        annotator.click(60, row)
        annotator.click(160, row)
        if row == 100:
            annotator.press("Enter")


def test_lines_that_are_not_done_go_to_no_other_frame(anna: Annotator) -> None:
    anna.open("p05_f2")
    _draw_lines(anna)
    for act in (lambda: anna.page.locator("#list li[data-image=p05_f3]").click(), lambda: anna.press("Control+s")):
        act()
        anna.says("Finish the lines with Enter, or give them up with Escape.")
        assert anna.image == "p05_f2"
    anna.press("b")
    expect(anna.part("message")).to_have_text("Finish the lines with Enter, or give them up with Escape.")
    assert set(range(62, 159)) <= set(np.nonzero(anna.mask())[0])
    anna.press("Control+z")
    anna.page.locator("#list li[data-image=p05_f3]").click()
    anna.wait("p05_f3")
    expect(anna.part("message")).to_be_empty()
    assert not anna.mask().any()


def test_enter_within_a_stroke_neither_saves_nor_leaves(anna: Annotator, server: Server) -> None:
    anna.open("p05_f2")
    anna.choose("brush")
    anna.page.mouse.move(*anna.at(60, 100))
    anna.page.mouse.down()
    anna.page.mouse.move(*anna.at(100, 100), steps=4)
    for key in ("Enter", "n", "e"):
        anna.press(key)
    anna.page.mouse.move(*anna.at(160, 100), steps=4)
    anna.page.mouse.up()
    assert anna.image == "p05_f2"
    assert set(range(60, 161)) <= set(np.nonzero(anna.mask())[0])
    assert _state(server, "p05_f2")["state"] == "open"


def test_enter_presses_what_has_the_focus(anna: Annotator, server: Server) -> None:
    anna.open("p05_f2")
    anna.stroke([(60, 100), (160, 100)])
    anna.part("skip").focus()
    anna.press("Enter")
    anna.answer("no")
    assert _state(server, "p05_f2")["state"] == "open"
    anna.part("strategy").select_option("random")
    anna.press("e")
    expect(anna.part("strategy")).to_have_value("random")
    expect(anna.page.locator("[data-tool=eraser]")).to_have_class("chosen")
    anna.press("Control+z")
    anna.page.locator("#list li[data-image=p05_f3]").focus()
    anna.press("Enter")
    anna.wait("p05_f3")


def test_a_mask_that_nobody_touched_is_left_without_a_question_and_known_after_a_reload(
    chromium: Browser, server: Server
) -> None:
    with new_annotator(chromium, server.url, "anna", auto_run=True) as anna:
        anna.open("p05_f2")
        anna.wait_for_model()
        anna.page.locator("#list li[data-image=p05_f3]").click()
        anna.wait("p05_f3")
        anna.wait_for_model()
        anna.page.reload()
        anna.wait("p05_f3")
        anna.wait_for_model()
        expect(anna.part("message")).to_be_empty()

        # A drawing that is taken back to the model's mask after a reload is the model's mask again.
        mask = anna.mask()
        anna.choose("brush")
        anna.stroke([(60, 30), (160, 30)])
        anna.page.evaluate("() => sequal.kept")
        anna.page.once("dialog", lambda dialog: dialog.accept())
        anna.page.reload()
        anna.wait("p05_f3")
        anna.says(re.compile("drawing of last time is here again"))
        assert not np.array_equal(anna.mask(), mask)
        anna.choose("eraser")
        anna.stroke([(50, 30), (170, 30)])
        np.testing.assert_array_equal(anna.mask(), mask)
        assert anna.page.evaluate("() => sequal.work.isEdited()") is False


def test_undo_shows_the_frame_of_the_clip_in_which_it_undoes(anna: Annotator) -> None:
    anna.open("p16_clip")
    anna.press("b")
    anna.stroke([(60, 100), (160, 100)])
    anna.press("ArrowRight")
    expect(anna.part("film-text")).to_have_text("2 of 3")
    anna.press("Control+z")
    expect(anna.part("film-text")).to_have_text("1 of 3")


def test_a_frame_stays_open_when_the_server_does_not_give_another(anna: Annotator) -> None:
    anna.open("p05_f2")
    anna.page.context.set_offline(True)
    anna.page.locator("#list li[data-image=p05_f3]").click()
    anna.says(re.compile("The server does not answer"))
    assert anna.image == "p05_f2"
    anna.choose("brush")
    anna.stroke([(60, 100), (160, 100)])
    assert anna.mask().any()
    anna.page.context.set_offline(False)
    anna.press("Control+z")
