"""Read any label file onto the grid of its frame."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError, SequalError
from sequal.files.imaging.claims import check_claim, check_pixels
from sequal.files.imaging.duplicates import COPIES, merge_copies
from sequal.files.imaging.label_rules import says_no_layer
from sequal.files.imaging.layout import PLAIN, Layout
from sequal.files.imaging.names import IMAGE_SUFFIXES, image_suffix
from sequal.files.imaging.nifti import read_nifti_array
from sequal.files.imaging.nrrd_file import read_nrrd_label
from sequal.files.imaging.picture import read_classes
from sequal.files.imaging.placement import is_usable, itk_affine
from sequal.files.imaging.segments import Segment, name_classes
from sequal.files.imaging.self_contained import check_self_contained
from sequal.labels import LABEL_NAMES

__all__ = ["label_to_grid", "read_label", "stored_label_says_no_layer"]

#: Formats that keep class values exactly; JPEG invents classes along every edge.
_EXACT_PICTURES = (".png", ".tif", ".tiff", ".bmp")
_LARGEST_CLASS = 255
#: A label may have layers, and reach beyond its image, but it is no other image.
_TIMES_THE_IMAGE = 16
_SMALL = 1 << 20
#: By less than this part of a voxel two volumes lie in one place.
_SAME_PLACE = 0.1


def read_label(
    path: str | Path,
    frame_shape: Sequence[int],
    shown: NDArray[np.uint8] | None = None,
    named: Sequence[Segment] = (),
    layout: Layout = PLAIN,
    labels: Mapping[str, int] = LABEL_NAMES,
    affine: NDArray[np.float64] | None = None,
) -> NDArray[np.uint8]:
    """Read a label: NIfTI, NRRD, Slicer segmentation, a lossless picture, or the bare bytes that OHIF sends.

    The voxel order of the file counts, its affine does not: the server, Slicer and OHIF all write labels on
    the grid of the image, with affines that differ in sign conventions. A NIfTI label of a volume is turned, where its
    affine says that it covers the volume exactly and runs along other axes: programs that turn a volume before they
    segment it write it so. Which classes may occur is not judged here.

    Args:
        path: The file.
        frame_shape: `Frame.grid` of the image, or `Frame.shape`.
        shown: Uint8 `(W, H)`, the mask from which the annotator started, where a frame that is stored twice has a
            label of two slices (`sequal.files.imaging.duplicates`).
        named: Segments that a viewer named beside a file of numbers (`submitted_segments`).
        layout: `Frame.layout` of the image: a label on the grid of the image's file is brought to that of the frame.
        labels: Number of each label of the model by its name.
        affine: `(4, 4)` of a volume, voxel to RAS millimetres; `None`: a frame or a clip.

    Returns:
        Uint8 `(W, H, F)`.

    Raises:
        LabelError: The file is missing, empty, damaged or of another kind; it lies on another grid; its
            values are not whole numbers from 0 to 255.
    """
    source = Path(path)
    array, has_names = _array(source, frame_shape, _TIMES_THE_IMAGE * math.prod(frame_shape) + _SMALL, labels)
    classes = _whole_numbers(array, source.name)
    classes = classes if has_names else name_classes(classes, named, labels)
    if affine is not None and image_suffix(source) in (".nii", ".nii.gz"):
        classes = _turned(classes, source, affine)
    return label_to_grid(classes, frame_shape, source.name, shown, layout)


def label_to_grid(
    label: NDArray[Any],
    frame_shape: Sequence[int],
    name: str = "label",
    shown: NDArray[np.uint8] | None = None,
    layout: Layout = PLAIN,
) -> NDArray[Any]:
    """Bring a label array onto the `(W, H, F)` grid of its frame.

    Accepted are the grid itself and, for a single frame, `(W, H)`, `(1, W, H)` and, merged into one, the
    `(W, H, 2)` of a frame that is stored twice; further axes of length one are dropped. The frame's grid
    decides: an array that fits as `(W, H, F)` is taken so, whatever else it could be.

    Args:
        label: The array of the file.
        frame_shape: `(W, H)`, `(W, H, F)`, perhaps followed by axes of length one.
        name: What to call it in the error.
        shown: As for `read_label`.
        layout: As for `read_label`; what fits the file and the frame is taken to be on the grid of the file, as this
            app writes masks.

    Returns:
        The same values as `(W, H, F)`.

    Raises:
        LabelError: It fits in none of these ways.

    >>> [label_to_grid(np.zeros(shape), (4, 3)).shape for shape in [(4, 3), (4, 3, 1), (1, 4, 3)]]
    [(4, 3, 1), (4, 3, 1), (4, 3, 1)]
    """
    width, height, frames, *_ = (*frame_shape, 1)
    grid = width, height, frames
    shape = label.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    stored = layout.file_grid(grid)
    if not layout.plain and shape in _forms(stored):
        return layout.to_frame(label.reshape(stored))
    accepted = _forms(grid)
    if shape in accepted:
        return label.reshape(grid)
    if shape == (*grid[:2], COPIES) and grid[2] == 1:
        return merge_copies(label.reshape(shape), shown)
    turned = len(shape) >= 2 and sorted(shape) in [sorted(form) for form in accepted]
    cure = "Its axes are swapped: write it as (W, H)." if turned else "Draw the label on the image it belongs to."
    size, came = (" x ".join(map(str, lengths)) for lengths in (grid, label.shape))
    raise LabelError(f"Expected `{name}` to have the size of its frame, {size}, got {came}. {cure}")


def stored_label_says_no_layer(path: Path) -> bool:
    """Whether a label file of a study says "no layer in this frame", without a look at its image.

    Returns:
        False for a file that cannot be read as well.
    """
    try:
        return says_no_layer(_array(path, (1, 1))[0])
    except LabelError:
        return False


def _turned(label: NDArray[np.uint8], source: Path, affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The label of a volume along the axes of the volume, if its own header says that it lies on it exactly."""
    if set(label.shape[3:]) == {1}:
        label = label.reshape(label.shape[:3])
    image = nib.load(source)
    nowhere = not any(int(image.header.get(code, 0)) for code in ("sform_code", "qform_code"))
    if label.ndim != 3 or nowhere or not is_usable(image.affine):
        return label
    seen = itk_affine(source, "nifti")
    lies = image.affine if seen is None else seen  # as the affine of the volume was read
    own, wanted = (nib.orientations.io_orientation(one) for one in (lies, affine))
    turn = nib.orientations.ornt_transform(own, wanted)
    place = lies @ nib.orientations.inv_ornt_aff(turn, label.shape)
    if not np.allclose(place, affine, atol=_SAME_PLACE * np.linalg.norm(affine[:3, :3], axis=0).min()):
        return label
    return np.ascontiguousarray(nib.orientations.apply_orientation(label, turn))


def _forms(grid: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """The shapes that a label of this grid may have."""
    return [grid] if grid[2] > 1 else [grid, grid[:2], (1, *grid[:2])]


def _array(
    source: Path, frame_shape: Sequence[int], most: int | None = None, labels: Mapping[str, int] = LABEL_NAMES
) -> tuple[NDArray[Any], bool]:
    """The array of a label file, any shape and type, and whether the file itself names its segments.

    One that claims more than `most` pixels is not read.
    """
    if not source.is_file() or source.stat().st_size == 0:
        came = "an empty file" if source.is_file() else "a pipe or a device" if source.exists() else "no such file"
        raise LabelError(f"Expected `{source}` to be a label file, got {came}. Submit the label again.")
    suffix = image_suffix(source)
    try:
        if source.suffix.lower() == ".bin":
            return _bare_bytes(source, frame_shape), False
        if suffix:
            check_self_contained(source, IMAGE_SUFFIXES[suffix])
        if suffix in (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", *_EXACT_PICTURES):
            check_claim(source, IMAGE_SUFFIXES[suffix], most)
        if suffix in (".nii", ".nii.gz"):
            return read_nifti_array(source), False
        if suffix in (".nrrd", ".seg.nrrd"):
            return read_nrrd_label(source, frame_shape, labels)
        if suffix in _EXACT_PICTURES:
            return read_classes(source), False
    except SequalError as error:
        raise LabelError(str(error)) from error
    # Each library has its own exceptions for damaged files, down to struct.error and AttributeError. Their words may
    # quote the file, so they are left out.
    except Exception as error:
        raise LabelError(
            f"Expected `{source.name}` to be a readable label, got {type(error).__name__} when it was read. Submit it "
            "again."
        ) from error
    raise LabelError(
        f"Expected `{source.name}` to end in .nii.gz, .nii, .nrrd, .seg.nrrd, .png, .tif or .bmp, got "
        f"{suffix or 'another suffix'}. Save the label without loss, for example as NIfTI."
    )


def _bare_bytes(source: Path, frame_shape: Sequence[int]) -> NDArray[np.uint8]:
    """One byte a voxel, the first axis fastest, as many slices as there are."""
    check_pixels(source.name, source.stat().st_size)
    values = np.fromfile(source, dtype=np.uint8)
    width, height = frame_shape[:2]
    if values.size % (width * height):
        raise LabelError(
            f"Expected `{source.name}` to hold whole slices of {width} x {height} bytes, got {values.size} bytes. "
            "Draw the label on the image it belongs to."
        )
    return values.reshape((width, height, -1), order="F")


def _whole_numbers(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """The values as uint8, when they are whole numbers that fit."""
    numbers = (
        array.dtype == np.bool_ or np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
    )
    if not numbers or not array.size:
        raise LabelError(f"Expected `{name}` to hold class numbers, got {array.dtype} {array.shape}. Save it as uint8.")
    with np.errstate(invalid="ignore"):
        classes = array.astype(np.uint8)
    wrong = classes != array
    if wrong.any():
        raise LabelError(
            f"Expected `{name}` to hold whole numbers from 0 to {_LARGEST_CLASS}, got others in {int(wrong.sum())} "
            "pixels. Save the label as uint8, without interpolation."
        )
    return classes
