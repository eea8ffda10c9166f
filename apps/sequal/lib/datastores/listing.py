"""What a PACS has for this app, as it said last."""

import json
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lib.datastores.archive import ImageArchive, Series
from lib.datastores.shared_call import SharedCall
from sequal.errors import PacsError
from sequal.files.dicom import pseudonym
from sequal.study.state import atomic_write

__all__ = ["Lister", "Listing"]

logger = logging.getLogger(__name__)

#: One request of a client asks for the list several times.
_FRESH_S: Final = 2.0
#: Nobody else is answered meanwhile: MONAI Label's handlers wait on the event loop.
_PATIENCE_S: Final = 3.0
_SEGMENTATION: Final = "SEG"
#: Objects that stand beside images; that they are none is not worth a word.
_BESIDE: Final = frozenset({_SEGMENTATION, "SR", "PR", "KO", "DOC", "REG", "RTSTRUCT", ""})


@dataclass(frozen=True)
class Listing:
    """The series of a PACS that concern a study.

    Attributes:
        images: series of the model's modalities that the search filter finds, by UID.
        segmentations: every segmentation series, by UID.
        patients: patient by image UID, as a pseudonym; also of images that the PACS had once.
    """

    images: dict[str, Series] = field(default_factory=dict)
    segmentations: dict[str, Series] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)


class Lister:
    """Asks the PACS what it has, and remembers the last answer for the time when there is none.

    Args:
        archive: the PACS.
        search_filter: of the images, DICOM keyword to value.
        salt: of the pseudonyms, the study's own.
        file: where the last answer is kept, without names and ids of patients.
        writes: whether this process may write it, which is the server.
        modalities: of images.
    """

    def __init__(
        self,
        archive: ImageArchive,
        search_filter: dict[str, Any],
        salt: str,
        file: Path,
        *,
        writes: bool,
        modalities: Sequence[str],
    ) -> None:
        self._archive, self._filter, self._salt = archive, search_filter, salt
        self._modalities = modalities
        self._file, self._writes = file, writes
        self._lock = threading.RLock()
        self._asked: float | None = None
        self._down = False
        self._warned: set[str] = set()
        self._last = _read(file)
        self._call = SharedCall(self.now, _PATIENCE_S)

    def last(self) -> Listing:
        """The list as of now, or the last known one while the PACS is down; empty when there never was one.

        The server waits three seconds for a PACS that is silent, once: it is given its time in another thread.
        """
        if self._is_fresh():
            return self._last
        try:
            return self._call.result() if self._writes else self.now()
        except (PacsError, TimeoutError):
            return self._last

    def now(self) -> Listing:
        """The list as of now, at most two seconds old.

        Raises:
            PacsError: the PACS does not answer.
        """
        with self._lock:
            if self._is_fresh():
                return self._last
            try:
                listing = self._ask()
            except PacsError as error:
                if not self._down:
                    logger.error("Working with what the PACS said last (%d images). %s", len(self._last.images), error)
                self._down, self._asked = True, None
                raise
            if self._down:
                logger.info("The PACS answers again")
            self._down = False
            if listing != self._last:
                self._last = listing
                self._keep(listing)
            self._asked = time.monotonic()
            return listing

    def _is_fresh(self) -> bool:
        asked = self._asked
        return asked is not None and time.monotonic() - asked < _FRESH_S

    def _ask(self) -> Listing:
        found = self._archive.series(self._filter)
        images = {series.uid: series for series in found if series.modality in self._modalities}
        self._name_others(series for series in found if series.modality not in {*self._modalities, *_BESIDE})
        self._name_shared_ids(images.values())
        segmentations = {series.uid: series for series in self._archive.series({"Modality": _SEGMENTATION})}
        patients = {
            # Without an id, images of one study are of one patient; more is not known.
            uid: pseudonym(f"id {series.patient_id}" if series.patient_id else f"study {series.study}", self._salt)
            for uid, series in images.items()
        }
        return Listing(images, segmentations, self._last.patients | patients)

    def _name_others(self, others: Iterable[Series]) -> None:
        for series in others:
            if series.uid not in self._warned:
                self._warned.add(series.uid)
                logger.warning(
                    "Leaving out series %s: expected Modality %s, got %s. Narrow the search filter to that.",
                    series.uid,
                    " or ".join(self._modalities),
                    series.modality,
                )

    def _name_shared_ids(self, images: Iterable[Series]) -> None:
        people: dict[str, Series] = {}
        for series in images:
            first = people.setdefault(series.patient_id, series) if series.patient_id else series
            if series.uid not in self._warned and _differ(first.person, series.person):
                self._warned.add(series.uid)
                logger.warning(
                    "Series %s and %s have one PatientID but different names or birth dates. They count as one "
                    "patient, so that none is on both sides of the validation split; correct the id in the PACS.",
                    first.uid,
                    series.uid,
                )

    def _keep(self, listing: Listing) -> None:
        if not self._writes:
            return
        record = {
            "images": [asdict(_anonymous(series)) for series in listing.images.values()],
            "segmentations": [asdict(_anonymous(series)) for series in listing.segmentations.values()],
            "patients": listing.patients,
        }
        try:
            with atomic_write(self._file) as file:
                file.write(json.dumps(record, indent=1).encode())
        except OSError as error:
            logger.warning("The list of the PACS cannot be kept in %s: %s", self._file, error)


def _anonymous(series: Series) -> Series:
    return replace(series, patient_id="", person=("", ""), description="")


def _differ(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two people differ in what is known of both."""
    return any(a and b and a.casefold() != b.casefold() for a, b in zip(one, other, strict=True))


def _read(file: Path) -> Listing:
    try:
        record = json.loads(file.read_bytes())
        images, segmentations = (
            {entry["uid"]: Series(**{**entry, "person": ("", "")}) for entry in record[key]}
            for key in ("images", "segmentations")
        )
        return Listing(images, segmentations, {str(uid): str(name) for uid, name in record["patients"].items()})
    except FileNotFoundError:
        return Listing()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        logger.warning("What the PACS said last cannot be read from %s: %s", file, error)
        return Listing()
