"""NIfTI images and labels: array, affine and in-plane spacing."""

import logging
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from lib.imaging.calibration import Calibration, calibrate
from lib.imaging.frame import to_luma

__all__ = ["nifti_calibration", "read_nifti"]

logger = logging.getLogger(__name__)

#: NIfTI's units of length in millimetres. Writers that leave the unit out mean millimetres.
_UNIT_MM: Final = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], Calibration]:
    """Read a NIfTI file as nibabel gives it; slope and intercept of the header are applied.

    Args:
        path: `.nii` or `.nii.gz`.

    Returns:
        The array (RGB and RGBA types as luma), its affine `(4, 4)` in millimetres, and its calibration.

    Raises:
        Exception: Whatever nibabel raises on a damaged file; the callers turn it into an error of the app.
    """
    image = nib.load(path)
    array = np.asanyarray(image.dataobj)
    if array.dtype.names is not None:
        array = to_luma(np.stack([array[name] for name in array.dtype.names], axis=-1))
    return array, _affine_mm(image), nifti_calibration(image.affine, image.header)


def _affine_mm(image: Any) -> NDArray[np.float64]:  # noqa: ANN401
    """Pixel to RAS millimetres, as ITK and so 3D Slicer place the image.

    A header without any orientation (both codes are 0) leaves it open: nibabel then puts the middle of the image at
    the origin, ITK its first pixel, with the axes of DICOM.
    """
    header = image.header
    if isinstance(image, nib.Nifti1Image) and not (header["sform_code"] or header["qform_code"]):
        affine = np.diag([*(float(zoom) for zoom in (*header.get_zooms(), 1.0, 1.0)[:3]), 1.0]) @ _LPS_TO_RAS
    else:
        affine = np.asarray(image.affine, dtype=np.float64).copy()
    affine[:3] *= _UNIT_MM.get(_unit(header), 1.0)
    return affine


def _unit(header: Any) -> str:  # noqa: ANN401
    """The header's unit of length; `"unknown"` where it names none that NIfTI knows."""
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


def nifti_calibration(affine: NDArray[np.float64], header: Any) -> Calibration:  # noqa: ANN401
    """In-plane spacing of a NIfTI file, taken from its affine, which rules over `pixdim` by the standard.

    Args:
        affine: `(4, 4)`.
        header: nibabel's header, read for the unit and for `pixdim`.

    Returns:
        The judged calibration.
    """
    unit = _unit(header)
    dx, dy = (float(size) * _UNIT_MM.get(unit, 1.0) for size in voxel_sizes(affine)[:2])
    zooms = [float(zoom) * _UNIT_MM.get(unit, 1.0) for zoom in header.get_zooms()[:2]]
    if not np.allclose(zooms, (dx, dy), rtol=0.01):
        logger.warning("Affine and pixdim of a NIfTI header contradict each other: (%g, %g) and %s mm.", dx, dy, zooms)
    # The affine of a file is float32: 0.06 comes back as 0.05999999866.
    return calibrate(round(dx, 7), round(dy, 7), "nifti spacing")
