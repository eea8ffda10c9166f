"""Segments of a 3D Slicer segmentation (`.seg.nrrd`): which layer and value carries which name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import LabelError
from sequal.labels import BACKGROUND, IGNORE, LABEL_NAMES, NOT_ANNOTATED, REVIEW, class_named, same_name

__all__ = [
    "Segment",
    "merge_segments",
    "name_classes",
    "nothing_drawn",
    "place_segments",
    "segments_of",
    "submitted_segments",
]

_FIRST_STRAY: Final = 2


@dataclass(frozen=True)
class Segment:
    """One segment: voxels of `layer` with `value` belong to the structure `name`."""

    name: str
    layer: int
    value: int


def segments_of(header: Mapping[str, Any]) -> tuple[Segment, ...]:
    """Segments that an NRRD header describes (`SegmentN_Name`, `SegmentN_Layer`, `SegmentN_LabelValue`).

    Args:
        header: pynrrd's header.

    Returns:
        The segments in order; empty when the file is no segmentation.
    """
    numbers = takewhile(lambda n: f"Segment{n}_ID" in header or f"Segment{n}_LabelValue" in header, count())
    return tuple(
        Segment(
            name=str(header.get(f"Segment{number}_Name", "")),
            layer=int(header.get(f"Segment{number}_Layer", 0)),
            value=int(header.get(f"Segment{number}_LabelValue", 1)),
        )
        for number in numbers
    )


def submitted_segments(label_info: object) -> tuple[Segment, ...]:
    """Segments that a viewer names beside a file that holds numbers alone.

    Args:
        label_info: What came with the label, `[{"name": "intima-media", "idx": 2}, …]`; from outside, so it may be
            anything.

    Returns:
        The segments in order. Empty when the list is none, or names nothing: then the numbers of the file are taken as
        they are.

    >>> submitted_segments([{"name": "look here", "idx": 1}, {"name": "intima-media", "idx": 2}])[1]
    Segment(name='intima-media', layer=0, value=2)
    >>> submitted_segments("nonsense"), submitted_segments([{"name": "", "idx": 1}])
    ((), ())
    """
    entries = label_info if isinstance(label_info, list) else []
    named = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("idx"), int)]
    segments = tuple(Segment(str(entry.get("name", "")), 0, entry["idx"]) for entry in named)
    return segments if any(segment.name.strip() for segment in segments) else ()


def name_classes(
    values: NDArray[np.uint8], segments: Sequence[Segment], labels: Mapping[str, int] = LABEL_NAMES
) -> NDArray[np.uint8]:
    """Classes of a file of numbers whose segments were named beside it.

    3D Slicer numbers the segments that it exports from 1, while the `idx` that it sends counts those that it leaves
    out as well (`background`, scribbles). So numbers that are not among the `idx` are places in the list.

    Args:
        values: Uint8 `(…)`.
        segments: As `submitted_segments` gives them.
        labels: Number of each label of the model by its name.

    Returns:
        Uint8 `(…)`, classes as `merge_segments` gives them, 255 as it was; `values` itself without segments.

    >>> behind = submitted_segments([{"name": "look here", "idx": 1}, {"name": "intima-media", "idx": 2}])
    >>> name_classes(np.array([0, 1, 2, 255], np.uint8), behind).tolist()
    [0, 2, 1, 255]
    >>> second = submitted_segments([{"name": "intima-media", "idx": 2}])
    >>> name_classes(np.array([0, 1, 255], np.uint8), second).tolist()
    [0, 1, 255]
    """
    if not segments:
        return values
    present = {int(value) for value in np.unique(values)} - {BACKGROUND, IGNORE}
    if not present <= {segment.value for segment in segments}:
        segments = [replace(segment, value=place) for place, segment in enumerate(segments, start=1)]
    return merge_segments(values[np.newaxis], [*segments, Segment(NOT_ANNOTATED, 0, IGNORE)], labels)


def nothing_drawn(shape: Sequence[int], frame_shape: Sequence[int]) -> NDArray[np.uint8]:
    """A segmentation without a drawn voxel, on the grid of its image.

    3D Slicer writes a box around what was drawn, and a box of one voxel when that is nothing.

    Args:
        shape: Of the array in the file, perhaps behind an axis of layers.
        frame_shape: `(W, H)` or `(W, H, F)` of the image.

    Returns:
        Uint8 `(W, H, F)` of zeros; of `shape` itself when that is larger than the image, which then is another one.

    >>> nothing_drawn((1, 1, 1), (4, 3)).shape, nothing_drawn((5, 3, 1), (4, 3)).shape
    ((4, 3, 1), (5, 3, 1))
    """
    grid = (*frame_shape, 1)[:3]
    box = tuple(shape[-3:])
    fits = len(box) == len(grid) and all(length <= whole for length, whole in zip(box, grid, strict=True))
    return np.zeros(grid if fits else tuple(shape), dtype=np.uint8)


def place_segments(
    merged: NDArray[np.uint8], header: Mapping[str, Any], frame_shape: Sequence[int]
) -> NDArray[np.uint8]:
    """Put a segmentation that 3D Slicer cropped, or drew beyond the image, where it belongs.

    Slicer writes the box around the image and all segments, or around the segments alone, and where it begins.

    Args:
        merged: `(w, h, f)`.
        header: pynrrd's header, read for `Segmentation_ReferenceImageExtentOffset`.
        frame_shape: `(W, H)` or `(W, H, F)` of the image.

    Returns:
        Uint8 `(W, H, F)`; what lies outside the image is left out. `merged` itself when the box is the image's, when
        the file says nothing about it, or when a side of the box is neither the image's nor touched by a segment:
        then it was drawn on another image.
    """
    grid = (*frame_shape, 1)[:3]
    offset = [int(part) for part in str(header.get("Segmentation_ReferenceImageExtentOffset", "")).split()]
    if len(offset) != 3 or merged.ndim != 3 or (merged.shape == grid and not any(offset)):
        return merged
    for axis, (start, length, whole) in enumerate(zip(offset, merged.shape, grid, strict=True)):
        first, last = (merged.take(index, axis).any() for index in (0, length - 1))
        if (start != 0 and not first) or (start + length != whole and not last):
            return merged
    ends = [min(start + length, whole) for start, length, whole in zip(offset, merged.shape, grid, strict=True)]
    starts = [max(0, start) for start in offset]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        return merged
    placed = np.zeros(grid, dtype=np.uint8)
    source = tuple(slice(a - o, b - o) for a, b, o in zip(starts, ends, offset, strict=True))
    placed[tuple(slice(a, b) for a, b in zip(starts, ends, strict=True))] = merged[source]
    return placed


def merge_segments(
    layers: NDArray[Any], segments: Sequence[Segment], labels: Mapping[str, int] = LABEL_NAMES
) -> NDArray[np.uint8]:
    """Put all segments on one grid.

    Slicer numbers the segments of each layer from 1 again, so the name decides: a segment named like a label
    of the app (whatever case, blank or dash) gets that label's class and lies above the others. A segment with
    another name never gets the known class, also where it has its number or stands alone: it becomes a stray
    class (2, 3, …), which `clean_label` drops. Where no segment has a name the values are taken as they are.

    The area `review` is drawn over the labels of the app: in a file of one layer nobody knows what is below it, so its
    pixels become 255 there, neither holes in the structure nor a part of it.

    Args:
        layers: `(layers, …)` class values.
        segments: As `segments_of` gives them.
        labels: Number of each label of the model by its name.

    Returns:
        Uint8 `(…)`.

    Raises:
        LabelError: something is drawn, and no segment has a known name.
    """
    merged = np.zeros(layers.shape[1:], dtype=np.uint8)
    classes = _classes(segments, labels)
    # Strays first, known names last: sorted() is stable, so the order of the file rules within each group.
    for index in sorted(range(len(segments)), key=lambda index: class_named(segments[index].name, labels) is not None):
        segment = segments[index]
        merged[layers[segment.layer] == segment.value] = classes[index]
    names = [segment.name for segment in segments if segment.value != IGNORE]
    if merged.any() and any(name.strip() for name in names) and not any(class_named(name, labels) for name in names):
        raise LabelError(
            f"Expected a segment named {' or '.join(labels)}, got {', '.join(map(repr, names))}. Name the segment "
            "so, and submit again."
        )
    return merged


def _classes(segments: Sequence[Segment], labels: Mapping[str, int]) -> list[int]:
    """Class of each segment."""
    if not any(segment.name.strip() for segment in segments if segment.value != IGNORE):
        return [segment.value for segment in segments]
    taken = set(labels.values())
    with_labels = {segment.layer for segment in segments if class_named(segment.name, labels) is not None}
    strays = iter(range(_FIRST_STRAY, IGNORE))
    classes = []
    for segment in segments:
        known = class_named(segment.name, labels)
        if known is not None:
            classes.append(known)
        elif segment.value == IGNORE or (same_name(segment.name) == REVIEW and segment.layer in with_labels):
            classes.append(IGNORE)
        else:
            classes.append(next(stray for stray in strays if stray not in taken))
    return classes
