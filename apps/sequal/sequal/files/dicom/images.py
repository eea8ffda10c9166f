"""A frame or clip as ultrasound images that a PACS takes and OHIF can segment."""

from copy import deepcopy
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundImageStorage

from sequal.files.dicom.equipment import MANUFACTURER, MODEL, SOFTWARE_VERSION
from sequal.files.dicom.grid import FRAME_ORIENTATION, pixel_spacing, slice_count, slice_position
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.text import name_character_set, short_text
from sequal.files.imaging import Calibration, Frame

__all__ = ["NOT_CALIBRATED_NOTE", "describe", "even", "image_series", "instance_of", "to_bytes"]

#: In the series description of an image without calibration, for people who read lengths off a viewer.
NOT_CALIBRATED_NOTE: Final = "NOT CALIBRATED"
_SERIES_NUMBER: Final = 1
_LARGEST_BYTE: Final = 255
_TISSUE: Final = 1  # Region Data Type, DICOM PS3.3 C.8.5.5.1.2
_TWO_DIMENSIONAL: Final = 1  # Region Spatial Format
_NO_UNIT, _CENTIMETRE = 0, 3  # Physical Units X/Y Direction


def image_series(frame: Frame, identity: ImageIdentity) -> list[FileDataset]:
    """The images of one series, in the order of their instance numbers.

    A frame becomes two identical instances, a clip of F frames F instances, 8-bit MONOCHROME2 Ultrasound Image
    Storage, uncompressed, each with a position (`sequal.files.dicom.grid`). A frame without calibration says so in its
    series description, in its comment, and in an ultrasound region without units; its PixelSpacing of 1 mm is there
    because viewers and MONAI Label fail without one.

    Args:
        frame: the image.
        identity: names and UIDs.

    Returns:
        2 or F data sets, with file meta information, ready to be saved or sent.
    """
    grey, note = to_bytes(frame.pixels)
    frames = frame.grid[2]
    shared = _shared(frame, identity, note)
    instances = []
    for index in range(slice_count(frames)):
        instance = instance_of(UltrasoundImageStorage, identity.uid("image", index))
        instance.update(deepcopy(shared))
        instance.InstanceNumber = index + 1
        instance.ImagePositionPatient = list(slice_position(index))
        instance.PixelData = even(np.ascontiguousarray(grey[:, :, index if frames > 1 else 0].T).tobytes())
        instances.append(instance)
    return instances


def to_bytes(pixels: NDArray[np.float32]) -> tuple[NDArray[np.uint8], str | None]:
    """Bring intensities to the 8 bits that ultrasound images have in DICOM.

    Args:
        pixels: `(W, H, F)`, finite, any range.

    Returns:
        Uint8 of the same shape, and how it was derived: None when every value is a whole number from 0 to 255 and is
        kept; else the values are scaled from their smallest and largest in the whole clip to 0 and 255. A constant
        image of other values becomes 0.

    >>> to_bytes(np.array([[[0.0, 200.0]]], dtype=np.float32))
    (array([[[  0, 200]]], dtype=uint8), None)
    >>> to_bytes(np.array([[[0.0, 4096.0]]], dtype=np.float32))
    (array([[[  0, 255]]], dtype=uint8), 'Grey values 0 to 4096 scaled to 0 to 255')
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= _LARGEST_BYTE and np.array_equal(pixels, np.rint(pixels)):
        return pixels.astype(np.uint8), None
    scale = _LARGEST_BYTE / (high - low) if high > low else 0.0
    scaled = np.rint((pixels.astype(np.float64) - low) * scale).astype(np.uint8)
    return scaled, f"Grey values {low:g} to {high:g} scaled to 0 to {_LARGEST_BYTE}"


def instance_of(storage: UID, uid: str) -> FileDataset:
    """An empty object of a SOP class, with its UID and its file meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = storage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    instance.is_little_endian, instance.is_implicit_VR = True, False
    instance.SOPClassUID = storage
    instance.SOPInstanceUID = uid
    return instance


def _shared(frame: Frame, identity: ImageIdentity, note: str | None) -> Dataset:
    """What all instances of the series have in common."""
    shared = Dataset()
    describe(shared, identity)
    _describe_frame(shared, frame, note)
    _geometry(shared, frame, identity)
    _pixel_format(shared, frame)
    return shared


def describe(shared: Dataset, identity: ImageIdentity) -> None:
    """Patient, study, series and what made them. Unknown dates stay empty: the file of a study tells none."""
    shared.PatientID = shared.PatientName = short_text(identity.patient)
    shared.PatientBirthDate = shared.PatientSex = ""
    shared.StudyInstanceUID = identity.study_uid
    shared.StudyDate = shared.StudyTime = shared.AccessionNumber = shared.ReferringPhysicianName = shared.StudyID = ""
    shared.StudyDescription = short_text(identity.image)
    shared.SeriesInstanceUID = identity.uid("images")
    shared.SeriesNumber = _SERIES_NUMBER
    shared.Laterality = ""
    shared.Manufacturer, shared.ManufacturerModelName = MANUFACTURER, MODEL
    shared.SoftwareVersions = SOFTWARE_VERSION
    name_character_set(shared)


def _describe_frame(shared: Dataset, frame: Frame, note: str | None) -> None:
    shared.Modality = "US"
    calibrated = frame.calibration.calibrated
    kind = "Frame" if frame.grid[2] == 1 else f"Clip of {frame.grid[2]} frames"
    shared.SeriesDescription = kind if calibrated else f"{kind}, {NOT_CALIBRATED_NOTE}"
    shared.ImageType = ["DERIVED", "SECONDARY", "VASCULAR", "0001"]
    shared.DerivationDescription = note or "Converted from another file format, grey values kept"
    shared.ImageComments = _comment(frame.calibration)


def _comment(calibration: Calibration) -> str:
    made_up = "Positions of the instances are made up for the viewer and tell no length."
    if calibration.calibrated:
        return f"Calibration: {calibration.source}. {made_up}"
    return (
        f"Not calibrated: {calibration.source}. PixelSpacing of 1 mm stands for one pixel, so that viewers open the "
        f"image; lengths are pixels, not millimetres. {made_up}"
    )


def _geometry(shared: Dataset, frame: Frame, identity: ImageIdentity) -> None:
    shared.FrameOfReferenceUID = identity.uid("frame of reference")
    shared.PositionReferenceIndicator = ""
    shared.PatientOrientation = ""
    shared.PixelSpacing = list(pixel_spacing(frame.calibration))
    shared.ImageOrientationPatient = list(FRAME_ORIENTATION)
    shared.SequenceOfUltrasoundRegions = Sequence([_region(frame)])


def _region(frame: Frame) -> Dataset:
    """The whole image as one tissue region, in centimetres, or without units when not calibrated."""
    width, height, _ = frame.grid
    spacing = frame.calibration.spacing_mm
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = _TWO_DIMENSIONAL, _TISSUE, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = width - 1, height - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = _CENTIMETRE if spacing else _NO_UNIT
    region.PhysicalDeltaX, region.PhysicalDeltaY = (value / 10.0 for value in spacing) if spacing else (1.0, 1.0)
    return region


def _pixel_format(shared: Dataset, frame: Frame) -> None:
    shared.Columns, shared.Rows, _ = frame.grid
    shared.SamplesPerPixel, shared.PhotometricInterpretation = 1, "MONOCHROME2"
    shared.BitsAllocated, shared.BitsStored, shared.HighBit, shared.PixelRepresentation = 8, 8, 7, 0
    shared.LossyImageCompression = "00"


def even(data: bytes) -> bytes:
    """DICOM values have an even length."""
    return data + b"\0" * (len(data) % 2)
