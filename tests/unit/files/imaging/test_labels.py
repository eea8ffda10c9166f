import sys
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from PIL import Image

from sequal.errors import LabelError
from sequal.files.imaging import (
    NOT_CALIBRATED,
    Frame,
    check_label,
    clean_label,
    label_to_grid,
    read_label,
    says_no_layer,
)
from sequal.files.imaging.segments import Segment, merge_segments, segments_of

GRID = (5, 7, 1)


@pytest.fixture
def label() -> np.ndarray:
    array = np.zeros((5, 7), np.uint8)
    array[1:4, 2:5] = 1
    array[4] = 255
    return array


def _frame(grid: tuple[int, int, int] = GRID) -> Frame:
    return Frame(np.zeros(grid, np.float32), np.eye(4), grid, NOT_CALIBRATED, Path("p01.nii.gz"))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 5, 7), (5, 7, 1, 1)])
@pytest.mark.parametrize("frame_shape", [(5, 7), (5, 7, 1), (5, 7, 1, 1)])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd"])
def test_every_accepted_shape_is_the_same_label(
    tmp_path: Path, label: np.ndarray, shape: tuple[int, ...], frame_shape: tuple[int, ...], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    array = label.reshape(shape)
    if suffix == ".nrrd":
        nrrd.write(str(path), array)
    else:
        nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    found = read_label(path, frame_shape)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label[..., np.newaxis])


def test_clip_labels_and_the_grid_that_decides() -> None:
    clip = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(label_to_grid(clip, (2, 3, 4)), clip)
    # (1, 3, 4) is the first column of frames of a clip, not a frame with a leading axis, when the image says
    # so.
    np.testing.assert_array_equal(label_to_grid(clip[:1], (1, 3, 4)), clip[:1])
    np.testing.assert_array_equal(label_to_grid(clip[:1], (3, 4, 1))[..., 0], clip[0])
    with pytest.raises(LabelError, match="the size of its frame, 2 x 3 x 4, got 1 x 3 x 4"):
        label_to_grid(clip[:1], (2, 3, 4))


@pytest.mark.parametrize(
    ("shape", "words"),
    [((7, 5), "axes are swapped"), ((7, 5, 1), "axes are swapped"), ((5, 8), "Draw the label"), ((5, 7, 3), "Draw")],
)
def test_other_grids_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(LabelError, match=words):
        label_to_grid(np.zeros(shape), GRID)


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan, np.inf])
def test_values_that_are_no_class_are_refused(tmp_path: Path, label: np.ndarray, value: float) -> None:
    array = label.astype(np.float32)
    array[0, 0] = value
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(LabelError, match="whole numbers from 0 to 255"):
        read_label(tmp_path / "a.nii.gz", GRID)


def test_whole_floats_are_classes(tmp_path: Path, label: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(label.astype(np.float64), np.eye(4)), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_label(tmp_path / "a.nii.gz", GRID)[..., 0], label)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_png_labels_in_any_mode(tmp_path: Path, label: np.ndarray, mode: str) -> None:
    image = Image.fromarray(label.T)
    if mode == "P":
        image.putpalette([255, 0, 0, 0, 255, 0] + [9] * 762)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png", GRID)[..., 0], label)


def test_one_bit_png_is_zero_and_one(tmp_path: Path, label: np.ndarray) -> None:
    Image.fromarray(label.T == 1).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png", GRID)[..., 0], label == 1)


def test_one_colour_on_black_is_the_layer_and_several_are_refused(tmp_path: Path) -> None:
    rows = np.zeros((7, 5, 3), np.uint8)
    rows[2, 2] = 255, 0, 0
    Image.fromarray(rows).save(tmp_path / "a.png")
    assert np.argwhere(read_label(tmp_path / "a.png", GRID)).tolist() == [[2, 2, 0]]
    assert read_label(tmp_path / "a.png", GRID).max() == 1
    rows[3, 2] = 0, 255, 0
    Image.fromarray(rows).save(tmp_path / "b.png")
    with pytest.raises(LabelError, match=r"2 colours.*as value 1 on 0"):
        read_label(tmp_path / "b.png", GRID)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("ink", [0, 1, 255])
@pytest.mark.parametrize("opaque", [128, 255])
def test_a_mask_drawn_in_transparency_is_a_mask(tmp_path: Path, mode: str, ink: int, opaque: int) -> None:
    """One colour throughout, and only the layer opaque: 1, whatever the colour."""
    alpha = np.zeros((7, 5), np.uint8)
    alpha[2, 1:4] = opaque
    picture = Image.new(mode, (5, 7), (ink,) * (len(mode) - 1) + (0,))
    picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "a.png")
    label = read_label(tmp_path / "a.png", GRID)
    np.testing.assert_array_equal(label[:, :, 0].T, alpha > 0)


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    rows = np.zeros((7, 5, 4), np.uint8)
    rows[..., :3] = 90  # a colour under the transparency is not seen
    rows[2, 1:4] = 1, 1, 1, 255
    Image.fromarray(rows).save(tmp_path / "a.png")
    assert np.unique(read_label(tmp_path / "a.png", GRID), return_counts=True)[1].tolist() == [32, 3]


@pytest.mark.parametrize("alpha", [0, 255])
def test_an_alpha_channel_without_a_drawing_is_none(tmp_path: Path, alpha: int) -> None:
    rows = np.zeros((7, 5, 4), np.uint8)
    rows[2, 1:4, :3] = 1
    rows[..., 3] = alpha
    Image.fromarray(rows).save(tmp_path / "a.png")
    assert read_label(tmp_path / "a.png", GRID).sum() == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.nii.gz", None, "no such file"),
        ("empty.nii.gz", b"", "empty file"),
        ("broken.nii.gz", b"\x00" * 900, "readable label"),
        ("broken.nrrd", b"NRRD0004\n", "readable label"),
        ("lossy.jpg", b"anything", "without loss"),
        ("notes.txt", b"anything", "another suffix"),
    ],
)
def test_files_that_are_no_label(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError, match=words):
        read_label(tmp_path / name, GRID)


def test_missing_pynrrd_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros(GRID, np.uint8))
    monkeypatch.setitem(sys.modules, "nrrd", None)
    with pytest.raises(LabelError, match="pip install pynrrd"):
        read_label(tmp_path / "a.nrrd", GRID)


def _slicer_header(*segments: tuple[str, int, int], kinds: list[str]) -> dict[str, object]:
    header: dict[str, object] = {"kinds": kinds, "Segmentation_ReferenceImageExtentOffset": "0 0 0"}
    for number, (name, layer, value) in enumerate(segments):
        header |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_Layer": str(layer),
            f"Segment{number}_LabelValue": str(value),
        }
    return header


def test_layered_slicer_segmentation_goes_by_names(tmp_path: Path, label: np.ndarray) -> None:
    layers = np.zeros((2, *GRID), np.uint8)
    layers[0, 0:3, 0:3] = 1  # "look here", which overlaps the layer and has the value 1 too
    layers[1][label == 1] = 1
    header = _slicer_header(("look here", 0, 1), ("Intima-Media", 1, 1), kinds=["list", "domain", "domain", "domain"])
    nrrd.write(str(tmp_path / "a.seg.nrrd"), layers, header)
    found, dropped = clean_label(read_label(tmp_path / "a.seg.nrrd", GRID))
    np.testing.assert_array_equal(found[..., 0], label == 1)
    assert dropped == {2: 7}


def test_flat_slicer_segmentation_goes_by_names(tmp_path: Path, label: np.ndarray) -> None:
    array = np.where(label == 1, 2, 0).astype(np.uint8)[..., np.newaxis]
    array[0, 0] = 1
    header = _slicer_header(("lumen", 0, 1), ("intima-media", 0, 2), kinds=["domain"] * 3)
    nrrd.write(str(tmp_path / "a.seg.nrrd"), array, header)
    found, dropped = clean_label(read_label(tmp_path / "a.seg.nrrd", GRID))
    np.testing.assert_array_equal(found[..., 0], label == 1)
    assert dropped == {2: 1}


def test_segments_without_names_go_by_values() -> None:
    layers = np.array([[0, 1, 0, 0], [0, 0, 3, 3]])
    segments = [Segment("", 0, 1), Segment("", 1, 3)]
    assert merge_segments(layers, segments).tolist() == [0, 1, 3, 3]


def test_segments_of_unknown_names_are_not_the_layer_because_of_their_number() -> None:
    segments = [Segment("plaque", 0, 1), Segment("Segment_2", 1, 3)]
    with pytest.raises(LabelError, match="named intima-media, got 'plaque', 'Segment_2'"):
        merge_segments(np.array([[0, 1, 0, 0], [0, 0, 3, 3]]), segments)
    assert not merge_segments(np.zeros((2, 4), int), segments).any()


@pytest.mark.parametrize(
    "name",
    ["Intima-Media", " intima-media ", "intima media", "INTIMA_MEDIA", "intima\u2011media", "intima\u2013media"],
)
def test_names_that_look_equal_are_equal(name: str) -> None:
    segments = [Segment("plaque", 0, 1), Segment(name, 0, 2)]
    assert merge_segments(np.array([[0, 1, 2]]), segments).tolist() == [0, 2, 1]


def test_not_annotated_stays_beside_a_known_name() -> None:
    layers = np.array([[0, 4, 255, 5]])
    segments = [Segment("intima-media", 0, 4), Segment("unknown", 0, 255), Segment("note", 0, 5)]
    assert merge_segments(layers, segments).tolist() == [0, 1, 255, 2]


def test_header_of_a_plain_image_has_no_segments() -> None:
    assert segments_of({"type": "uint8", "sizes": [3, 4]}) == ()


def test_cleaning_drops_strays_and_leaves_the_input() -> None:
    given = np.array([[0, 1, 2], [255, 7, 7]], np.uint8)
    before = given.copy()
    found, dropped = clean_label(given)
    assert found.tolist() == [[0, 1, 0], [255, 0, 0]]
    assert dropped == {2: 1, 7: 2}
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(given, before)
    same, nothing = clean_label(found)
    assert nothing == {}
    assert same is not found
    np.testing.assert_array_equal(same, found)


def test_good_label_passes_the_check(label: np.ndarray) -> None:
    assert check_label(label[..., np.newaxis], _frame()) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (255, "save it as this number.*255 means not annotated, also in a mask in black and white"),
        (3, "Remove the other segments"),
    ],
)
def test_label_without_the_layer_or_with_strays_is_refused(value: int, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        check_label(np.full(GRID, value, np.uint8), _frame())


def test_an_empty_label_says_that_there_is_no_layer() -> None:
    assert check_label(np.zeros(GRID, np.uint8), _frame()) is None
    assert says_no_layer(np.zeros(GRID, np.uint8))


def test_background_beside_what_was_not_annotated_says_nothing(label: np.ndarray) -> None:
    partly = np.zeros(GRID, np.uint8)
    partly[0] = 255
    assert not says_no_layer(partly)
    with pytest.raises(LabelError, match=r"empty throughout, got only \[0, 255\]"):
        check_label(partly, _frame())


def test_other_segments_alone_do_not_say_that_there_is_no_layer() -> None:
    cleaned, dropped = clean_label(np.full(GRID, 3, np.uint8))
    with pytest.raises(LabelError, match=r"got only \[0, 3\]"):
        check_label(cleaned, _frame(), dropped)


_SLICER = {
    "Segment0_ID": "Segment_1",
    "Segment0_Name": "intima-media",
    "Segment0_LabelValue": "1",
    "Segment0_Layer": "0",
    "Segmentation_ReferenceImageExtentOffset": "0 0 0",
}


@pytest.mark.parametrize("header", [{}, _SLICER], ids=["no segment", "an empty segment"])
@pytest.mark.parametrize("box", [GRID, (1, 1, 1)], ids=["the image's box", "one voxel"])
def test_a_segmentation_without_a_drawn_voxel_is_an_empty_label(
    tmp_path: Path, header: dict[str, str], box: tuple[int, ...]
) -> None:
    nrrd.write(str(tmp_path / "s.seg.nrrd"), np.zeros(box, np.uint8), header)
    found = read_label(tmp_path / "s.seg.nrrd", GRID)
    assert (found.shape, found.any()) == (GRID, False)


def test_an_empty_segmentation_larger_than_the_image_is_of_another_one(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "s.seg.nrrd"), np.zeros((GRID[0] + 1, *GRID[1:]), np.uint8), _SLICER)
    with pytest.raises(LabelError, match="the size of its frame"):
        read_label(tmp_path / "s.seg.nrrd", GRID)


def test_an_empty_plain_file_must_have_the_grid_of_its_image(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4)), tmp_path / "s.nii.gz")
    with pytest.raises(LabelError, match="the size of its frame"):
        read_label(tmp_path / "s.nii.gz", GRID)


def test_label_of_another_image_is_refused(label: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"p01\.nii\.gz to have the size of its frame, 6 x 7 x 1, got 5 x 7 x 1"):
        check_label(label[..., np.newaxis], _frame((6, 7, 1)))


def test_known_segment_lies_above_strays_whatever_their_order() -> None:
    layers = np.array([[0, 1, 1, 0], [0, 0, 1, 1]])
    segments = [Segment("intima-media", 0, 1), Segment("look here", 1, 1)]
    assert merge_segments(layers, segments).tolist() == [0, 1, 1, 2]
    assert merge_segments(layers[::-1], [Segment("look here", 0, 1), Segment("intima-media", 1, 1)]).tolist() == [
        0, 1, 1, 2,
    ]  # fmt: skip
