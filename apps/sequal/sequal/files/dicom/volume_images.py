"""A volume as a CT or MR series that a PACS takes, and that OHIF and 3D Slicer stack again."""

from copy import deepcopy
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import CTImageStorage, MRImageStorage

from sequal.errors import ImageError
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.images import describe, even, instance_of
from sequal.files.imaging import Frame
from sequal.files.imaging.volume_slices import FEWEST_SLICES

__all__ = ["VolumeModality", "volume_series"]

VolumeModality = Literal["CT", "MR"]

_STORAGE: Final = {"CT": CTImageStorage, "MR": MRImageStorage}
#: What an image of the modality must say (DICOM PS3.3, C.8.2.1 and C.8.3.1) and no other file format tells.
_UNKNOWN: Final[dict[str, dict[str, str | None]]] = {
    "CT": {"KVP": None, "AcquisitionNumber": None},
    "MR": {
        "ScanningSequence": "RM",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "",
        "RepetitionTime": None,
        "EchoTime": None,
        "EchoTrainLength": None,
    },
}
#: From nibabel's patient axes (right, front, head) to DICOM's (left, back, head).
_RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0])
_LOWEST, _HIGHEST = -(1 << 15), (1 << 15) - 1


def volume_series(frame: Frame, identity: ImageIdentity, modality: VolumeModality) -> list[FileDataset]:
    """One instance a slice, 16-bit signed MONOCHROME2, uncompressed, each where it lies in the patient.

    Args:
        frame: the volume `(X, Y, Z)`; its slices are along the last axis.
        identity: names and UIDs.
        modality: which the file of a volume does not say.

    Returns:
        Z data sets, with file meta information, ready to be saved or sent. Whole grey values from -32768 to 32767 are
        kept; others come back by RescaleSlope and RescaleIntercept, to a 65,535th of their range.

    Raises:
        ImageError: it has too few slices.
    """
    axes = _RAS_TO_LPS @ frame.affine[:3, :3]
    steps = np.linalg.norm(axes, axis=0)
    if frame.grid[2] < FEWEST_SLICES:
        raise ImageError(
            f"Expected `{frame.source.name}` to have at least {FEWEST_SLICES} slices to be a volume in DICOM, got "
            f"{frame.grid[2]}. Leave frames and clips to --conf models carotid."
        )
    stored, slope, intercept = _stored(frame.pixels)
    shared = _shared(frame, identity, modality, axes / steps, steps)
    shared.RescaleSlope, shared.RescaleIntercept, shared.RescaleType = f"{slope:.10g}", f"{intercept:.10g}", "US"
    instances = []
    for index in range(frame.grid[2]):
        instance = instance_of(_STORAGE[modality], identity.uid("image", index))
        instance.update(deepcopy(shared))
        instance.InstanceNumber = index + 1
        place = _RAS_TO_LPS @ (frame.affine[:3, 3] + index * frame.affine[:3, 2])
        instance.ImagePositionPatient = [f"{value:.6f}" for value in place]
        instance.PixelData = even(np.ascontiguousarray(stored[:, :, index].T).tobytes())
        instances.append(instance)
    return instances


def _stored(pixels: NDArray[np.float32]) -> tuple[NDArray[np.int16], float, float]:
    """The 16 bits of each voxel, and slope and intercept that lead back."""
    low, high = float(pixels.min()), float(pixels.max())
    if low >= _LOWEST and high <= _HIGHEST and np.array_equal(pixels, np.rint(pixels)):
        return pixels.astype(np.int16), 1.0, 0.0
    slope = (high - low) / (_HIGHEST - _LOWEST) or 1.0
    intercept = low - _LOWEST * slope
    stored = np.rint((pixels.astype(np.float64) - intercept) / slope)
    return np.clip(stored, _LOWEST, _HIGHEST).astype(np.int16), slope, intercept


def _shared(
    frame: Frame,
    identity: ImageIdentity,
    modality: VolumeModality,
    directions: NDArray[np.float64],
    steps: NDArray[np.float64],
) -> Dataset:
    """What all instances of the series have in common."""
    shared = Dataset()
    describe(shared, identity)
    shared.Modality = modality
    shared.SeriesDescription = f"Volume of {frame.grid[2]} slices"
    shared.ImageType = ["DERIVED", "SECONDARY", "OTHER" if modality == "MR" else "AXIAL"]
    shared.DerivationDescription = "Converted from another file format, which names no modality"
    for keyword, value in _UNKNOWN[modality].items():
        setattr(shared, keyword, value)
    shared.FrameOfReferenceUID = identity.uid("frame of reference")
    shared.PositionReferenceIndicator = shared.PatientPosition = ""
    shared.PixelSpacing = [f"{steps[1]:.8g}", f"{steps[0]:.8g}"]
    shared.SliceThickness = shared.SpacingBetweenSlices = f"{steps[2]:.8g}"
    shared.ImageOrientationPatient = [f"{value:.9f}" for value in (*directions[:, 0], *directions[:, 1])]
    shared.Columns, shared.Rows, _ = frame.grid
    shared.SamplesPerPixel, shared.PhotometricInterpretation = 1, "MONOCHROME2"
    shared.BitsAllocated, shared.BitsStored, shared.HighBit, shared.PixelRepresentation = 16, 16, 15, 1
    return shared
