"""Compressed DICOM pixels that pydicom cannot decode by itself, through ITK's GDCM."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.frame import to_luma

__all__ = ["grey_by_gdcm"]

#: JPEG (12 bit, lossless), JPEG-LS and JPEG 2000, DICOM PS3.5 A.4. GDCM would guess at any other.
_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("50", "51", "57", "70", "80", "81", "90", "91")
)


def grey_by_gdcm(path: Path, transfer_syntax: str) -> NDArray[np.float32] | None:
    """Grey values of a compressed DICOM file.

    Scanners often store ultrasound as lossless JPEG, for which pydicom needs a package under the GPL. SimpleITK is here
    through MONAI Label's own requirements and decodes it.

    Args:
        path: the file.
        transfer_syntax: UID of its transfer syntax.

    Returns:
        Float32 `(rows, columns)` or `(frames, rows, columns)`, MONOCHROME1 inverted, colour as luma. None when the
        transfer syntax is none that is known here, or SimpleITK is not installed.

    Raises:
        ImageError: the pixels are damaged.
    """
    if transfer_syntax not in _SYNTAXES:
        return None
    try:
        import SimpleITK as sitk  # noqa: N813 - as its users write it
    except ImportError:
        return None
    # GDCM's own words go to standard error, whatever becomes of the file.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # type: ignore[no-untyped-call]
    try:
        image = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise ImageError(
            f"Expected the compressed pixels of {path.name} to be whole, got some that cannot be decoded (transfer "
            f"syntax {transfer_syntax}). The file is damaged or cut off; copy it again."
        ) from error
    stored = sitk.GetArrayFromImage(image)
    colour = stored.ndim > image.GetDimension()  # type: ignore[no-untyped-call]
    grey = to_luma(stored) if colour else stored.astype(np.float32)
    return grey[0] if len(grey) == 1 else grey
