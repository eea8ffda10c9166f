"""Labels that a PACS holds as DICOM segmentations: which there are, and each as a file that the app reads."""

import json
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from lib.datastores.archive import ImageArchive, Series
from lib.datastores.listing import Listing
from sequal.anatomy.model import Model
from sequal.errors import LabelError, PacsError
from sequal.files.dicom import is_refined
from sequal.files.dicom.equipment import MANUFACTURER
from sequal.files.imaging import read_frame
from sequal.files.imaging.dicom_seg import (
    check_segmentation,
    read_segmentation,
    referenced_series,
    segmentation_says_no_layer,
)
from sequal.files.imaging.dicom_series import read_series_headers
from sequal.files.imaging.writing import write_mask
from sequal.study.state import atomic_write

__all__ = ["PacsLabel", "PacsLabels"]

logger = logging.getLogger(__name__)

#: Where a segmentation says when it was made, the best first.
_MOMENTS: Final = ("Content", "Series", "InstanceCreation")


@dataclass(frozen=True)
class PacsLabel:
    """What is known about one segmentation series.

    Attributes:
        uid: its SeriesInstanceUID.
        image: SeriesInstanceUID of the images that it belongs to; empty when it does not say.
        created: when it was made, seconds since the epoch; 0 when it does not say.
        instances: how many instances it had when it was looked at.
        unusable: why it is no label of this app; empty when it is one.
        no_layer: it says that the image shows no layer.
        station: the station that made it; empty when it does not say.
    """

    uid: str
    image: str
    created: float
    instances: int
    unusable: str = ""
    no_layer: bool = False
    station: str = ""


class PacsLabels:
    """Looks at each segmentation of a PACS once; one that cannot be used is named in the log and left out.

    Args:
        archive: the PACS.
        folder: what was looked at is kept here.
        model: says which labels there are.
    """

    def __init__(self, archive: ImageArchive, folder: Path, model: Model) -> None:
        self._archive, self._folder, self._model = archive, folder, model
        self._known: dict[str, PacsLabel] = {}

    def of_images(self, listing: Listing) -> dict[str, list[PacsLabel]]:
        """The usable labels of each image, the newest last."""
        labels: dict[str, list[PacsLabel]] = {}
        for series in listing.segmentations.values():
            label = self._look(series, listing)
            if label is not None and not label.unusable and label.image in listing.patients:
                labels.setdefault(label.image, []).append(label)
        return {image: sorted(found, key=lambda label: (label.created, label.uid)) for image, found in labels.items()}

    def all_of(self, image: str) -> Collection[str]:
        """UIDs of every segmentation of an image that was looked at."""
        return {label.uid for label in self._known.values() if label.image == image}

    def since(self, moment: float) -> list[PacsLabel]:
        """What was made after a moment, of all that was looked at; the oldest first."""
        return sorted(
            (label for label in list(self._known.values()) if label.created > moment), key=lambda label: label.created
        )

    def first(self, station: str) -> tuple[float, str] | None:
        """When a station made its first label, and its name, so that no two are equal; None when it made none."""
        moments = [label.created for label in list(self._known.values()) if label.station == station]
        return (min(moments), station) if moments else None

    def file(self, label: PacsLabel, image: Path, instances: Path) -> Path:
        """The label on its image's grid, as NIfTI.

        Args:
            label: which.
            image: the image's file.
            instances: folder of the image's DICOM instances.

        Raises:
            LabelError: it does not fit its image; it counts as unusable from then on.
            ImageError: the image cannot be read.
        """
        target = self._folder / f"{label.uid}.nii.gz"
        if target.exists():
            return target
        frame = read_frame(image)
        segmentation = self._read(label.uid)
        try:
            headers = read_series_headers(instances)
            values = read_segmentation(segmentation, headers, self._model.labels)
            mask = values[:, :, self._model.planes(headers)].reshape(frame.shape)
        except (LabelError, ValueError) as error:
            self._keep(PacsLabel(label.uid, label.image, label.created, label.instances, str(error)))
            raise LabelError(f"Segmentation {label.uid} of image {label.image}: {error}") from error
        temporary = target.with_name(f".{time.time_ns()}.nii.gz")
        write_mask(temporary, mask, frame.affine, forms=frame.place.forms if frame.place else None)
        temporary.replace(target)
        return target

    def _look(self, series: Series, listing: Listing) -> PacsLabel | None:
        label = self._known.get(series.uid) or self._noted(series.uid)
        if label is None or label.instances != series.instances:
            try:
                label = self._fetch(series)
            except PacsError as error:
                logger.warning("A segmentation is left out for now. %s", error)
                return None
            # What belongs to an image of another model, or of no model, is not missed here.
            self._keep(label, missed=not label.image or label.image in listing.patients)
        self._known[series.uid] = label
        return label

    def _fetch(self, series: Series) -> PacsLabel:
        instances = self._archive.instances(series)
        if not instances:
            return PacsLabel(series.uid, "", 0.0, series.instances, "It has no instance.")
        newest = max(instances, key=_created)
        image = referenced_series(newest) or ""
        reason = _why_not(newest, self._model.labels)
        if not reason:
            with atomic_write(self._path(f"{series.uid}.dcm")) as file:
                pydicom.dcmwrite(file, newest, write_like_original=False)
            self._path(f"{series.uid}.nii.gz").unlink(missing_ok=True)
        no_layer = not reason and segmentation_says_no_layer(newest)
        station = str(newest.get("StationName") or "")
        return PacsLabel(series.uid, image, _created(newest), series.instances, reason, no_layer, station)

    def _keep(self, label: PacsLabel, *, missed: bool = True) -> None:
        if label.unusable and missed:
            logger.warning("Leaving out segmentation %s of image %s: %s", label.uid, label.image, label.unusable)
        self._known[label.uid] = label
        with atomic_write(self._path(f"{label.uid}.json")) as file:
            file.write(json.dumps(asdict(label), indent=1).encode())

    def _noted(self, uid: str) -> PacsLabel | None:
        path = self._folder / f"{uid}.json"
        try:
            label = PacsLabel(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            logger.warning("%s cannot be read (%s); the segmentation is fetched again.", path, error)
            return None
        usable = label.unusable or (self._folder / f"{uid}.dcm").exists()
        return label if usable else None

    def _read(self, uid: str) -> Dataset:
        try:
            return pydicom.dcmread(self._folder / f"{uid}.dcm")
        # pydicom has many exceptions for damaged files.
        except Exception as error:
            for suffix in (".json", ".dcm"):
                (self._folder / f"{uid}{suffix}").unlink(missing_ok=True)
            self._known.pop(uid, None)
            raise LabelError(
                f"Expected the copy of segmentation {uid} to be readable, got {type(error).__name__}: {error}. "
                "It is fetched again; ask again."
            ) from error

    def _path(self, name: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / name


def _why_not(segmentation: Dataset, labels: Mapping[str, int]) -> str:
    """Why a segmentation is no label of an expert for this study; empty when it is one."""
    if is_refined(segmentation):
        return "It is a refined label, which no expert has approved."
    try:
        check_segmentation(segmentation, labels)
    except LabelError as error:
        return str(error)
    return ""


def _created(dataset: Any) -> float:  # noqa: ANN401 - pydicom is not typed
    """Seconds since the epoch; 0 when the object does not say or says it wrongly."""
    for moment in _MOMENTS:
        date, clock = str(dataset.get(f"{moment}Date") or ""), str(dataset.get(f"{moment}Time") or "000000")
        try:
            when = datetime.strptime(f"{date}{clock[:6]:0<6}", "%Y%m%d%H%M%S")
            fraction = float(f"0{clock[6:]}") if clock[6:] else 0.0
        except ValueError:
            continue
        return _aware(when, dataset).timestamp() + fraction
    return 0.0


def _aware(when: datetime, dataset: Any) -> datetime:  # noqa: ANN401
    """DICOM times are local where no offset is given; this app's own are UTC."""
    offset = str(dataset.get("TimezoneOffsetFromUTC") or "")
    if offset:
        try:
            return datetime.strptime(f"{when:%Y%m%d%H%M%S}{offset}", "%Y%m%d%H%M%S%z")
        except ValueError:
            pass
    return when.replace(tzinfo=UTC) if dataset.get("Manufacturer") == MANUFACTURER else when.astimezone()
