"""CT series made on the spot: an asymmetric phantom with its truth, oblique, anisotropic, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

SHAPE = (24, 20, 18)
#: Between columns, rows and slices.
SPACING_MM = (1.5, 2.0, 3.5)
ORIGIN_MM = (-31.0, 12.5, 104.25)
SLOPE, INTERCEPT = 2.0, -1024.0
LABELS = ("left_atrium", "lesion 2")
_STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage, "PT": PositronEmissionTomographyImageStorage}
_ENHANCED = {"CT": EnhancedCTImageStorage, "MR": EnhancedMRImageStorage}


@dataclass(frozen=True)
class Phantom:
    """A volume and its truth.

    Attributes:
        values: float32 (X, Y, Z), Hounsfield units that slope and intercept give exactly.
        truth: uint8 (X, Y, Z), 1 and 2.
        affine: (4, 4), voxel to RAS millimetres.
    """

    values: NDArray[np.float32]
    truth: NDArray[np.uint8]
    affine: NDArray[np.float64]


def directions() -> NDArray[np.float64]:
    """Along a row, along a column and along the normal, LPS, as columns; none of them along an axis of the body."""
    a, b = np.radians(20), np.radians(-15)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return about_x @ about_y


def phantom(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Phantom:
    """A bright ellipsoid off the middle and a bar that no mirror or turn maps onto itself, in noise."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    shift = rng.uniform(-0.05, 0.05, 3)
    ellipsoid = ((x - 0.4 - shift[0]) / 0.22) ** 2 + ((y - 0.6) / 0.28) ** 2 + ((z - 0.45 - shift[1]) / 0.3) ** 2 < 1
    bar = (np.abs(x - 0.8) < 0.1) & (y < 0.35) & (z > 0.5 + shift[2])
    truth = np.where(bar, 2, np.where(ellipsoid, 1, 0)).astype(np.uint8)
    stored = np.rint(500 + 120 * (truth == 1) + 260 * (truth == 2) + rng.normal(0, 12, shape))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions() * SPACING_MM, ORIGIN_MM
    return Phantom((SLOPE * stored + INTERCEPT).astype(np.float32), truth, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def series(volume: Phantom, patient: str = "p1", *, modality: str = "CT", uid: str | None = None) -> list[Dataset]:
    """One instance a slice, numbers and order shuffled, SliceThickness another length than the step."""
    count = volume.values.shape[2]
    study, of_series, reference = (generate_uid() for _ in range(3))
    numbers = np.random.default_rng(7).permutation(count)
    instances = []
    for index in range(count):
        instance = _instance(_STORAGE[modality], patient, modality, study, uid or of_series, reference)
        instance.InstanceNumber = int(numbers[index]) + 1
        _lie(instance, instance, instance, index)
        instance.SliceThickness = 1.25
        instance.RescaleSlope, instance.RescaleIntercept = SLOPE, INTERCEPT
        _put(instance, volume.values[:, :, index].T)
        instances.append(instance)
    return [instances[index] for index in np.argsort(numbers)]


def enhanced(volume: Phantom, patient: str = "p1", *, modality: str = "CT") -> Dataset:
    """One enhanced instance, a frame a slice, in another order than that of the slices."""
    study, of_series, reference = (generate_uid() for _ in range(3))
    instance = _instance(_ENHANCED[modality], patient, modality, study, of_series, reference)
    instance.InstanceNumber = 1
    order = np.random.default_rng(7).permutation(volume.values.shape[2])
    shared, frames = Dataset(), []
    measures, plane, rescale = Dataset(), Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = SLOPE, INTERCEPT, "HU"
    shared.PixelValueTransformationSequence = [rescale]
    for index in order:
        frame, position, content = Dataset(), Dataset(), Dataset()
        _lie(position, plane, measures, int(index))
        content.StackID, content.InStackPositionNumber = "1", int(index) + 1
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        frames.append(frame)
    measures.SliceThickness = 1.25
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    instance.SharedFunctionalGroupsSequence, instance.PerFrameFunctionalGroupsSequence = [shared], frames
    instance.NumberOfFrames = len(frames)
    _put(instance, volume.values.transpose(2, 1, 0)[order])
    return instance


def write(folder: Path, instances: Sequence[Dataset]) -> Path:
    """Files whose names are in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, instance in enumerate(instances):
        instance.save_as(folder / f"{(7 * number) % 101:03d}.dcm", write_like_original=False)
    return folder


def _lie(position: Dataset, plane: Dataset, measures: Dataset, index: int) -> None:
    axes = directions()
    place = np.array(ORIGIN_MM) + index * SPACING_MM[2] * axes[:, 2]
    position.ImagePositionPatient = [f"{value:.6f}" for value in place]
    plane.ImageOrientationPatient = [f"{value:.9f}" for value in (*axes[:, 0], *axes[:, 1])]
    measures.PixelSpacing = [SPACING_MM[1], SPACING_MM[0]]


def _put(instance: Dataset, values: NDArray[np.float32]) -> None:
    instance.Rows, instance.Columns = values.shape[-2:]
    instance.SamplesPerPixel, instance.PhotometricInterpretation = 1, "MONOCHROME2"
    instance.BitsAllocated, instance.BitsStored, instance.HighBit, instance.PixelRepresentation = 16, 12, 11, 0
    instance.PixelData = np.rint((values - INTERCEPT) / SLOPE).astype("<u2").tobytes()


def _instance(kind: str, patient: str, modality: str, study: str, of_series: str, reference: str) -> Dataset:
    instance = Dataset()
    instance.file_meta, instance.preamble = FileMetaDataset(), bytes(128)
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.is_little_endian, instance.is_implicit_VR = True, False
    instance.SOPClassUID = instance.file_meta.MediaStorageSOPClassUID = kind
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    instance.StudyInstanceUID, instance.SeriesInstanceUID = study, of_series
    instance.FrameOfReferenceUID, instance.PositionReferenceIndicator = reference, ""
    instance.Modality, instance.ImageType = modality, ["ORIGINAL", "PRIMARY", "AXIAL"]
    instance.PatientID, instance.PatientName = patient, f"Phantom^{patient}"
    instance.PatientBirthDate, instance.PatientSex = "19700101", "O"
    instance.StudyDate, instance.StudyTime, instance.StudyID = "20260102", "101500", "1"
    instance.StudyDescription, instance.SeriesDescription = f"Chest {patient}", "axial"
    instance.SeriesNumber, instance.AccessionNumber, instance.ReferringPhysicianName = 3, "", ""
    instance.Manufacturer = "phantom"
    return instance
