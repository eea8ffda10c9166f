"""A series of a PACS as a frame, read as the server reads it."""

import tempfile
from pathlib import Path

import pydicom
import requests
from dicomweb_client import DICOMwebClient

from sequal.errors import ImageError, PacsError
from sequal.files.dicom.series_list import ListedSeries
from sequal.files.imaging import Frame, read_frame
from sequal.files.imaging.calibration import calibration_note
from sequal.files.imaging.dicom_series import read_series
from sequal.files.imaging.writing import write_mask

__all__ = ["series_frame"]


def series_frame(client: DICOMwebClient, series: ListedSeries, spacing_mm: tuple[float, float] | None = None) -> Frame:
    """Fetch a series and read it; nothing of it stays on this computer.

    Args:
        client: of the PACS.
        series: one that it lists.
        spacing_mm: (dx, dy), overrides what the series says.

    Raises:
        PacsError: the PACS does not send it.
        ImageError: it has no instance, or cannot be read.
    """
    try:
        instances = client.retrieve_series(series.study, series.uid)
    except requests.RequestException as error:
        raise PacsError(
            f"Expected the PACS at {client.base_url} to send series {series.uid}, got {type(error).__name__}. "
            "Look into its log and run the command again."
        ) from error
    except (ValueError, LookupError, EOFError, pydicom.errors.InvalidDicomError) as error:
        raise ImageError(
            f"Expected series {series.uid} to be readable, got an answer that is no DICOM ({type(error).__name__}). "
            "Look at it in the PACS."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        place, image = Path(folder) / "series", Path(folder) / "image.nii.gz"
        place.mkdir()
        for number, instance in enumerate(instances):
            pydicom.dcmwrite(place / f"{number}.dcm", instance, write_like_original=False)
        read = read_series(place)
        write_mask(image, read.pixels, read.affine, note=calibration_note(read.calibration))
        return read_frame(image, spacing_mm=spacing_mm)
