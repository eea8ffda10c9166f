"""DICOM ultrasound: single frame, multi-frame, grey, palette or colour, with its calibration."""

import logging
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lib.errors import ImageError
from lib.imaging.calibration import NOT_CALIBRATED, Calibration, calibrate
from lib.imaging.dicom_codecs import grey_by_gdcm
from lib.imaging.frame import to_luma

__all__ = ["dicom_calibration", "read_dicom"]

logger = logging.getLogger(__name__)

_CENTIMETRE: Final = 3  # Physical Units X/Y Direction, DICOM PS3.3 C.8.5.5.1.5
_TWO_DIMENSIONAL: Final = 1  # Region Spatial Format
_TISSUE: Final = 1  # Region Data Type


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


def dicom_calibration(dataset: Any) -> Calibration:  # noqa: ANN401
    """Size of a pixel: the largest two-dimensional tissue region measured in centimetres, else PixelSpacing.

    Args:
        dataset: pydicom's dataset.

    Returns:
        The judged calibration; source `"dicom ultrasound regions"` or `"dicom PixelSpacing"`.
    """
    scales = _region_scales(dataset)
    if scales:
        _, dx_mm, dy_mm = scales[0]
        if any(not np.allclose((dx_mm, dy_mm), scale[1:], rtol=0.01) for scale in scales[1:]):
            logger.warning("Ultrasound regions of one image differ in scale; the largest one is taken.")
        return calibrate(dx_mm, dy_mm, "dicom ultrasound regions")
    spacing = _pixel_spacing(dataset)
    if spacing is not None:
        between_rows, between_columns = spacing
        return calibrate(between_columns, between_rows, "dicom PixelSpacing")
    return NOT_CALIBRATED


def _region_scales(dataset: Any) -> list[tuple[int, float, float]]:  # noqa: ANN401
    """`(pixels, dx_mm, dy_mm)` of the 2-D regions with a scale, tissue before others, largest first."""
    found = []
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if region.get("RegionSpatialFormat") != _TWO_DIMENSIONAL or units != (_CENTIMETRE, _CENTIMETRE):
            continue
        # Deltas may be negative (axis against the pixel order); only their size is a spacing.
        dx_mm, dy_mm = (abs(float(region.get(f"PhysicalDelta{axis}") or 0.0)) * 10.0 for axis in "XY")
        if dx_mm == 0.0 or dy_mm == 0.0:
            continue
        width, height = _region_size(region)
        found.append((region.get("RegionDataType") == _TISSUE, width * height, dx_mm, dy_mm))
    found.sort(key=lambda item: item[:2], reverse=True)
    return [item[1:] for item in found]


def _region_size(region: Any) -> tuple[int, int]:  # noqa: ANN401
    """Width and height of an ultrasound region, in pixels."""
    x0, y0, x1, y1 = (
        int(region.get(f"RegionLocation{corner}") or 0) for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")
    )
    return max(x1 - x0 + 1, 0), max(y1 - y0 + 1, 0)


def _pixel_spacing(dataset: Any) -> tuple[float, float] | None:  # noqa: ANN401
    """PixelSpacing (between rows, between columns) in mm, of the image or of the shared functional groups."""
    holders = [dataset]
    for group in dataset.get("SharedFunctionalGroupsSequence") or []:
        holders.extend(group.get("PixelMeasuresSequence") or [])
    for holder in holders:
        spacing = holder.get("PixelSpacing")
        if spacing is not None and len(spacing) == 2:
            return float(spacing[0]), float(spacing[1])
    return None


def _decoded(path: Path, dataset: Any) -> NDArray[np.float32]:  # noqa: ANN401
    """As `_grey`, of pixels that may be compressed."""
    try:
        stored = dataset.pixel_array
    except (AttributeError, NotImplementedError, RuntimeError) as error:
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "unknown"))
        grey = grey_by_gdcm(path, syntax)
        if grey is not None:
            return grey
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
