"""Where an image lies in space, as ITK and so 3D Slicer read its file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging.dicom_header import clean_header
from sequal.files.imaging.names import FileKind, image_suffix

__all__ = ["FARTHEST_MM", "LONGEST_MM", "SHORTEST_MM", "Placement", "is_usable", "itk_affine", "straightened"]

#: ITK's LPS to nibabel's RAS.
_LPS_TO_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Sine of the angle by which axes may miss a right angle: one degree changes a thickness by less than 0.02 %.
_LARGEST_SHEAR: Final = 0.0175
#: ITK refuses a NIfTI file whose axes miss a right angle by about so much; below it they count as right.
_NO_SHEAR: Final = 1e-5
#: An origin farther away is no place: in the single precision of NIfTI pixels would coincide.
FARTHEST_MM: Final = 1e6
#: No pixel of a picture of the body is larger.
LONGEST_MM: Final = 1e4
#: No microscope resolves a pixel so small: it has no extent.
SHORTEST_MM: Final = 1e-6
#: An axis that is shorter than this part of the longest has no extent.
_SHORTEST: Final = 1e-7
_READERS: Final[dict[str, str]] = {
    "nifti": "NiftiImageIO",
    "nrrd": "NrrdImageIO",
    "dicom": "GDCMImageIO",
    ".png": "PNGImageIO",
    ".jpg": "JPEGImageIO",
    ".jpeg": "JPEGImageIO",
    ".tif": "TIFFImageIO",
    ".tiff": "TIFFImageIO",
    ".bmp": "BMPImageIO",
}


@dataclass(frozen=True, eq=False)
class Placement:
    """The place of a file's array.

    Attributes:
        affine: float64 `(4, 4)`, index in the file's array to RAS millimetres.
        forms: the NIfTI header that says so, with both forms and their codes; None for other files.
        volume: to ITK a still of this format is a volume of one slice, and so must its mask be.
    """

    affine: NDArray[np.float64]
    forms: nib.Nifti1Header | None = None
    volume: bool = False


def itk_affine(
    path: Path, kind: FileKind, shape: Sequence[int] = (), *, colour: bool = False
) -> NDArray[np.float64] | None:
    """Index to RAS millimetres, as ITK reads it from a file; the pixels are not read.

    Viewers put a mask on its image by what ITK says of both files. Asking ITK itself is the one way to give a mask
    the place of its image in every case: NIfTI headers hold two forms and a spacing that may contradict each other,
    a JPEG may hold dots per inch.

    Args:
        path: the file.
        kind: of the file.
        shape: of its array without colours, where ITK should find the same one.
        colour: the file has colours, which ITK may take for an axis.

    Returns:
        Float64 `(4, 4)`; a two-dimensional image lies in the plane z = 0. None when ITK does not read the
        file, takes its colours for an axis, or reads a matrix that is no place, and on a machine for experiments, where
        no mask goes back to a viewer and SimpleITK need not be installed.

    Raises:
        ImageError: to ITK the array has another shape, so that no mask can lie on it for every reader.
    """
    if kind == "dicom":
        with clean_header(path) as clean:
            return None if clean is None else _itk_affine(clean, kind)
    return _itk_affine(path, kind, shape, colour=colour)


def _itk_affine(
    path: Path, kind: FileKind, shape: Sequence[int] = (), *, colour: bool = False
) -> NDArray[np.float64] | None:
    try:
        import SimpleITK as sitk  # noqa: N813 - as its users write it
    except ModuleNotFoundError:
        return None

    # ITK's own words go to standard error, whatever becomes of the file.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # type: ignore[no-untyped-call]
    reader = sitk.ImageFileReader()  # type: ignore[no-untyped-call]
    reader.SetFileName(str(path))  # type: ignore[no-untyped-call]
    reader.SetImageIO(_READERS.get(kind) or _READERS[image_suffix(path)])  # type: ignore[no-untyped-call]
    try:
        reader.ReadImageInformation()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return None
    if shape and not _same_shape(shape, size := reader.GetSize()):  # type: ignore[no-untyped-call]
        if colour:
            return None
        raise ImageError(
            f"Expected the header of `{path.name}` to name its axes, got one that gives an array of {tuple(shape)}, "
            f"and of {tuple(size)} to ITK, as which 3D Slicer shows it. Save the image again in 3D Slicer."
        )
    dimensions = int(reader.GetDimension())  # type: ignore[no-untyped-call]
    direction = np.array(reader.GetDirection()).reshape(dimensions, dimensions)  # type: ignore[no-untyped-call]
    lengths = np.array(reader.GetSpacing())  # type: ignore[no-untyped-call]
    space = min(dimensions, 3)
    affine = np.eye(4)
    affine[:space, :space] = (direction * lengths)[:space, :space]
    affine[:space, 3] = np.array(reader.GetOrigin())[:space]  # type: ignore[no-untyped-call]
    return _LPS_TO_RAS @ affine if is_usable(affine) else None


def _same_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two arrays have the same first three axes; one that is missing has the length one.

    >>> _same_shape((12, 9), (12, 9, 1)), _same_shape((3, 12, 9), (12, 9))
    (True, False)
    """
    first, second = ((*shape[:3], 1, 1, 1)[:3] for shape in (one, other))
    return first == second


def is_usable(affine: NDArray[np.float64]) -> bool:
    """Whether a matrix gives every pixel a place of its own: finite, of full rank, no length of kilometres.

    Args:
        affine: `(4, 4)`, index to millimetres.

    >>> is_usable(np.eye(4)), is_usable(np.diag([0.1, 0.1, 0.0, 1.0])), is_usable(np.full((4, 4), np.nan))
    (True, False, False)
    """
    if not np.isfinite(affine).all() or np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        return False
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < SHORTEST_MM or lengths.max() > LONGEST_MM:
        return False
    return bool(lengths.min() > _SHORTEST * lengths.max()) and abs(np.linalg.det(affine[:3, :3] / lengths)) > _NO_SHEAR


def straightened(affine: NDArray[np.float64], name: str) -> tuple[NDArray[np.float64], bool]:
    """The same place with axes at right angles.

    Args:
        affine: `(4, 4)`, usable.
        name: of the file, for the error.

    Returns:
        The nearest matrix with right angles and the same lengths, and whether that is another one.

    Raises:
        ImageError: the axes miss a right angle by more than one degree.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / lengths
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear <= _NO_SHEAR:
        return affine, False
    if shear > _LARGEST_SHEAR:
        raise ImageError(
            f"Expected the axes of `{name}` to be at right angles, got {90 - np.degrees(np.arcsin(min(shear, 1))):.1f} "
            "degrees between two of them. Save the image again without shear; viewers cannot show this one."
        )
    left, _, right = np.linalg.svd(axes)
    straight = affine.copy()
    straight[:3, :3] = (left @ right) * lengths
    return straight, True
