"""DICOM ultrasound: single frame, multi-frame, grey, palette or colour, with its calibration."""

from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.calibration import Calibration
from sequal.files.imaging.dicom_calibration import dicom_calibration
from sequal.files.imaging.dicom_codecs import grey_by_gdcm
from sequal.files.imaging.frame import to_luma

__all__ = ["read_dicom"]


#: Transfer syntaxes whose pixels need no decoder: what fails there is damaged.
_UNCOMPRESSED: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


def read_dicom(path: Path) -> tuple[NDArray[np.float32], Calibration]:
    """Read the frames of a DICOM file as grey values.

    MONOCHROME1 is inverted, colour and palettes become luma. Rescale slope and window are left out: they are
    meant for display, and intensities are normalised later.

    Args:
        path: The file.

    Returns:
        Float32 `(W, H)` or, for a multi-frame file, `(W, H, F)`; and the calibration.

    Raises:
        ImageError: pydicom is missing, the file holds no image, or its compression cannot be decoded here.
        Exception: Whatever pydicom raises on a damaged file.
    """
    pydicom = _pydicom()
    dataset = pydicom.dcmread(path)
    if "PixelData" not in dataset:
        raise ImageError(
            f"Expected {path.name} to be a DICOM image, got {dataset.get('Modality', 'an object')} "
            "without pixel data. "
            "Leave reports and presentation states out of the studies folder."
        )
    return np.ascontiguousarray(_decoded(path, dataset).T), dicom_calibration(dataset)


def _decoded(path: Path, dataset: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """As `_grey`, of pixels that may be compressed."""
    try:
        stored = dataset.pixel_array
    # Each decoder has its own exceptions; the next is tried whatever the first one raises.
    except Exception as error:
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "unknown"))
        grey = grey_by_gdcm(path, syntax)
        if grey is not None and grey.shape[-2:] == (int(dataset.Rows), int(dataset.Columns)):
            return grey
        if syntax in _UNCOMPRESSED:
            raise
        raise ImageError(
            f"Expected {path.name} to be decodable, got transfer syntax {syntax} ({str(error).rstrip(' .')}). "
            "Convert it to uncompressed DICOM, for example with `dcmdjpeg` of DCMTK or `gdcmconv --raw`."
        ) from error
    return _grey(dataset, stored)


def _grey(dataset: Any, stored: NDArray[Any]) -> NDArray[np.float32]:  # noqa: ANN401
    """Luma `(rows, columns)` or `(frames, rows, columns)`; its transpose is `(W, H)` or `(W, H, F)`."""
    photometric = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric == "PALETTE COLOR":
        from pydicom.pixel_data_handlers.util import apply_color_lut

        return to_luma(apply_color_lut(stored, dataset))
    if int(dataset.get("SamplesPerPixel", 1)) > 1:
        # JPEG 2000's YBR_RCT and YBR_ICT are decoded to RGB by the codec; in the others the first channel is
        # the luma.
        return stored[..., 0].astype(np.float32) if photometric.startswith("YBR_FULL") else to_luma(stored)
    grey = stored.astype(np.float32)
    if photometric == "MONOCHROME1":
        signed = int(dataset.get("PixelRepresentation", 0)) == 1
        return (-1.0 if signed else 2.0 ** int(dataset.BitsStored) - 1.0) - grey
    return grey


def _pydicom() -> ModuleType:
    """Import pydicom on first use: studies without DICOM do not need it."""
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            "Expected `pydicom` to be installed to read DICOM files, got none. "
            "Install it with `pip install pydicom`, or convert the images to NIfTI."
        ) from error
    module: ModuleType = pydicom
    return module
