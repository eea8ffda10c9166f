"""An expert's label as the DICOM segmentation that goes to the PACS."""

from pathlib import Path

from pydicom.dataset import Dataset

from lib.dicom import ImageIdentity, OutgoingLabel, completed_headers, label_segmentation
from lib.errors import LabelError, SequalError
from lib.imaging import read_frame, read_label
from lib.imaging.dicom_series import read_series_headers

__all__ = ["outgoing_segmentation"]


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
    headers = read_series_headers(instances)
    series = str(headers[0].SeriesInstanceUID)
    identity = ImageIdentity(str(headers[0].get("PatientID") or ""), series, f"{series} {created}")
    if len(headers) == 1 and frame.grid[2] > 1:
        raise LabelError(
            f"Expected series {series} to hold one frame an instance, got a clip in one instance, whose labels no "
            "segmentation of this app can hold. The label stays here, and is used all the same; `cli.py import` and "
            "`cli.py to-dicom` bring the clip into a form that the PACS takes labels of."
        )
    try:
        headers = completed_headers(headers, frame.calibration.spacing_mm)
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
