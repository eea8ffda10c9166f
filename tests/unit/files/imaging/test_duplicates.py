from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.files.imaging import merge_copies, read_frame, read_label
from sequal.preparation.working_grid import frame_to_working
from unit.synthetic_study import settings

WIDTH, HEIGHT = 7, 5
SLICE = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(WIDTH, HEIGHT)
_MASKS = arrays(np.uint8, (WIDTH, HEIGHT), elements={"min_value": 0, "max_value": 1})


def _image(path: Path, *slices: NDArray[np.uint8]) -> Path:
    nib.save(nib.Nifti1Image(np.stack(slices, axis=2), np.diag([0.06, 0.06, 1, 1])), path)
    return path


def test_two_identical_slices_are_one_frame_that_goes_back_onto_both(tmp_path: Path) -> None:
    frame = read_frame(_image(tmp_path / "a.nii.gz", SLICE, SLICE))
    assert (frame.grid, frame.shape, frame.duplicated) == ((WIDTH, HEIGHT, 1), (WIDTH, HEIGHT, 2), True)
    assert frame_to_working(frame, settings()).frames == 1
    mask = (SLICE > 9).astype(np.uint8)[:, :, None]
    stored = frame.to_file_grid(mask)
    assert stored.shape == (WIDTH, HEIGHT, 2)
    np.testing.assert_array_equal(stored, np.repeat(mask, 2, axis=2))


@pytest.mark.parametrize("slices", [(SLICE, SLICE[::-1]), (SLICE, SLICE, SLICE), (SLICE,)])
def test_different_frames_and_longer_clips_stay_as_they_are(
    tmp_path: Path, slices: tuple[NDArray[np.uint8], ...]
) -> None:
    frame = read_frame(_image(tmp_path / "a.nii.gz", *slices))
    assert (frame.grid, frame.duplicated) == ((WIDTH, HEIGHT, len(slices)), False)
    np.testing.assert_array_equal(frame.to_file_grid(frame.pixels), np.stack(slices, axis=2))


@given(_MASKS, _MASKS)
def test_an_edit_of_either_slice_is_the_label(shown: NDArray[np.uint8], edited: NDArray[np.uint8]) -> None:
    for slices in ((edited, shown), (shown, edited)):
        np.testing.assert_array_equal(merge_copies(np.stack(slices, axis=2), shown)[:, :, 0], edited)


def test_edits_of_both_slices_both_count() -> None:
    shown = np.zeros((WIDTH, HEIGHT), np.uint8)
    shown[1:6, 1:4] = 1
    first, second = shown.copy(), shown.copy()
    first[1, 1:4] = 0  # erased here
    second[6, 1:4] = 1  # drawn there
    merged = merge_copies(np.stack([first, second], axis=2), shown)[:, :, 0]
    np.testing.assert_array_equal(merged[:, 2], [0, 0, 1, 1, 1, 1, 1])


def test_a_mask_of_an_earlier_visit_takes_nothing_away() -> None:
    shown = np.ones((WIDTH, HEIGHT), np.uint8)  # to somebody who left without saving
    drawn, nothing = np.zeros((2, WIDTH, HEIGHT), np.uint8)
    drawn[2, 2] = 1
    more = drawn[::-1].copy()
    for slices in ((drawn, nothing), (nothing, drawn)):
        np.testing.assert_array_equal(merge_copies(np.stack(slices, axis=2), shown)[:, :, 0], drawn)
    np.testing.assert_array_equal(merge_copies(np.stack([drawn, more], axis=2), shown)[:, :, 0], drawn | more)


def test_a_label_of_two_slices_is_read_as_one(tmp_path: Path) -> None:
    drawn, nothing = np.zeros((2, WIDTH, HEIGHT), np.uint8)
    drawn[2:4, 1:3] = 1
    path = _image(tmp_path / "label.nii.gz", nothing, drawn)
    np.testing.assert_array_equal(read_label(path, (WIDTH, HEIGHT, 1))[:, :, 0], drawn)
    # Shown was what the second slice still holds: the first one was erased.
    np.testing.assert_array_equal(read_label(path, (WIDTH, HEIGHT, 1), drawn)[:, :, 0], nothing)


def test_the_labels_of_a_clip_stay_per_frame(tmp_path: Path) -> None:
    drawn, nothing = np.zeros((2, WIDTH, HEIGHT), np.uint8)
    drawn[2:4, 1:3] = 1
    path = _image(tmp_path / "label.nii.gz", nothing, drawn)
    np.testing.assert_array_equal(read_label(path, (WIDTH, HEIGHT, 2)), np.stack([nothing, drawn], axis=2))


def test_the_bare_bytes_of_a_browser_are_a_label(tmp_path: Path) -> None:
    label = np.zeros((WIDTH, HEIGHT, 3), np.uint8)
    label[4, 1, 0] = label[2, 3, 2] = 1
    path = tmp_path / "label.bin"
    path.write_bytes(label.ravel(order="F").tobytes())
    np.testing.assert_array_equal(read_label(path, label.shape), label)
    path.write_bytes(label.tobytes()[:-1])
    with pytest.raises(LabelError, match="whole slices of 7 x 5 bytes, got 104 bytes"):
        read_label(path, label.shape)
