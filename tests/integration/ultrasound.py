"""Series for a PACS, made on the spot: small ultrasound frames and clips, and what is neither."""

from pathlib import Path

import numpy as np
from dicomweb_client import DICOMwebClient
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from integration.data import SPACING_MM, frame
from sequal.files.dicom import ImageIdentity, image_series
from sequal.files.imaging import Calibration, Frame


def frame_of(*pixels: NDArray[np.uint8]) -> Frame:
    """A calibrated frame, or a clip of several, each uint8 (W, H)."""
    stack = np.stack(pixels, axis=2).astype(np.float32)
    calibration = Calibration((SPACING_MM, SPACING_MM), "given")
    return Frame(stack, np.diag([SPACING_MM, SPACING_MM, 1.0, 1.0]), stack.shape, calibration, Path("made"))


def series(seed: int, patient: str, *, frames: int = 1) -> list[Dataset]:
    """The instances of one ultrasound series: two identical ones of a frame, else one for each frame of a clip."""
    image = frame_of(*(frame(seed + index)[0] for index in range(frames)))
    return list(image_series(image, ImageIdentity.of(image, patient=patient, image=f"image {seed}")))


def truth(seed: int) -> NDArray[np.uint8]:
    """The true label of a frame, uint8 (W, H)."""
    return frame(seed)[1]


def store(pacs: str, *instances: Dataset) -> str:
    """Send the instances of one series to a PACS; its UID."""
    DICOMwebClient(pacs).store_instances(list(instances))
    return str(instances[0].SeriesInstanceUID)


def stored(pacs: str, modality: str) -> list[Dataset]:
    """The series of a PACS of one modality, as it lists them."""
    found = DICOMwebClient(pacs).search_for_series(search_filters={"Modality": modality})
    return [Dataset.from_json(entry) for entry in found]


def retrieve(pacs: str, listed: Dataset) -> list[Dataset]:
    """The instances of a series."""
    return DICOMwebClient(pacs).retrieve_series(listed.StudyInstanceUID, listed.SeriesInstanceUID)
