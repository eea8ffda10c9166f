"""What of a predicted layer cannot be a wall: specks, a second layer, the scan's edge, a cut vessel, no lumen above."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label

__all__ = [
    "clean_layer",
    "drop_cut_across",
    "drop_pieces_at_margin",
    "drop_short_pieces",
    "drop_without_lumen",
    "keep_one_layer",
    "layer_length",
    "lumen_unevenness",
]

#: A piece is also short beside a longer one: when it has less than this part of its length.
_PART_OF_LONGEST: Final = 0.25
#: A grey value within this part of the frame's range of its column's first pixel is still the margin's: two of 255
#: levels, for pictures that were compressed. Speckle, even that of a dark lumen, differs by more.
_SAME_GREY: Final = 0.008
#: A wall has at least this much of the scan above it.
_SCAN_ABOVE_MM: Final = 2.0
#: A deeper layer with this part of the evidence of the one above it is the artery's wall.
_COMPARABLE: Final = 0.6
#: A column is the scan's when at least this part of it is not the margin's grey value.
_SCANNED: Final = 0.3
#: A vessel that is cut across has a far wall in less than this part of the scan's width.
_CUT_PART: Final = 0.4
#: A layer is doubted when its probabilities promise a Dice that is lower than 1 by this, over its part of the width.
_DOUBTED: Final = 0.16
#: A doubted layer goes when this is exceeded by the doubt times the unevenness of what should be its lumen.
_NO_WALL: Final = 0.03
#: A lumen up to this many times as uneven as one above a labelled layer is believed.
_AS_LABELLED: Final = 1.5
#: Where the lumen is looked for, above the layer, and the tissue, below it, mm.
_LUMEN_MM: Final = (0.3, 3.5)
_TISSUE_MM: Final = 0.6
_NEIGHBOURS: Final = np.ones((3, 3), dtype=np.uint8)


def clean_layer(
    probability: NDArray[np.float32],
    pixels: NDArray[np.float32],
    pixel_mm: tuple[float, float],
    min_length_mm: float,
    labelled: float | None,
    shortest_mm: float,
) -> NDArray[np.float32]:
    """The probability without what cannot be a wall: the rules of this file, in their order.

    Args:
        probability: float32 (W, H), of the layer.
        pixels: float32 (W, H), grey values on any scale.
        pixel_mm: width and height of a pixel.
        min_length_mm: as for `drop_short_pieces`; with 0 nothing is dropped by any rule.
        labelled: as for `drop_without_lumen`; None: a layer needs no lumen above it, and may be short.
        shortest_mm: as for `drop_cut_across`.

    Returns:
        A new array, or the given one when nothing was dropped.
    """
    if min_length_mm <= 0:
        return probability
    dx, dy = pixel_mm
    inside = drop_pieces_at_margin(probability, pixels, dy)
    layer = keep_one_layer(drop_short_pieces(inside, dx, min_length_mm))
    if labelled is None:
        return layer
    return drop_cut_across(drop_without_lumen(layer, pixels, dy, labelled), pixels, dx, shortest_mm)


def drop_short_pieces(probability: NDArray[np.float32], pixel_mm: float, min_length_mm: float) -> NDArray[np.float32]:
    """The probability with short pieces of its mask (p > 0.5, eight neighbours) set to 0.

    Args:
        probability: float32 (W, H), of the layer.
        pixel_mm: width of a pixel.
        min_length_mm: a piece that is laterally shorter goes, and so does one shorter than a quarter of the longest;
            with 0 nothing is dropped.

    Returns:
        A new array, or the given one when nothing was dropped.

    >>> row = np.array([[0.75], [0.75], [0.75], [0.25], [0.75], [0.25]], dtype=np.float32)
    >>> drop_short_pieces(row, pixel_mm=1.0, min_length_mm=2.0).ravel().tolist()
    [0.75, 0.75, 0.75, 0.25, 0.0, 0.25]
    """
    if min_length_mm <= 0:
        return probability
    pieces, count = label(probability > 0.5, structure=_NEIGHBOURS)
    if not count:
        return probability
    lengths = np.array([columns.stop - columns.start for columns, _ in find_objects(pieces)]) * pixel_mm
    short = (lengths < min_length_mm) | (lengths < _PART_OF_LONGEST * lengths.max())
    if not short.any():
        return probability
    kept = probability.copy()
    kept[np.isin(pieces, 1 + np.flatnonzero(short))] = 0.0
    return kept


def keep_one_layer(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability with one layer in a column: there is one far wall, so a second one is a mistake.

    The pieces of the mask (p > 0.5, eight neighbours) are taken by their summed probability, the greatest first. But
    of two pieces above each other the deeper one comes first when its sum is at least 0.6 of the other's: the jugular
    vein lies above the artery, and its wall looks like the artery's. A later piece is set to 0 in columns that are
    taken, and it goes altogether when more than half of its columns are.

    Args:
        probability: float32 (W, H), of the layer.

    Returns:
        A new array, or the given one when nothing was dropped.

    >>> keep_one_layer(np.array([[0.75, 0.25, 1.0], [0.25, 0.25, 1.0]], dtype=np.float32)).tolist()
    [[0.0, 0.25, 1.0], [0.25, 0.25, 1.0]]
    """
    pieces, count = label(probability > 0.5, structure=_NEIGHBOURS)
    if count < 2:
        return probability
    weights = np.bincount(pieces.ravel(), probability.ravel(), count + 1)[1:]
    taken = np.zeros(len(probability), dtype=bool)
    kept = probability.copy()
    for number in _artery_before_vein(pieces, weights):
        piece = pieces == number
        columns = piece.any(axis=1)
        if np.count_nonzero(columns & taken) > 0.5 * np.count_nonzero(columns):
            kept[piece] = 0.0
            continue
        kept[piece & taken[:, None]] = 0.0
        taken |= columns
    return kept if (kept != probability).any() else probability


def _artery_before_vein(pieces: NDArray[np.int32], weights: NDArray[Any]) -> list[int]:
    """Numbers of the pieces, from 1, in the order in which they are taken."""
    masks = [pieces == number for number in range(1, len(weights) + 1)]
    columns = [mask.any(axis=1) for mask in masks]
    depths = [float(np.nonzero(mask)[1].mean()) for mask in masks]

    def goes_first(one: int, other: int) -> bool:
        shared = np.count_nonzero(columns[one] & columns[other])
        above_each_other = shared > 0.5 * min(np.count_nonzero(columns[one]), np.count_nonzero(columns[other]))
        return above_each_other and depths[one] > depths[other] and weights[one] >= _COMPARABLE * weights[other]

    order: list[int] = []
    for piece in np.argsort(-weights, kind="stable").tolist():
        place = len(order)
        while place and goes_first(piece, order[place - 1]):
            place -= 1
        order.insert(place, piece)
    return [piece + 1 for piece in order]


def drop_pieces_at_margin(
    probability: NDArray[np.float32], pixels: NDArray[np.float32], pixel_mm: float
) -> NDArray[np.float32]:
    """The probability without the pieces of its mask that lie at the upper edge of the scan.

    Where the picture's margin is black, its border with the bright skin looks like a lumen and a wall. What differs
    from the first pixel of its column counts as scan; a piece goes when there is less than 2 mm of that above it, and
    mostly that in the 2 mm below it, each in the median over its columns.

    Args:
        probability: float32 (W, H), of the layer.
        pixels: float32 (W, H), grey values on any scale.
        pixel_mm: height of a pixel.

    Returns:
        A new array, or the given one when nothing was dropped.
    """
    pieces, count = label(probability > 0.5, structure=_NEIGHBOURS)
    if not count:
        return probability
    scan = _scanned(pixels)
    before: NDArray[np.intp] = np.pad(np.cumsum(scan, axis=1), ((0, 0), (1, 0)))  # scan above each row, and in all
    reach = _SCAN_ABOVE_MM / pixel_mm
    dropped = [
        number
        for number, (columns, rows) in enumerate(find_objects(pieces), 1)
        if _at_edge(pieces[columns, rows] == number, before[columns], rows.start, reach)
    ]
    if not dropped:
        return probability
    kept = probability.copy()
    kept[np.isin(pieces, dropped)] = 0.0
    return kept


def _scanned(pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where (W, H) a picture differs from the first pixel of its column, which is the margin's."""
    return np.abs(pixels - pixels[:, :1]) > _SAME_GREY * float(pixels.max() - pixels.min())


def _at_edge(piece: NDArray[np.bool_], before: NDArray[np.intp], first_row: int, reach: float) -> bool:
    """Whether the scan begins at a piece: under `reach` pixels of it above, mostly scan in as many below.

    The piece, cut out of its frame, fills every column of the cut.
    """
    columns, height = np.arange(len(piece)), before.shape[1] - 1
    top = first_row + piece.argmax(axis=1)
    end = first_row + piece.shape[1] - piece[:, ::-1].argmax(axis=1)
    below = np.minimum(end + max(1, round(reach)), height)
    part = (before[columns, below] - before[columns, end]) / np.maximum(below - end, 1)
    return bool(np.median(before[columns, top]) < reach and np.median(part) > 0.5)


def drop_cut_across(
    probability: NDArray[np.float32], pixels: NDArray[np.float32], pixel_mm: float, shortest_mm: float
) -> NDArray[np.float32]:
    """The probability, or none at all of a layer that is as short as a vessel is wide.

    The lower wall of an artery that is cut across is an arc below a lumen, and is found as a layer. It is no longer
    than the artery is wide, and the scan goes on at both sides of it.

    Args:
        probability: float32 (W, H), of the layer.
        pixels: float32 (W, H), grey values on any scale.
        pixel_mm: width of a pixel.
        shortest_mm: a layer that is shorter goes, if it lies in less than 0.4 of the scan's width.

    Returns:
        Zeros, or the given array.
    """
    mask = probability > 0.5
    if not mask.any() or layer_length(mask, pixel_mm) >= shortest_mm or _part_of_width(mask, pixels) >= _CUT_PART:
        return probability
    return np.zeros_like(probability)


def layer_length(mask: NDArray[np.bool_], pixel_mm: float) -> float:
    """Columns of a layer (W, H) that hold it, in mm.

    >>> layer_length(np.eye(3, dtype=bool), 0.5)
    1.5
    """
    return np.count_nonzero(mask.any(axis=1)) * pixel_mm


def drop_without_lumen(
    probability: NDArray[np.float32], pixels: NDArray[np.float32], pixel_mm: float, labelled: float = 0.0
) -> NDArray[np.float32]:
    """The probability, or none at all of a layer that the network is unsure of and that no lumen lies above.

    The far wall of an artery crosses the picture under its lumen, which is dark, or evenly grey where there is fog.
    Sheaths of muscle have streaky tissue on both sides, and networks that take them for a wall are unsure of it or find
    a part of it alone (`docs/command-line.md`, *pretrain*). The doubt is 1 minus the Dice that the probabilities
    promise, over the part of the scan's width that has the layer. The more doubt, the more even the lumen has to be
    (`lumen_unevenness`); but where labels lie below an uneven one, one that is 1.5 times as uneven will do.

    Args:
        probability: float32 (W, H), of the layer.
        pixels: float32 (W, H), grey values on any scale.
        pixel_mm: height of a pixel.
        labelled: an uneven lumen above the layer, by the labels that taught the network; 0: none did.

    Returns:
        Zeros, or the given array.
    """
    mask = probability > 0.5
    if not mask.any():
        return probability
    pixels_of_both = float(probability.sum()) + np.count_nonzero(mask)
    doubt = (1.0 - 2.0 * float(probability[mask].sum()) / pixels_of_both) / _part_of_width(mask, pixels)
    if doubt < _DOUBTED:
        return probability
    unevenness = lumen_unevenness(mask, pixels, pixel_mm)
    if unevenness is None or doubt * unevenness <= _NO_WALL or unevenness <= _AS_LABELLED * labelled:
        return probability
    return np.zeros_like(probability)


def _part_of_width(mask: NDArray[np.bool_], pixels: NDArray[np.float32]) -> float:
    """Columns of a layer over those of layer and scan, 0..1."""
    columns = mask.any(axis=1)
    return np.count_nonzero(columns) / np.count_nonzero(columns | (_scanned(pixels).mean(axis=1) >= _SCANNED))


def lumen_unevenness(mask: NDArray[np.bool_], pixels: NDArray[np.float32], pixel_mm: float) -> float | None:
    """Standard deviation of the grey values 0.3 to 3.5 mm above a layer over their mean in the 0.6 mm below it.

    Args:
        mask: (W, H), the layer.
        pixels: float32 (W, H), grey values on any scale; the mean is that above black.
        pixel_mm: height of a pixel.

    Returns:
        ≥ 0, about 0 below a dark lumen and 0.1 to 0.5 below tissue, infinite where only what is below is black; None
        without a layer, or where one side lies outside.
    """
    if not mask.any():
        return None
    height = mask.shape[1]
    top, end = mask.argmax(axis=1)[:, None], height - mask[:, ::-1].argmax(axis=1)[:, None]
    rows, columns = np.arange(height), mask.any(axis=1)[:, None]
    near, far = (mm / pixel_mm for mm in _LUMEN_MM)
    above = columns & (rows >= top - far) & (rows < top - near)
    below = columns & (rows >= end) & (rows < end + max(1.0, _TISSUE_MM / pixel_mm))
    if not (above.any() and below.any()):
        return None
    spread, tissue = float(pixels[above].std()), float(pixels[below].mean() - np.percentile(pixels, 0.5))
    if tissue <= 0:
        return math.inf if spread > 0 else 0.0
    return spread / tissue
