"""Writing a mask on its image's own grid, in the formats that viewers ask for."""

from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.frame import Frame
from sequal.files.imaging.nifti import FORM_FIELDS
from sequal.files.imaging.placement import Placement, straightened

__all__ = ["WRITABLE_SUFFIXES", "WRITABLE_TYPES", "write_mask", "write_on_frame"]

WRITABLE_SUFFIXES = (".nii.gz", ".nii", ".nrrd")

#: NumPy types that both formats hold.
WRITABLE_TYPES = (
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
)

_NOTE_BYTES = 79

#: From nibabel's RAS to the LPS in which NRRD files from 3D Slicer and ITK are written.
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def write_on_frame(path: Path, values: NDArray[Any], frame: Frame, *, compress: bool = True) -> None:
    """Write a mask so that it lies on its image for every reader: its shape, its place, its NIfTI forms and codes.

    Args:
        path: as `write_mask`.
        values: (W, H, F) on the grid of the frame.
        frame: the image.
        compress: as `write_mask`.

    Raises:
        ImageError: as `write_mask`.
        LabelError: the values are on another grid.
    """
    place = frame.place or Placement(frame.affine)
    mask = frame.to_file_grid(values)
    mask = mask.reshape(*mask.shape[:2], -1) if place.volume else mask
    write_mask(path, mask, place.affine, compress=compress, forms=place.forms)


def write_mask(
    path: Path,
    mask: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    compress: bool = True,
    forms: nib.Nifti1Header | None = None,
    note: str = "",
) -> None:
    """Write a mask with its geometry.

    NIfTI keeps the shape as given. NRRD stores the direction of every axis and needs three, so a (W, H) mask is
    written as (W, H, 1).

    Args:
        path: ends in `.nii.gz`, `.nii` or `.nrrd`.
        mask: (W, H), (W, H, 1) or (W, H, F), integer or float; the type is kept, bool becomes uint8.
        affine: float64 (4, 4), pixel to RAS millimetres.
        compress: gzip encoding for NRRD (OHIF reads only raw ones).
        forms: for NIfTI, the header whose qform, sform and spacing are written in place of the affine.
        note: for NIfTI, a description of at most 79 characters.

    Raises:
        ImageError: the suffix is none of the three, or the files cannot hold the type.
    """
    name = path.name.lower()
    mask = mask.astype(np.uint8) if mask.dtype == np.bool_ else mask
    if mask.dtype.name not in WRITABLE_TYPES:
        raise ImageError(
            f"Expected the type of the result to be one of {', '.join(WRITABLE_TYPES)}, got {mask.dtype}. "
            "Ask for one of these as `result_dtype`."
        )
    if name.endswith((".nii", ".nii.gz")):
        nib.save(_nifti(mask, affine, forms, note), path)
    elif name.endswith(".nrrd"):
        _write_nrrd(path, mask.reshape(*mask.shape[:2], -1), affine, compress)
    else:
        raise ImageError(
            f"Expected the result extension to be one of {', '.join(WRITABLE_SUFFIXES)}, got {path.name!r}. "
            "Ask for one of these as `result_extension`."
        )


def _nifti(
    mask: NDArray[Any], affine: NDArray[np.float64], forms: nib.Nifti1Header | None, note: str
) -> nib.Nifti1Image:
    # nibabel wants 64-bit integers to be asked for by name.
    if forms is None:
        # ITK shows no NIfTI file with the slightest shear.
        image = nib.Nifti1Image(mask, straightened(affine, "the mask")[0], dtype=mask.dtype)
        image.header.set_xyzt_units("mm")
    else:
        image = nib.Nifti1Image(mask, None, dtype=mask.dtype)
        for field in FORM_FIELDS:
            image.header[field] = forms[field]
        image.header["pixdim"][:4] = forms["pixdim"][:4]
    image.header["descrip"] = note.encode("ascii", "replace")[:_NOTE_BYTES]
    return image


def _write_nrrd(path: Path, mask: NDArray[Any], affine: NDArray[np.float64], compress: bool) -> None:
    header = {
        "space": "left-posterior-superior",
        "kinds": ["domain"] * 3,
        "space directions": (_RAS_TO_LPS @ affine[:3, :3]).T,
        "space origin": _RAS_TO_LPS @ affine[:3, 3],
        "encoding": "gzip" if compress else "raw",
    }
    nrrd.write(str(path), mask, header, index_order="F")
