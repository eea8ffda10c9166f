"""An expert's label as the DICOM segmentation that goes to the PACS."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset

from sequal.anatomy.model import Model
from sequal.errors import LabelError, SequalError
from sequal.files.dicom import (
    ImageIdentity,
    OutgoingLabel,
    completed_headers,
    completed_volume_headers,
    label_segmentation,
)
from sequal.files.imaging import read_frame
from sequal.files.imaging.dicom_series import read_series_headers
from sequal.files.imaging.volume_slices import volume_slices

__all__ = ["STATION", "outgoing_segmentation", "station_name"]

#: How the station name of a segmentation begins that a server of this app has sent.
STATION: Final = "SEQUAL-"


def station_name(salt: str) -> str:
    """What a segmentation says of the state from which it was sent; as long as DICOM allows.

    >>> station_name("the random text of a study")
    'SEQUAL-01cd11e40'
    """
    return STATION + hashlib.sha256(salt.encode()).hexdigest()[:9]


def outgoing_segmentation(
    model: Model, image: Path, label: Path, instances: Path, created: int, station: str
) -> Dataset:
    """The segmentation of a label on its series.

    Args:
        model: what is segmented.
        image: the image's file.
        label: the label's file.
        instances: folder of the image's DICOM instances.
        created: when the label was submitted, seconds since the epoch; the same label submitted again later is
            another object.
        station: name of the state that it comes from, see `station_name`.

    Raises:
        LabelError: the label cannot be written as a segmentation.
        ImageError: the image cannot be read.
    """
    frame = read_frame(image)
    headers = read_series_headers(instances)
    series = str(headers[0].SeriesInstanceUID)
    identity = ImageIdentity(str(headers[0].get("PatientID") or ""), series, f"{series} {created}")
    of_volume = model.spatial_dims == 3
    if len(headers) == 1 and frame.grid[2] > 1 and not of_volume:
        raise LabelError(
            f"Expected series {series} to hold one frame in each instance, got a clip in one instance, whose labels "
            "cannot be sent to the PACS. The label is kept at the server, and trainings use it. To have labels in the "
            "PACS, bring the clip in with `cli.py import` and send it with `cli.py to-dicom`."
        )
    try:
        values = model.drawn_on(label, frame)
        if of_volume:
            segmentation = _of_volume(headers, values, model.labels, created, identity)
        else:
            headers = completed_headers(headers, frame.calibration.spacing_mm)
            structures = None if model.is_layer else model.labels
            outgoing = OutgoingLabel("final", values, created, structures=structures)
            segmentation = label_segmentation(headers, outgoing, identity)
    except SequalError:
        raise
    # highdicom asks much of images, and scanners write what they like.
    except Exception as error:
        raise LabelError(
            f"Expected the images of series {series} to be fit for a DICOM segmentation, got "
            f"{type(error).__name__} ({str(error).rstrip('.')}). The label is kept at the server, and trainings use it."
        ) from error
    segmentation.StationName = station
    return segmentation


def _of_volume(
    headers: list[FileDataset],
    values: NDArray[np.uint8],
    labels: Mapping[str, int],
    created: int,
    identity: ImageIdentity,
) -> Dataset:
    slices = volume_slices(headers, identity.image)
    frames = np.empty_like(values)
    frames[:, :, slices.planes] = values  # in the order of the series' own frames, which the segmentation names
    label = OutgoingLabel("final", frames, created, structures=labels)
    return label_segmentation(completed_volume_headers(headers), label, identity, step_mm=slices.step_mm)
