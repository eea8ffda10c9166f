"""The slices of a CT, MR or PET series: where each lies, in which order they stand, whether they make a volume."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError

__all__ = ["FEWEST_SLICES", "VolumeSlices", "volume_slices"]

#: Of fewer slices nothing is a volume.
FEWEST_SLICES: Final = 4
#: Direction cosines that differ by more are another direction.
_SAME_DIRECTION: Final = 1e-3
#: A slice lies in its place when it misses it by less than this part of a step.
_UNEVEN: Final = 0.1
#: Slices that lie nearer to each other lie in one place.
_SAME_PLACE_MM: Final = 0.01
#: By so many pixels the slices may be shifted against each other.
_SHIFTED: Final = 0.5
#: From DICOM's patient axes (left, back, head) to nibabel's (right, front, head).
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0])
_GREY: Final = "MONOCHROME2"
_CURE: Final = "Send it to the PACS as a series of its own, or leave it out."


@dataclass(frozen=True, eq=False)
class VolumeSlices:
    """The slices of a volume.

    Attributes:
        order: for each slice of the volume, the instance and the frame in it, from 0; along the normal of the images,
            as ITK (and so MONAI Label and 3D Slicer) and OHIF stack them.
        grid: columns, rows, slices: the shape of the volume's array.
        affine: float64 (4, 4), voxel to RAS millimetres, at right angles.
    """

    order: tuple[tuple[int, int], ...]
    grid: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def planes(self) -> list[int]:
        """For each slice, its place among all frames of the series in the order of the headers."""
        return [instance + frame for instance, frame in self.order]  # one of the two is 0 throughout

    @property
    def step_mm(self) -> float:
        """Between slices, from their positions."""
        return float(np.linalg.norm(self.affine[:3, 2]))


@dataclass(frozen=True, eq=False)
class _Slice:
    instance: int
    frame: int
    position: NDArray[np.float64]
    axes: NDArray[np.float64]  # (2, 3): direction of a row, direction of a column
    spacing: NDArray[np.float64]  # between rows, between columns


def volume_slices(headers: Sequence[Any], name: str) -> VolumeSlices:
    """Order the slices of a series by their positions, and see that they make a volume.

    Neither instance numbers nor SliceThickness are believed: the first are given in any order, the second is no
    distance.

    Args:
        headers: of the instances, pydicom's data sets; pixels are not needed. Several of one frame each, or one
            enhanced instance with a frame a slice.
        name: of the series, for messages.

    Raises:
        ImageError: they make none; the message says why.
    """
    try:
        return _ordered(headers, name)
    except ImageError:
        raise
    # What stands in a header may be of any kind, down to words where numbers are expected.
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise _no_volume(name, "readable headers", type(error).__name__) from error


def _ordered(headers: Sequence[Any], name: str) -> VolumeSlices:
    _check_kind(headers, name)
    slices = [found for index, header in enumerate(headers) for found in _of_instance(index, header, name)]
    sizes = sorted({(int(header.Columns), int(header.Rows)) for header in headers})
    if len(sizes) > 1:
        raise _no_volume(name, "slices of one size", " and ".join(f"{w} x {h}" for w, h in sizes))
    first = slices[0]
    if any(np.abs(one.axes - first.axes).max() > _SAME_DIRECTION for one in slices):
        raise _no_volume(name, "slices of one orientation", "several, as localisers have them")
    if any(not np.allclose(one.spacing, first.spacing, rtol=1e-3) for one in slices):
        raise _no_volume(name, "slices of one PixelSpacing", "several")
    if len(slices) < FEWEST_SLICES:
        raise _no_volume(name, f"at least {FEWEST_SLICES} slices", str(len(slices)))
    normal = np.cross(*first.axes)
    slices.sort(key=lambda one: float(normal @ one.position))
    step = _even_step(slices, normal, name)
    down, across = first.spacing
    affine = np.eye(4)
    affine[:3, :3] = _LPS_TO_RAS @ np.stack([first.axes[0] * across, first.axes[1] * down, normal * step], axis=1)
    affine[:3, 3] = _LPS_TO_RAS @ slices[0].position
    order = tuple((one.instance, one.frame) for one in slices)
    return VolumeSlices(order, (*sizes[0], len(slices)), affine)


def _check_kind(headers: Sequence[Any], name: str) -> None:
    for header in headers:
        if "LOCALIZER" in [str(value).upper() for value in header.get("ImageType") or ()]:
            raise _no_volume(name, "a volume", "a localiser (ImageType LOCALIZER)")
        if not header.get("Rows") or not header.get("Columns"):
            raise _no_volume(name, "images", "an object without Rows and Columns")
        photometric, samples = header.get("PhotometricInterpretation"), header.get("SamplesPerPixel") or 1
        if photometric != _GREY or int(samples) != 1:
            raise _no_volume(name, f"grey values ({_GREY})", f"{photometric} with {samples} values a pixel")
    if len(headers) > 1 and any(int(header.get("NumberOfFrames") or 1) > 1 for header in headers):
        raise _no_volume(name, "one enhanced instance or instances of one frame", f"{len(headers)} with several frames")


def _of_instance(index: int, header: Any, name: str) -> Iterator[_Slice]:  # noqa: ANN401 - pydicom is not typed
    """The slices of an instance; an enhanced one says where each frame lies in its functional groups."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    frames = header.get("PerFrameFunctionalGroupsSequence") or [header]
    for frame, own in enumerate(frames):
        holders = [header] if own is header else [own, shared]
        position = _numbers(holders, "PlanePositionSequence", "ImagePositionPatient", 3)
        directions = _numbers(holders, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        spacing = _numbers(holders, "PixelMeasuresSequence", "PixelSpacing", 2)
        axes = None if directions is None else directions.reshape(2, 3)
        square = axes is not None and np.allclose(axes @ axes.T, np.eye(2), atol=_SAME_DIRECTION)
        if position is None or axes is None or spacing is None or not square or (spacing <= 0).any():
            raise _no_volume(
                name,
                "every slice to say where it lies (ImagePositionPatient, ImageOrientationPatient, PixelSpacing)",
                "one that does not",
            )
        yield _Slice(index, frame, position, axes, spacing)


def _even_step(slices: Sequence[_Slice], normal: NDArray[np.float64], name: str) -> float:
    """Millimetres between slices, which are sorted."""
    away = np.stack([one.position - slices[0].position for one in slices])
    along = away @ normal
    places = 1 + int(np.count_nonzero(np.diff(along) > _SAME_PLACE_MM))
    if places < len(slices):
        raise _no_volume(
            name,
            "one slice at a position",
            f"{len(slices)} slices at {places} positions, as two acquisitions or phases in one series",
        )
    sideways = np.linalg.norm(away - np.outer(along, normal), axis=1)
    if sideways.max() > _SHIFTED * slices[0].spacing.min():
        degrees = np.degrees(np.arctan2(sideways[-1], along[-1]))
        raise _no_volume(
            name,
            "slices that lie above each other",
            f"some that are shifted by up to {sideways.max():.1f} mm, as with a gantry tilt of {degrees:.1f} degrees",
        )
    step = float(along[-1]) / (len(slices) - 1)
    if np.abs(along - step * np.arange(len(slices))).max() > _UNEVEN * step:
        gaps = np.diff(along)
        raise _no_volume(
            name,
            "slices at even distances",
            f"gaps from {gaps.min():.2f} to {gaps.max():.2f} mm, as where a slice is missing",
        )
    return step


def _numbers(holders: Sequence[Any], group: str, keyword: str, count: int) -> NDArray[np.float64] | None:
    """The values of an element, in a functional group or in the instance itself; None where they are no numbers."""
    for holder in holders:
        for item in [holder, *((holder.get(group) or ()) if holder is not None else ())]:
            try:
                values = np.array([float(value) for value in (item.get(keyword) if item is not None else None) or ()])
            except (TypeError, ValueError):
                return None
            if values.size == count and np.isfinite(values).all():
                return values
    return None


def _no_volume(name: str, expected: str, came: str) -> ImageError:
    return ImageError(f"Expected series {name} to have {expected}, got {came}. {_CURE}")
