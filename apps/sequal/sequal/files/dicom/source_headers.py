"""Headers of any scanner's images in the form that a segmentation of them needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from sequal.files.dicom.grid import FRAME_ORIENTATION, slice_position
from sequal.files.dicom.uids import content_uid

__all__ = ["completed_headers", "completed_volume_headers"]

#: Elements that a segmentation takes over from its images, and that an image may lack.
_EMPTY: Final = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_GEOMETRY: Final = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient")
_JPEG, _JPEG_LS, _JPEG_2000, _HTJ2K = "ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_15"
#: Lossy Image Compression Method (DICOM PS3.3 C.7.6.1.1.5.1) by the end of the transfer syntax that lost something.
_METHODS: Final = {"50": _JPEG, "51": _JPEG, "81": _JPEG_LS, "91": _JPEG_2000, "203": _HTJ2K}
_COMPRESSED: Final = "1.2.840.10008.1.2.4."
_UNKNOWN_METHOD: Final = "UNKNOWN"


def completed_headers(headers: Sequence[Dataset], spacing_mm: Sequence[float] | None) -> list[Dataset]:
    """Complete the headers of a series, in place.

    What is unknown stays empty. Several instances without a place in one frame of reference get one that is made up,
    one step apart in the order of the series, as this app's own images have it: a segmentation names each image that a
    frame of it belongs to, so that the places are never needed to find it again. A single instance needs none.

    Args:
        headers: of the instances without pixels, in the order of their slices.
        spacing_mm: (dx, dy) for those without PixelSpacing; None: 1 mm, which this app takes for none.
    """
    for header in headers:
        _complete(header)
        if len(_numbers(header, "PixelSpacing")) != 2:
            dx, dy = spacing_mm or (1.0, 1.0)
            header.PixelSpacing = [dy, dx]
    if not _in_one_frame_of_reference(headers):
        _place(headers)
    return list(headers)


def completed_volume_headers(headers: Sequence[Dataset]) -> list[Dataset]:
    """Complete the headers of a volume, in place: its slices have their places, and these stay.

    Args:
        headers: of the instances without pixels.
    """
    references = {str(header.get("FrameOfReferenceUID") or "") for header in headers}
    for header in headers:
        _complete(header)
        if len(references) > 1 or not all(references):
            header.FrameOfReferenceUID = content_uid("made-up frame of reference", str(header.SeriesInstanceUID))
    return list(headers)


def _complete(header: Dataset) -> None:
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if str(header.get("NumberOfFrames") or "1") == "1" and "NumberOfFrames" in header:
        del header.NumberOfFrames
    _complete_lossy(header)


def _complete_lossy(header: Dataset) -> None:
    """Ratio and method belong to lossy compression; scanners leave them out."""
    syntax = str(header.file_meta.get("TransferSyntaxUID", "")) if hasattr(header, "file_meta") else ""
    method = _METHODS.get(syntax.removeprefix(_COMPRESSED)) if syntax.startswith(_COMPRESSED) else None
    if method is not None:
        header.LossyImageCompression = "01"
    if str(header.get("LossyImageCompression") or "") != "01":
        return
    if not header.get("LossyImageCompressionMethod"):
        header.LossyImageCompressionMethod = method or _UNKNOWN_METHOD
    if not _numbers(header, "LossyImageCompressionRatio"):
        header.LossyImageCompressionRatio = f"{_ratio(header):.1f}"


def _ratio(header: Dataset) -> float:
    """Bytes of the pixels to bytes of the file that holds them."""
    file = Path(str(getattr(header, "filename", "")))
    bytes_of = int(header.get("SamplesPerPixel") or 1) * int(header.get("BitsAllocated") or 8) // 8
    pixels = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
    return max(pixels * bytes_of / max(file.stat().st_size, 1), 1.0) if file.is_file() else 1.0


def _in_one_frame_of_reference(headers: Sequence[Dataset]) -> bool:
    """Whether all instances have places of their own in one and the same frame of reference."""
    places = {tuple(_numbers(header, "ImagePositionPatient")) for header in headers}
    directions = [_numbers(header, "ImageOrientationPatient") for header in headers]
    return (
        len({str(header.get("FrameOfReferenceUID") or "") for header in headers}) == 1
        and bool(headers[0].get("FrameOfReferenceUID"))
        and len(places) == len(headers)
        and all(len(place) == 3 for place in places)
        and all(_are_directions(numbers) and np.allclose(numbers, directions[0]) for numbers in directions)
    )


def _are_directions(numbers: Sequence[float]) -> bool:
    if len(numbers) != 6:
        return False
    across, down = np.array(numbers[:3]), np.array(numbers[3:])
    return bool(np.allclose([across @ across, down @ down, across @ down], [1.0, 1.0, 0.0], atol=1e-3))


def _place(headers: Sequence[Dataset]) -> None:
    if len(headers) == 1:
        # Half a geometry is none: the segmentation then refers to its image alone.
        for keyword in _GEOMETRY:
            if keyword in headers[0]:
                delattr(headers[0], keyword)
        return
    reference = content_uid("made-up frame of reference", str(headers[0].SeriesInstanceUID))
    for index, header in enumerate(headers):
        header.FrameOfReferenceUID = reference
        header.ImageOrientationPatient = list(FRAME_ORIENTATION)
        # Slices are counted along the normal, instances of the app's own images against it.
        header.ImagePositionPatient = list(slice_position(len(headers) - 1 - index))


def _numbers(header: Any, keyword: str) -> list[float]:  # noqa: ANN401 - pydicom is not typed
    """The finite values of an element; none when it is absent, empty or malformed."""
    value = header.get(keyword)
    try:
        numbers = [float(part) for part in (value if hasattr(value, "__iter__") else [value])]
    except (TypeError, ValueError):
        return []
    return numbers if np.isfinite(numbers).all() else []
