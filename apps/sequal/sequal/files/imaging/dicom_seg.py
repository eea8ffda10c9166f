"""Reading a DICOM segmentation onto the slices of the series that it was drawn on."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.labels import IGNORE, LABEL_NAMES, NOT_ANNOTATED, class_named, same_name

__all__ = [
    "NO_LAYER",
    "check_segmentation",
    "known_segments",
    "read_segmentation",
    "referenced_series",
    "segmentation_says_no_layer",
]

#: ContentLabel of a segmentation without a pixel that says: this frame shows no layer.
NO_LAYER: Final = "NO_LAYER"
#: A fractional segmentation holds shares of this; half of it is inside.
_DEFAULT_FULL: Final = 255
#: Positions in files are decimal numbers of few digits.
_NEAR_MM: Final = 0.01


def referenced_series(segmentation: Any) -> str | None:  # noqa: ANN401 - pydicom is not typed
    """SeriesInstanceUID of the images that a segmentation was drawn on, or None when it does not say."""
    for reference in segmentation.get("ReferencedSeriesSequence") or []:
        if reference.get("SeriesInstanceUID"):
            return str(reference.SeriesInstanceUID)
    return None


def known_segments(segmentation: Any, labels: Mapping[str, int] = LABEL_NAMES) -> dict[int, int]:  # noqa: ANN401
    """Label class by segment number of the segments whose name is one of `labels`, in any case.

    Other segments (a plaque, a marker) are none of its labels, whatever their number.
    """
    found = {}
    for segment in segmentation.get("SegmentSequence") or []:
        name = str(segment.get("SegmentLabel", ""))
        value = IGNORE if same_name(name) == same_name(NOT_ANNOTATED) else class_named(name, labels)
        if value is not None:
            found[int(segment.SegmentNumber)] = value
    return found


def read_segmentation(
    segmentation: Any,  # noqa: ANN401
    images: Sequence[Any],
    labels: Mapping[str, int] = LABEL_NAMES,
) -> NDArray[np.uint8]:
    """The label on every slice of its series; slices and frames that the segmentation leaves out are background.

    Args:
        segmentation: pydicom's dataset, with its pixels.
        images: the series' instances without pixels, in the order of their slices, as `read_series_headers` gives
            them.
        labels: number of each label by its name.

    Returns:
        Uint8 `(W, H, slices)`: numbers of `labels`, 255 not annotated.

    Raises:
        LabelError: no segment has the name of a label; the grid or the orientation is another; a frame belongs to none
            of the images; the pixels cannot be decoded.
    """
    classes = _classes(segmentation, labels)
    rows, columns = int(images[0].Rows), int(images[0].Columns)
    planes = _planes(segmentation)
    if planes.shape[1:] != (rows, columns):
        raise LabelError(
            f"Expected the segmentation to have {rows} rows and {columns} columns, got {planes.shape[1:]}. "
            "It belongs to another image."
        )
    label = np.zeros((columns, rows, _slices(images)), dtype=np.uint8)
    by_uid = {str(image.SOPInstanceUID): index for index, image in enumerate(images)}
    places, groups = _places(images), segmentation.PerFrameFunctionalGroupsSequence
    # A structure is drawn over "not annotated", should both mark a pixel.
    order = sorted(range(len(groups)), key=lambda index: classes.get(_segment(segmentation, groups[index])) != IGNORE)
    for index in order:
        value = classes.get(_segment(segmentation, groups[index]))
        if value is not None and planes[index].any():
            label[:, :, _slice(groups[index], by_uid, places)][planes[index].T] = value
    return label


def check_segmentation(segmentation: Any, labels: Mapping[str, int] = LABEL_NAMES) -> None:  # noqa: ANN401
    """Refuse what is no label of these names, whatever image it belongs to.

    Raises:
        LabelError: no segment has the name of a label, none of these has a pixel and it does not say that there is no
            layer, or the pixels cannot be decoded.
    """
    classes = _classes(segmentation, labels)
    planes = _planes(segmentation)
    groups = segmentation.get("PerFrameFunctionalGroupsSequence") or []
    layer = [
        plane.any()
        for plane, group in zip(planes, groups, strict=False)
        if _segment(segmentation, group) in {number for number, value in classes.items() if value != IGNORE}
    ]
    if not any(layer) and not segmentation_says_no_layer(segmentation):
        raise LabelError(
            f"Expected the segmentation to show {' or '.join(labels)}, got an empty one. Draw the label again."
        )


def segmentation_says_no_layer(segmentation: Any) -> bool:  # noqa: ANN401
    """Whether a segmentation that passed `check_segmentation` says that there is no layer."""
    return segmentation.get("ContentLabel") == NO_LAYER and not _planes(segmentation).any()


def _classes(segmentation: Any, labels: Mapping[str, int]) -> dict[int, int]:  # noqa: ANN401
    classes = known_segments(segmentation, labels)
    if not any(value != IGNORE for value in classes.values()):
        names = [str(segment.get("SegmentLabel", "")) for segment in segmentation.get("SegmentSequence") or []]
        raise LabelError(f"Expected a segment named {' or '.join(labels)}, got {names}. It is no label of this app.")
    return classes


def _planes(segmentation: Any) -> NDArray[np.bool_]:  # noqa: ANN401
    try:
        pixels = np.asarray(segmentation.pixel_array)
    except Exception as error:
        raise LabelError(
            f"Expected the segmentation to be readable, got {type(error).__name__}: {error}. Draw the label again."
        ) from error
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    fractional = segmentation.get("SegmentationType") == "FRACTIONAL"
    full = int(segmentation.get("MaximumFractionalValue") or _DEFAULT_FULL)
    return pixels.astype(np.uint16) * 2 >= full if fractional else pixels > 0


def _segment(segmentation: Any, group: Any) -> int:  # noqa: ANN401
    for holder in (group, *(segmentation.get("SharedFunctionalGroupsSequence") or [])):
        for item in holder.get("SegmentIdentificationSequence") or []:
            return int(item.ReferencedSegmentNumber)
    return 0


def _slices(images: Sequence[Any]) -> int:
    return len(images) if len(images) > 1 else int(images[0].get("NumberOfFrames") or 1)


def _places(images: Sequence[Any]) -> NDArray[np.float64]:
    """Where each slice lies, (slices, 3); NaN for one that does not say."""
    frames = images if len(images) > 1 else images[0].get("PerFrameFunctionalGroupsSequence") or images
    return np.array([_position(frame) or [np.nan] * 3 for frame in frames])


def _position(holder: Any) -> list[float]:  # noqa: ANN401 - an image, or a group of functions of a frame
    """Empty where it says none."""
    for item in (holder, *(holder.get("PlanePositionSequence") or [])):
        position = [float(value) for value in item.get("ImagePositionPatient") or []]
        if len(position) == 3:
            return position
    return []


def _slice(group: Any, by_uid: dict[str, int], places: NDArray[np.float64]) -> int:  # noqa: ANN401
    """Which slice a frame lies on: the image that it names, else the one at its position."""
    for derivation in group.get("DerivationImageSequence") or []:
        for source in derivation.get("SourceImageSequence") or []:
            uid = str(source.get("ReferencedSOPInstanceUID", ""))
            if uid in by_uid and len(by_uid) > 1:
                return by_uid[uid]
            if uid in by_uid and (source.get("ReferencedFrameNumber") or np.isnan(places).all()):
                return int(np.atleast_1d(source.get("ReferencedFrameNumber") or 1)[0]) - 1
    position = _position(group)
    if position:
        near = np.flatnonzero(np.abs(places - position).max(axis=1) <= _NEAR_MM)
        if near.size:
            return int(near[0])
    raise LabelError(
        "Expected every frame of the segmentation to lie on an image of the series, got one that does not. "
        "Draw the label again."
    )
