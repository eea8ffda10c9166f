"""Lumen-intima and media-adventitia boundaries, sub-pixel, from a probability map or a mask."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sequal.errors import MeasurementError
from sequal.labels import IGNORE, INTIMA_MEDIA

__all__ = ["Boundaries", "boundaries_from_mask", "boundaries_from_probability"]

_EIGHT_NEIGHBOURS: Final = np.ones((3, 3), dtype=bool)
#: A component continues the layer across a gap when its depth departs by at most this many pixels a column.
_STEEPEST_SLOPE: Final = 0.3
#: Share of its columns that a component may have in common with the layer that it continues.
_LARGEST_OVERLAP: Final = 0.1
#: A hole, or a notch in a ragged end, may be this part of the layer's mean thickness high.
_LARGEST_HOLE: Final = 0.5
#: Columns with something beside the layer, over those measured, that a notch or a stray stroke makes.
_STRAY_SHARE: Final = 0.02
#: Components looked at, widest first: a noisy map has tens of thousands, and the layer is not among the last.
_MOST_COMPONENTS: Final = 2000


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Depth of both boundaries in every column.

    Attributes:
        li: Lumen-intima, float64 `(W,)`, pixels (centre of the first row is 0), NaN where there is none.
        ma: Media-adventitia, the same; never above `li`.
        crowded: Columns in which something is drawn beside the layer's own piece. It is never added to the thickness,
            but a reader has to know of it.

    Raises:
        MeasurementError: The arrays differ in length, have more than one axis, or cross.
    """

    li: NDArray[np.float64]
    ma: NDArray[np.float64]
    crowded: int = 0

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        if self.li.ndim != 1 or self.li.shape != self.ma.shape:
            raise MeasurementError(
                f"Expected `li` and `ma` to be of one length, got {self.li.shape} and {self.ma.shape}. "
                "Give one depth a column, NaN where there is none."
            )
        crossing = np.flatnonzero(self.ma < self.li)
        if crossing.size:
            raise MeasurementError(
                f"Expected `ma` to lie below `li`, got the reverse in {crossing.size} columns, first in "
                f"{crossing[0]}. Swap the two, or check the axis order (depth grows along the second axis)."
            )

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Columns `(W,)` that have both boundaries."""
        return np.isfinite(self.li) & np.isfinite(self.ma)

    @property
    def several_pieces(self) -> bool:
        """Whether more is drawn beside the layer's own piece than a notch in it or a stray stroke."""
        return self.crowded > max(1.0, _STRAY_SHARE * int(self.measured.sum()))

    def within(self, columns: NDArray[np.bool_]) -> "Boundaries":
        """The same in the columns `(W,)` that are True, NaN in the others."""
        return Boundaries(np.where(columns, self.li, np.nan), np.where(columns, self.ma, np.nan))


def boundaries_from_probability(
    probability: NDArray[Any], *, threshold: float = 0.5, min_thickness_px: float = 1.0
) -> Boundaries:
    """Find where the probability of the layer crosses the threshold, column by column.

    The layer is the connected component (eight neighbours, enclosed holes filled) that spans the most
    columns, because the far wall crosses the image from side to side, plus the components that continue it
    across a gap at a depth that fits. In each column its longest run counts, whatever else is drawn (see
    `Boundaries.crowded`), and the boundary is interpolated linearly between the pixel centres on both sides of
    the crossing.

    Args:
        probability: `(W, H)`, 0 to 1.
        threshold: Between 0 and 1, exclusive.
        min_thickness_px: Columns with a thinner layer have none.

    Returns:
        The boundaries. A column has NaN in both where there is no layer, where it is too thin, and where it
        is cut by the upper or lower edge of the image. An empty map gives NaN everywhere.

    Raises:
        MeasurementError: The map is not two-dimensional, not finite or not within 0 to 1, or the threshold
            is not.

    >>> found = boundaries_from_probability(np.array([[0.0, 0.25, 0.75, 1.0, 1.0, 0.5, 0.0]]))
    >>> found.li.tolist(), found.ma.tolist()
    ([1.5], [5.0])
    """
    values = _checked(probability, threshold)
    foreground = values >= threshold
    layer = _layer(foreground)
    columns, first, last = _longest_runs(layer)
    inside = (first > 0) & (last < values.shape[1] - 1)
    columns, first, last = columns[inside], first[inside], last[inside]
    upper, lower = values[columns, first], values[columns, last]
    li = first - (upper - threshold) / (upper - values[columns, first - 1])
    ma = last + (lower - threshold) / (lower - values[columns, last + 1])
    thick = ma - li >= min_thickness_px
    crowded = _crowded(foreground, layer, columns[thick], (last - first + 1)[thick])
    return _spread(columns[thick], li[thick], ma[thick], values.shape[0], crowded)


def boundaries_from_mask(mask: NDArray[Any], *, min_thickness_px: float = 1.0) -> Boundaries:
    """Boundaries of the pixels of class 1: half a pixel outside the first and the last row of the run.

    A pixel at depth y is inside when `li <= y < ma`, so the first row is ceil(li) and the last ceil(ma) - 1.
    For boundaries at random sub-pixel depths, ceil(li) - 1/2 and ceil(ma) - 1/2 err evenly within half a
    pixel to both sides: no bias in the mean. It is also the 0.5 crossing of the mask itself, so a mask and
    its blurred copy agree.

    Args:
        mask: `(W, H)` label; only class 1 belongs to the layer.
        min_thickness_px: Columns with a thinner layer have none.

    Returns:
        The boundaries, NaN as in `boundaries_from_probability`, and also where the layer borders on pixels
        that are not annotated (255), because its boundary is unknown there.

    Raises:
        MeasurementError: The mask is not two-dimensional.

    >>> found = boundaries_from_mask(np.array([[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]]))
    >>> found.li.tolist(), found.ma.tolist()
    ([1.5, nan], [4.5, nan])
    """
    found = boundaries_from_probability(
        (np.asarray(mask) == INTIMA_MEDIA).astype(np.float64), min_thickness_px=min_thickness_px
    )
    columns = np.flatnonzero(found.measured)
    above = np.asarray(mask)[columns, np.round(found.li[columns] - 0.5).astype(int)]
    below = np.asarray(mask)[columns, np.round(found.ma[columns] + 0.5).astype(int)]
    unknown = columns[(above == IGNORE) | (below == IGNORE)]
    li, ma = found.li.copy(), found.ma.copy()
    li[unknown] = ma[unknown] = np.nan
    return Boundaries(li, ma, found.crowded)


def _checked(probability: NDArray[Any], threshold: float) -> NDArray[np.float64]:
    values = np.asarray(probability, dtype=np.float64)
    if values.ndim != 2:
        raise MeasurementError(
            f"Expected the map to be (W, H), got {values.shape}. Measure the frames of a clip one by one."
        )
    if values.size and not (values.min() >= 0.0 and values.max() <= 1.0):
        raise MeasurementError(
            f"Expected the map to lie within 0 to 1, got {values.min():g} to {values.max():g}. "
            "Give probabilities, not logits."
        )
    if not 0.0 < threshold < 1.0:
        raise MeasurementError(f"Expected `threshold` to lie between 0 and 1, got {threshold}. Use 0.5.")
    return values


def _layer(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The component with the most columns and those that continue it, holes filled."""
    labelled, count = ndimage.label(foreground, structure=_EIGHT_NEIGHBOURS)
    if count == 0:
        return np.zeros(foreground.shape, dtype=bool)
    boxes = ndimage.find_objects(labelled)
    pixels = np.bincount(labelled.ravel(), minlength=count + 1)[1:]
    # A connected component is in every column of its box, so the width of the box is its number of columns.
    order = sorted(range(count), key=lambda i: (boxes[i][0].start - boxes[i][0].stop, -pixels[i], i))
    layer = np.zeros(foreground.shape, dtype=bool)
    centre = np.full(foreground.shape[0], np.nan)
    for index in order[:_MOST_COMPONENTS]:
        across, along = boxes[index]
        part = labelled[across, along] == index + 1
        middle = along.start + (part * np.arange(part.shape[1])).sum(axis=1) / part.sum(axis=1)
        free = np.isnan(centre[across])
        if index != order[0] and not _continues(centre, across.start, middle, free, part.sum(axis=1).mean()):
            continue
        layer[across, along] |= part & free[:, np.newaxis]
        centre[across] = np.where(free, middle, centre[across])
    return _filled(layer)


def _filled(layer: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The layer without its small holes.

    A hole that is high against the layer is the lumen between two walls that touch somewhere: filling it
    would add their thicknesses and the lumen's.
    """
    out = layer.copy()
    boxes = ndimage.find_objects(layer.astype(np.uint8))
    if not boxes:
        return out
    layer = layer[boxes[0]]  # outside its box there is no hole
    highest = _LARGEST_HOLE * layer.sum(axis=1)[layer.any(axis=1)].mean()
    holes, count = ndimage.label(ndimage.binary_fill_holes(layer) & ~layer)
    filled = out[boxes[0]]
    for number, (across, along) in enumerate(ndimage.find_objects(holes, count), start=1):
        part = holes[across, along] == number
        if part.sum(axis=1).max() <= max(highest, 1.0):
            filled[across, along] |= part
    return out


def _continues(
    centre: NDArray[np.float64],
    start: int,
    middle: NDArray[np.float64],
    free: NDArray[np.bool_],
    thickness: float,
) -> bool:
    """Whether a component in mostly free columns lies at the depth at which the layer would go on.

    Args:
        centre: `(W,)` depth of the layer so far, NaN in columns that it does not have.
        start: First column of the component.
        middle: `(w,)` depth of the component.
        free: `(w,)` columns that the layer does not have yet.
        thickness: Mean thickness of the component, the depth it may be off beside a closed gap.
    """
    if free.mean() < 1.0 - _LARGEST_OVERLAP:
        return False
    ours = np.flatnonzero(free)
    taken = np.flatnonzero(~np.isnan(centre))
    gaps = np.abs(taken[:, np.newaxis] - (start + ours[[0, -1]]))
    nearest, end = np.unravel_index(int(gaps.argmin()), gaps.shape)
    step = abs(centre[taken[nearest]] - middle[ours[[0, -1][end]]])
    return bool(step <= thickness + _STEEPEST_SLOPE * gaps[nearest, end])


def _longest_runs(layer: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Columns with a layer; first and last row of the longest run in each (the upper one of equals)."""
    edges = np.diff(np.pad(layer, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    columns, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[1] - 1
    order = np.lexsort((first, first - last, columns))
    columns, chosen = np.unique(columns[order], return_index=True)
    return columns, first[order][chosen], last[order][chosen]


def _crowded(
    foreground: NDArray[np.bool_], layer: NDArray[np.bool_], columns: NDArray[np.intp], height: NDArray[np.intp]
) -> int:
    """Columns with something drawn beside the measured run, but for the notches of a ragged edge.

    Args:
        foreground: `(W, H)`, all that is drawn.
        layer: `(W, H)`, the pieces that make the layer.
        columns: `(n,)`, measured columns.
        height: `(n,)`, pixels of the measured run in each.
    """
    crowded = (foreground & ~layer).any(axis=1)
    if columns.size:
        drawn = layer[columns]
        extent = drawn.shape[1] - drawn.argmax(axis=1) - drawn[:, ::-1].argmax(axis=1)
        # The rounded end of a slanting wall shows twice in a column or two, a few pixels apart: that is no second wall.
        crowded[columns] |= extent - drawn.sum(axis=1) > max(_LARGEST_HOLE * height.mean(), 1.0)
    return int(crowded.sum())


def _spread(
    columns: NDArray[np.intp], li: NDArray[np.float64], ma: NDArray[np.float64], width: int, crowded: int
) -> Boundaries:
    """Full-width arrays from the columns that have a layer thick enough."""
    full_li, full_ma = np.full(width, np.nan), np.full(width, np.nan)
    full_li[columns], full_ma[columns] = li, ma
    return Boundaries(full_li, full_ma, crowded)
