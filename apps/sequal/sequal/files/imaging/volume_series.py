"""A CT, MR or PET series as a volume."""

from pathlib import Path
from typing import Final

import numpy as np

from sequal.files.imaging.calibration import Calibration
from sequal.files.imaging.claims import check_pixels
from sequal.files.imaging.dicom import read_rescaled
from sequal.files.imaging.dicom_series import SeriesImage, read_instance, read_series_headers, smallest_type
from sequal.files.imaging.volume_slices import volume_slices

__all__ = ["read_volume_series"]

#: A volume is measured by its affine.
_NOT_A_FRAME: Final = Calibration(None, "none (a volume)")


def read_volume_series(folder: Path) -> SeriesImage:
    """Read a series as one volume, in the unit of its modality.

    Args:
        folder: holds `.dcm` files of one series and nothing else, under any names.

    Returns:
        The volume: slices in the order of their positions, spacing from the positions.

    Raises:
        ImageError: the instances make no volume (`volume_slices` says why not), or one cannot be decoded.
    """
    headers = read_series_headers(folder)
    slices = volume_slices(headers, folder.name)
    check_pixels(f"series {folder.name}", int(np.prod(slices.grid)))
    volume = np.empty(slices.grid, np.float32)
    places = {place: index for index, place in enumerate(slices.order)}
    for number, header in enumerate(headers):
        for frame, pixels in enumerate(read_instance(Path(str(header.filename)), folder.name, read_rescaled)):
            volume[:, :, places[number, frame]] = pixels.T
    return SeriesImage(smallest_type(volume), slices.affine, _NOT_A_FRAME)
