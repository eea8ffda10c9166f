"""H5 files with an image and perhaps its label, as papers on semi-supervised segmentation share their volumes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError, LabelError
from sequal.files.imaging import NOT_CALIBRATED, Calibration
from sequal.files.importing.candidate import Candidate, ImageContents, LabelSource
from sequal.files.importing.ids import id_of

__all__ = ["H5_SUFFIXES", "h5_candidate"]

H5_SUFFIXES: Final = (".h5", ".hdf5")
_IMAGE, _LABEL = "image", "label"
_AXES: Final = 3
_LARGEST_CLASS: Final = 255
_UNKNOWN_SIZE: Final = (
    "An H5 file does not say how large its voxels are: they are taken as cubes of 1 mm. Give it with --voxel-mm."
)


def h5_candidate(path: Path, name: str, voxel_mm: tuple[float, float, float] | None) -> Candidate:
    """A file with the datasets `image` (three axes, numbers) and, where it is labelled, `label` (whole numbers).

    The Left Atrium and Pancreas sets of that literature come so, a file a patient. Axes are taken in the order in which
    they are stored. The file says neither the size of a voxel nor how the patient lay.

    Args:
        path: the file.
        name: its path within the source, which makes the id.
        voxel_mm: size of a voxel along each axis; None: nobody knows, and 1 mm is written.

    Raises:
        ImageError: it is no HDF5 file, or has no `image` of three axes.
    """
    with _opened(path) as file:
        _dataset(file, _IMAGE, path.name)
        labelled = _LABEL in file
    return Candidate(
        image=id_of(str(PurePosixPath(name).with_suffix(""))),
        file=path,
        name=name,
        read=partial(_read_image, path, voxel_mm),
        spacing_mm=None if voxel_mm is None else voxel_mm[:2],
        labels=(LabelSource("", (path,), partial(_read_label, path), traced_layer=False),) if labelled else (),
        note="" if voxel_mm else _UNKNOWN_SIZE,
    )


def _read_image(path: Path, voxel_mm: tuple[float, float, float] | None) -> ImageContents:
    with _opened(path) as file:
        voxels = np.asarray(_dataset(file, _IMAGE, path.name)[()], dtype=np.float32)
    if not np.isfinite(voxels).all():
        raise ImageError(
            f"Expected every value of the image in `{path.name}` to be a finite number, got "
            f"{int((~np.isfinite(voxels)).sum())} that are none. Write the file anew."
        )
    calibration = NOT_CALIBRATED if voxel_mm is None else Calibration(voxel_mm[:2], "given")
    dx, dy, dz = voxel_mm or (1.0, 1.0, 1.0)
    return ImageContents(voxels, calibration, np.diag([-dx, -dy, dz, 1.0]), whole_numbers=False)


def _read_label(path: Path, grid: tuple[int, int, int]) -> NDArray[np.uint8]:
    with _opened(path) as file:
        values = np.asarray(_dataset(file, _LABEL, path.name)[()])
    if values.shape != grid:
        raise LabelError(
            f"Expected the label in `{path.name}` to have the size of its image, {_times(grid)}, got "
            f"{_times(values.shape)}. Write the file anew."
        )
    label = values.astype(np.uint8) if values.min() >= 0 and values.max() <= _LARGEST_CLASS else None
    if label is None or not np.array_equal(label, values):
        raise LabelError(
            f"Expected the label in `{path.name}` to hold whole numbers from 0 to {_LARGEST_CLASS}, got values from "
            f"{values.min():g} to {values.max():g}. Write the number of a class into each voxel."
        )
    return label


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ImageError(f"Expected `{path.name}` to be an HDF5 file, got: {error}. Copy it again.") from error
    with file:
        try:
            yield file
        except OSError as error:  # of a damaged piece
            raise ImageError(f"Expected `{path.name}` to be whole, got: {error}. Copy it again.") from error


def _dataset(file: Any, wanted: str, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    found = file.get(wanted)
    if not isinstance(found, h5py.Dataset):
        names = ", ".join(sorted(file)) or "nothing"
        raise ImageError(
            f"Expected `{name}` to have the datasets `image` and, where it is labelled, `label`, got {names}. "
            "Name the arrays so."
        )
    if found.ndim != _AXES or 0 in found.shape or found.dtype.kind not in "biuf":
        raise ImageError(
            f"Expected `{wanted}` in `{name}` to hold numbers along three axes, got {found.dtype} of "
            f"{_times(found.shape) or 'no axes'}. Write one volume a file, without channels."
        )
    return found


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
