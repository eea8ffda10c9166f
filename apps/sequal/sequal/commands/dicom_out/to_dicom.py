"""`to-dicom`: a study's images, labels and measurements as DICOM, into a folder or a PACS."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from sequal.anatomy.models import model_of
from sequal.commands.console import OUT, progress_bar, table
from sequal.commands.dicom_out.labels import outgoing_labels
from sequal.commands.dicom_out.tables import measurement_rows, write_measurements
from sequal.commands.place import StudyPlace, output_folder
from sequal.errors import ImageError, SettingsError, StudyError
from sequal.files.dicom import (
    ImageBundle,
    ImageIdentity,
    Pacs,
    VolumeModality,
    bundle_image,
    bundle_volume,
    pseudonym,
    write_bundle,
)
from sequal.files.imaging import read_frame
from sequal.study.state.names import file_stem

__all__ = ["ToDicomOptions", "to_dicom_command"]

#: Where the tables go when the objects are only sent.
_TABLES: Final = Path("measurements")


@dataclass(frozen=True)
class ToDicomOptions:
    """What to export, and to where.

    Attributes:
        out: folder for files; None: write none.
        stow: address of a PACS; None: send nothing.
        salt: replaces names of patients and images by pseudonyms; empty: they stay as the study has them.
        refined: also export refined labels.
        modality: of volumes, whose files do not say it.
    """

    out: Path | None
    stow: str | None
    salt: str = ""
    refined: bool = True
    modality: VolumeModality = "MR"


@dataclass
class _Outcome:
    """What was exported so far."""

    objects: int = 0
    images: int = 0
    segmentations: int = 0
    reports: int = 0
    rows: list[dict[str, object]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, image: str, patient: str, bundle: ImageBundle) -> None:
        self.images += 1
        self.objects += sum(1 for _ in bundle.named())
        self.segmentations += len(bundle.labels)
        self.reports += sum(objects.report is not None for objects in bundle.labels)
        self.rows += measurement_rows(image, patient, bundle)


def to_dicom_command(place: StudyPlace, options: ToDicomOptions) -> None:
    """Export a study with a progress bar, and print what was written and what was left out.

    Args:
        place: the study.
        options: what and where to.

    Raises:
        SettingsError: there is nowhere to export to, or the address is malformed.
        PacsError: the PACS does not answer; what was sent before stays there, former tables stay as they are.
        StudyError: files cannot be written, or no image could be exported.
    """
    if options.out is None and options.stow is None:
        raise SettingsError("Expected --out DIR or --stow URL, got neither. Say where the DICOM objects shall go.")
    send = None if options.stow is None else Pacs(options.stow).store
    tables = output_folder(options.out or _TABLES)
    outcome = _Outcome()
    _export(place, options, send, outcome)
    write_measurements(tables, outcome.rows)
    _print(outcome, options, tables)
    if not outcome.images:
        first = next(iter(outcome.left_out.values()))
        raise StudyError(f"Expected at least one image that can be exported, got none. {first}")


def _export(
    place: StudyPlace, options: ToDicomOptions, send: Callable[[list[Dataset]], str | None] | None, outcome: _Outcome
) -> None:
    patients = place.patients
    with progress_bar() as bar:
        task = bar.add_task("Exporting", total=len(place.files.images))
        for image, path in place.files.images.items():
            try:
                bundle = _bundle(place, options, image, path, patients[image], outcome)
            except ImageError as error:
                outcome.left_out[image] = str(error)
            else:
                if options.out is not None:
                    write_bundle(options.out / file_stem(bundle.identity.image), bundle)
                refused = send([dataset for _, dataset in bundle.named()]) if send is not None else None
                if refused is None:
                    outcome.add(image, patients[image], bundle)
                else:
                    outcome.left_out[image] = refused
            bar.update(task, advance=1)


def _bundle(
    place: StudyPlace, options: ToDicomOptions, image: str, path: Path, patient: str, outcome: _Outcome
) -> ImageBundle:
    frame = read_frame(path)
    names = (patient, image)
    if options.salt:
        names = (pseudonym(patient, options.salt), pseudonym(image, options.salt))
    of_volume = model_of(place.settings).spatial_dims == 3
    identify = ImageIdentity.of_volume if of_volume else ImageIdentity.of
    identity = identify(frame, patient=names[0], image=names[1])
    labels, reason = outgoing_labels(place, image, frame, refined=options.refined)
    if reason is not None:
        outcome.left_out[f"label of {image}"] = reason
    if of_volume:
        return bundle_volume(frame, identity, labels, options.modality)
    return bundle_image(frame, identity, labels)


def _print(outcome: _Outcome, options: ToDicomOptions, tables: Path) -> None:
    if outcome.left_out:
        OUT.print(table("Left out", ("image", "reason"), list(outcome.left_out.items())))
    places = " and ".join(str(place) for place in (options.out, options.stow) if place is not None)
    OUT.print(
        f"{outcome.images} images, {outcome.segmentations} segmentations and {outcome.reports} reports "
        f"({outcome.objects} DICOM objects) to {places}; measurements.csv and measurements.json in {tables}",
        markup=False,
    )
    if options.salt:
        OUT.print("The tables name patients and images as the study does: keep them apart from the DICOM objects.")
