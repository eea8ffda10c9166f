"""Segments of a 3D Slicer segmentation (`.seg.nrrd`): which layer and value carries which name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lib.labels import IGNORE, LABEL_NAMES

__all__ = ["Segment", "merge_segments", "segments_of"]

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


def merge_segments(layers: NDArray[Any], segments: Sequence[Segment]) -> NDArray[np.uint8]:
    """Put all segments on one grid.

    Slicer numbers the segments of each layer from 1 again, so the name decides: a segment named like a label
    of the app (any case) gets that label's class and lies above the others. When no name is known the label
    values are taken as they are. A segment with another name beside a known one never gets the known class:
    it becomes a stray class (2, 3, …), which `clean_label` drops.

    Args:
        layers: `(layers, …)` class values.
        segments: As `segments_of` gives them.

    Returns:
        Uint8 `(…)`.
    """
    merged = np.zeros(layers.shape[1:], dtype=np.uint8)
    known = {name.casefold(): value for name, value in LABEL_NAMES.items()}
    classes = _classes(segments, known)
    # Strays first, known names last: sorted() is stable, so the order of the file rules within each group.
    for index in sorted(range(len(segments)), key=lambda index: segments[index].name.casefold() in known):
        segment = segments[index]
        merged[layers[segment.layer] == segment.value] = classes[index]
    return merged


def _classes(segments: Sequence[Segment], known: Mapping[str, int]) -> list[int]:
    """Class of each segment."""
    names = [segment.name.casefold() for segment in segments]
    if not any(name in known for name in names):
        return [segment.value for segment in segments]
    taken = set(known.values())
    strays = iter(range(_FIRST_STRAY, IGNORE))
    classes = []
    for name, segment in zip(names, segments, strict=True):
        if name in known:
            classes.append(known[name])
        elif segment.value == IGNORE:
            classes.append(IGNORE)
        else:
            classes.append(next(stray for stray in strays if stray not in taken))
    return classes
