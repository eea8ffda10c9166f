"""A PACS in memory, which can be taken down, be read-only, or count what it is asked."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from lib.datastores.archive import Series
from sequal.errors import PacsError
from sequal.files.dicom import ImageIdentity, OutgoingLabel, image_series, label_segmentation
from sequal.files.dicom.series_list import one_by_one
from sequal.files.imaging import Calibration, Frame

WIDTH, HEIGHT = 24, 16
SPACING_MM = 0.06


class _Client:
    base_url = "http://pacs/dicom-web"


class FakeArchive:
    """As `ImageArchive`, without a network."""

    def __init__(self) -> None:
        self.client = _Client()
        self.contents: dict[str, list[bytes]] = {}
        self.up = True
        self.takes = True
        self.asked: list[str] = []

    def put(self, *instances: Dataset) -> str:
        """Add instances of one series; its UID."""
        uid = str(instances[0].SeriesInstanceUID)
        for instance in instances:
            buffer = io.BytesIO()
            dcmwrite(buffer, instance, write_like_original=False)
            self.contents.setdefault(uid, []).append(buffer.getvalue())
        return uid

    def series(self, search_filter: dict[str, Any]) -> list[Series]:
        self._answer("list")
        found = []
        for uid in sorted(self.contents):
            first = dcmread(io.BytesIO(self.contents[uid][0]), stop_before_pixels=True)
            if any(_matches(first, one) for one in one_by_one(search_filter)):
                found.append(
                    Series(
                        uid=uid,
                        study=str(first.StudyInstanceUID),
                        modality=str(first.get("Modality", "")),
                        patient_id=str(first.get("PatientID") or ""),
                        person=(str(first.get("PatientName") or ""), str(first.get("PatientBirthDate") or "")),
                        instances=len(self.contents[uid]),
                    )
                )
        return found

    def find(self, uid: str) -> Series | None:
        return next(iter(self.series({"SeriesInstanceUID": uid})), None)

    def download(self, series: Series, folder: Path) -> None:
        self._answer(f"download {series.uid}")
        folder.mkdir()
        for index, content in enumerate(self.contents[series.uid]):
            (folder / f"{index}.dcm").write_bytes(content)

    def instances(self, series: Series) -> list[Dataset]:
        self._answer(f"instances {series.uid}")
        return [dcmread(io.BytesIO(content)) for content in self.contents[series.uid]]

    def headers(self, series: Series) -> list[Dataset]:
        self._answer(f"headers {series.uid}")
        return [dcmread(io.BytesIO(content), stop_before_pixels=True) for content in self.contents[series.uid]]

    def store(self, dataset: Dataset) -> None:
        self._answer("store")
        if not self.takes:
            raise PacsError("Expected the PACS to take a segmentation, got HTTP 403. Ask for the right to do so.")
        self.put(dataset)

    def labels_of(self, image: str) -> list[Dataset]:
        """Segmentations of an image, in the order in which they came."""
        found = []
        for contents in self.contents.values():
            dataset = dcmread(io.BytesIO(contents[0]))
            if dataset.Modality == "SEG" and dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == image:
                found.append(dataset)
        return found

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if not self.up:
            raise PacsError("Expected http://pacs/dicom-web to answer, got ConnectionError. Start the PACS.")


def _matches(dataset: Dataset, search_filter: dict[str, Any]) -> bool:
    return all(str(dataset.get(keyword, "")) == value for keyword, value in search_filter.items())


def pixels(seed: int, frames: int = 1) -> NDArray[np.float32]:
    """`(W, H, F)` whole numbers from 0 to 255."""
    return np.random.default_rng(seed).integers(0, 256, (WIDTH, HEIGHT, frames)).astype(np.float32)


def ultrasound(seed: int, patient: str = "p", *, frames: int = 1, **tags: object) -> list[Dataset]:
    """The instances of an ultrasound series, with further DICOM elements."""
    stack = pixels(seed, frames)
    calibration = Calibration((SPACING_MM, SPACING_MM), "given")
    frame = Frame(stack, np.diag([SPACING_MM, SPACING_MM, 1.0, 1.0]), stack.shape, calibration, Path("made"))
    instances = image_series(frame, ImageIdentity.of(frame, patient=patient, image=f"image {seed}"))
    for instance in instances:
        for keyword, value in tags.items():
            setattr(instance, keyword, value)
    return list(instances)


def mask(*columns: int) -> NDArray[np.uint8]:
    """`(W, H, 1)` with the layer in the given columns."""
    label = np.zeros((WIDTH, HEIGHT, 1), np.uint8)
    label[list(columns), 5:9] = 1
    return label


def segmentation(images: Sequence[Dataset], label: NDArray[np.uint8], created: float, **tags: object) -> Dataset:
    """A label of these images by another station."""
    identity = ImageIdentity("p", "other station", str(created))
    dataset = label_segmentation(images, OutgoingLabel("final", label, created), identity)
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset
