"""Where the images come from that `measure` measures: a folder, a PACS, or a running server."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sequal.commands.address import series_at_server
from sequal.commands.annotating.client import AnnotationClient
from sequal.commands.pacs_study import PacsStudy
from sequal.errors import StudyError
from sequal.files.dicom.series_frame import series_frame
from sequal.files.dicom.series_list import series_names
from sequal.files.dicom.text import short_text
from sequal.files.imaging import Frame, given_calibration, read_frame
from sequal.study.folder import images_by_id
from sequal.study.state import MANIFEST_NAME, patient_of

__all__ = ["MeasureSource"]


@dataclass(frozen=True)
class MeasureSource:
    """Images that can be read one by one.

    Attributes:
        place: what it is called in messages.
        names: what people call each image, by id.
        patients: patient by image id.
        read: gives the frame of an image, by its id; raises ImageError for one that cannot be read.
    """

    place: str
    names: Mapping[str, str]
    patients: Mapping[str, str]
    read: Callable[[str], Frame]

    @classmethod
    def folder(cls, folder: Path, pattern: str = "", spacing_mm: tuple[float, float] | None = None) -> "MeasureSource":
        """The images of a folder, DICOM files without a suffix included.

        Args:
            folder: its `patients.csv` names the patients.
            pattern: finds the patient in an id that `patients.csv` does not name.
            spacing_mm: (dx, dy), overrides what the files say.

        Raises:
            StudyError: it is not a folder, holds no image, or its `patients.csv` cannot be used.
            ImageError: `spacing_mm` is not credible.
        """
        if not folder.is_dir():
            raise StudyError(f"Expected `{folder}` to be a folder of images, got no such folder. Check the path.")
        if spacing_mm is not None:
            given_calibration(spacing_mm)
        files = images_by_id(folder, dicom_without_suffix=True)
        if not files:
            raise StudyError(
                f"Expected `{folder}` to hold images, got none. Copy NIfTI, DICOM, PNG, JPEG or TIFF files into it."
            )
        patients = patient_of(files, folder / MANIFEST_NAME, pattern)
        names = {image: image for image in files}
        return cls(f"`{folder}`", names, patients, lambda image: read_frame(files[image], spacing_mm=spacing_mm))

    @classmethod
    def pacs(cls, pacs: PacsStudy, spacing_mm: tuple[float, float] | None = None) -> "MeasureSource":
        """The ultrasound series of a PACS, fetched one by one; nothing of them is kept.

        Args:
            pacs: whose PatientID is the patient.
            spacing_mm: (dx, dy), overrides what the series say.

        Raises:
            StudyError: it has none.
            ImageError: `spacing_mm` is not credible.
        """
        if not pacs.series:
            raise StudyError(
                f"Expected {pacs.client.base_url} to have ultrasound series, got none. Send some, or look at "
                "MONAI_LABEL_DICOMWEB_SEARCH_FILTER."
            )
        if spacing_mm is not None:
            given_calibration(spacing_mm)
        patients = {uid: series.patient or uid for uid, series in pacs.series.items()}

        def read(uid: str) -> Frame:
            return series_frame(pacs.client, pacs.series[uid], spacing_mm)

        return cls(str(pacs.client.base_url), pacs.names, patients, read)

    @classmethod
    def server(cls, address: str, client: AnnotationClient, pattern: str = "") -> "MeasureSource":
        """The images of a running server.

        Args:
            address: of the server.
            client: of the same.
            pattern: finds the patient in the id of a file for which the server names none.

        Raises:
            ServerError: it does not answer.
            StudyError: it has no image.
        """
        ids = sorted(client.labelled())
        if not ids:
            raise StudyError(f"Expected the study of {address} to hold images, got none. Add some.")
        series = {one.uid: one for one in series_at_server(address)}
        named = series_names(list(series.values()))
        own = patient_of(ids, None, pattern)
        # Where nothing names the patient of a file, the server gives the image's id, and the pattern may know better.
        of_files = {
            one.descriptions[0]: one.patient for one in series.values() if one.patient not in ("", one.descriptions[0])
        }
        patients = {
            image: series[image].patient or image if image in series else of_files.get(short_text(image), own[image])
            for image in ids
        }
        names = {image: named.get(image, image) for image in ids}
        return cls(address, names, patients, lambda image: read_frame(client.download_image(image)))
