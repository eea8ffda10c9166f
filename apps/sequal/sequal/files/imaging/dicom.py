"""DICOM ultrasound: single frame, multi-frame, grey, palette or colour, with its calibration."""

from collections.abc import Callable
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

__all__ = ["read_dicom", "read_rescaled"]

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
    dataset = _with_pixels(path)
    return np.ascontiguousarray(_decoded(path, dataset, _grey).T), dicom_calibration(dataset)


def read_rescaled(path: Path) -> NDArray[np.float32]:
    """Read the frames of a CT, MR or PET instance in the unit of its modality (Hounsfield units in CT).

    Args:
        path: The file; its pixels are grey.

    Returns:
        Float32 `(frames, rows, columns)`, the modality LUT or slope and intercept applied, those of each frame where an
        enhanced instance has them.

    Raises:
        ImageError: as `read_dicom`.
        Exception: as `read_dicom`.
    """
    dataset = _with_pixels(path)
    values = _decoded(path, dataset, _rescaled)
    return values.reshape(-1, *values.shape[-2:])


def _with_pixels(path: Path) -> Any:  # noqa: ANN401 - pydicom's data set
    dataset = _pydicom().dcmread(path)
    if "PixelData" not in dataset:
        raise ImageError(
            f"Expected {path.name} to be a DICOM image, got {dataset.get('Modality', 'an object')} "
            "without pixel data. "
            "Leave reports and presentation states out of the studies folder."
        )
    return dataset


def _decoded(
    path: Path,
    dataset: Any,  # noqa: ANN401
    values_of: Callable[[Any, NDArray[Any]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """What `values_of` makes of the stored pixels, which may be compressed; what GDCM decodes it has rescaled too."""
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
    return values_of(dataset, stored)


def _rescaled(dataset: Any, stored: NDArray[Any]) -> NDArray[np.float32]:  # noqa: ANN401
    """Values of the modality `(rows, columns)` or `(frames, rows, columns)`."""
    from pydicom.pixel_data_handlers.util import apply_modality_lut

    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    frames = stored.reshape(-1, *stored.shape[-2:])
    keyword = "PixelValueTransformationSequence"
    rescaled = [
        apply_modality_lut(frame, (group.get(keyword) or shared.get(keyword) or [dataset])[0])
        for frame, group in zip(frames, groups, strict=True)
    ]
    return np.asarray(rescaled, dtype=np.float32)


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
