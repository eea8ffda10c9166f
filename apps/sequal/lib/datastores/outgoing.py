"""An expert's label as the DICOM segmentation that goes to the PACS."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from lib.dicom import ImageIdentity, OutgoingLabel, label_segmentation
from lib.errors import LabelError, SequalError
from lib.imaging import read_frame, read_label
from lib.imaging.dicom_series import read_series_headers

__all__ = ["outgoing_segmentation"]

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


def outgoing_segmentation(image: Path, label: Path, instances: Path, created: int) -> Dataset:
    """The segmentation of a label, on every instance of its series.

    Args:
        image: the image's file.
        label: the label's file.
        instances: folder of the image's DICOM instances.
        created: when the label was submitted, seconds since the epoch; the same label submitted again later is
            another object.

    Raises:
        LabelError: the label cannot be written as a segmentation.
        ImageError: the image cannot be read.
    """
    frame = read_frame(image)
    headers = [_completed(header, frame.calibration.spacing_mm) for header in read_series_headers(instances)]
    series = str(headers[0].SeriesInstanceUID)
    identity = ImageIdentity(str(headers[0].PatientID), series, f"{series} {created}")
    try:
        return label_segmentation(
            headers, OutgoingLabel("final", read_label(label, frame.grid, layout=frame.layout), created), identity
        )
    except SequalError:
        raise
    # highdicom asks much of images, and scanners write what they like.
    except Exception as error:
        raise LabelError(
            f"Expected the images of series {series} to be fit for a DICOM segmentation, got "
            f"{type(error).__name__} ({str(error).rstrip('.')}). The label stays here, and is used all the same."
        ) from error


def _completed(header: Dataset, spacing_mm: Sequence[float] | None) -> Dataset:
    """An image's header with everything that a segmentation needs; what is unknown stays empty."""
    for keyword in _EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    if "PixelSpacing" not in header:
        dx, dy = spacing_mm or (1.0, 1.0)
        header.PixelSpacing = [dy, dx]
    if not all(_has(header, keyword) for keyword in _GEOMETRY):
        # Half a geometry is none: the segmentation then refers to its images alone.
        for keyword in _GEOMETRY:
            if keyword in header:
                delattr(header, keyword)
    return header


def _has(header: Any, keyword: str) -> bool:  # noqa: ANN401 - pydicom is not typed
    return bool(header.get(keyword))
