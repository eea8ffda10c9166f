"""Everything that can be imported from a folder or a file, without reading a pixel."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from sequal.errors import ImageError, StudyError
from sequal.files.imaging import file_kind
from sequal.files.importing.candidate import Candidate, Found, Problem, no_image, why_not
from sequal.files.importing.cubs import cubs_candidates, find_cubs
from sequal.files.importing.dicom_files import dicom_candidate
from sequal.files.importing.h5_files import H5_SUFFIXES, h5_candidate
from sequal.files.importing.masks import attach_masks
from sequal.files.importing.patients import name_patients
from sequal.files.importing.pictures import picture_candidate
from sequal.files.importing.pseudonyms import Pseudonyms
from sequal.files.importing.spacing import SIDECARS, SpacingRules
from sequal.files.importing.walking import subfolder, walk_files
from sequal.study.state import MANIFEST_NAME

__all__ = ["ImportOptions", "SourceKind", "find_candidates"]

SourceKind = Literal["auto", "files", "cubs"]

_IMAGE_FOLDERS: Final = ("images", "image", "imgs")
_MASK_FOLDERS: Final = ("masks", "mask", "labels", "segmentations")
#: An index of DICOM files, no image.
_DICOM_INDEX: Final = "DICOMDIR"


@dataclass(frozen=True)
class ImportOptions:
    """What the user says about a source.

    Attributes:
        kind: layout of the source; auto: CUBS where its folders are found, else files.
        spacing_mm: (dx, dy) of every image, whatever the files say.
        spacing_table: CSV with the spacing of each image.
        voxel_mm: size of the voxels of every H5 file along its axes; such files do not say it.
        masks: folder of masks; None: `masks`, `labels` or the like in the source, if it has one.
        layer_value: value of the layer in the masks.
        patients: CSV `image,patient`; None: `patients.csv` of the source, if it has one.
        patient_pattern: regular expression with a group `patient`, for images that no table names.
        keep_patient_ids: name DICOM patients by their PatientID.
        final: reader whose labels become the expert's; `none`: nobody's; None: those of the only reader.
    """

    kind: SourceKind = "auto"
    spacing_mm: tuple[float, float] | None = None
    spacing_table: Path | None = None
    voxel_mm: tuple[float, float, float] | None = None
    masks: Path | None = None
    layer_value: int | None = None
    patients: Path | None = None
    patient_pattern: str = ""
    keep_patient_ids: bool = False
    final: str | None = None


def find_candidates(
    source: Path,
    options: ImportOptions,
    pseudonyms: Callable[[], Pseudonyms],
    *,
    leave_out: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Found:
    """Look through a source.

    Args:
        source: a folder or one file.
        options: see there.
        pseudonyms: gives hashes with the study's salt; called when there is a DICOM file.
        leave_out: the studies folder, which may lie in the source.
        progress: called with the name of each file.

    Raises:
        StudyError: the source is missing, a table cannot be read, CUBS was asked for and is not there, or masks were
            given with CUBS.
        ImageError: `spacing_mm` is not credible.
        SettingsError: the pattern is none, or has no group `patient`.
    """
    if not source.exists():
        raise StudyError(f"Expected `{source}` to be a file or a folder of images, got no such path. Check it.")
    rules = SpacingRules.read(options.spacing_mm, options.spacing_table)
    layouts = find_cubs(source) if options.kind != "files" and source.is_dir() else []
    if options.kind == "cubs" and not layouts:
        raise StudyError(
            f"Expected `{source}` to hold CUBS, folders IMAGES and CF beside SEGMENTATIONS or LIMA-Profiles, got "
            "others. Check the path, or leave out --kind."
        )
    if layouts:
        _check_cubs(source, options)
        found = _merged([cubs_candidates(layout, source, rules) for layout in layouts])
    else:
        found = _files(source, options, rules, pseudonyms, leave_out, progress)
    if options.spacing_table:
        found.notes += _unused_rows(found, rules, options.spacing_table.name)
    table = options.patients or _own_table(source)
    found.candidates = name_patients(found.candidates, table, options.patient_pattern)
    return found


def _check_cubs(source: Path, options: ImportOptions) -> None:
    if options.masks is not None:
        raise StudyError(
            f"Expected `--masks` for pictures alone, got it for `{source}`, whose folders are those of CUBS. "
            "Leave it out, or take the source as plain pictures with --kind files."
        )


def _unused_rows(found: Found, rules: SpacingRules, table: str) -> list[Problem]:
    named = [item.name for item in found.candidates] + [item.name for item in found.problems + found.others]
    reason = "Expected every row to name a file of the source, got one that names none. Check how it is spelled."
    return [Problem(f"{table}: {row}", reason) for row in rules.unused(named)]


def _own_table(source: Path) -> Path | None:
    tables = [source / MANIFEST_NAME, *(source / name / MANIFEST_NAME for name in _IMAGE_FOLDERS)]
    return next((path for path in tables if path.is_file()), None)


def _merged(parts: list[Found]) -> Found:
    merged = Found()
    for part in parts:
        merged.candidates += part.candidates
        merged.problems += part.problems
        merged.others += part.others
    return merged


def _files(
    source: Path,
    options: ImportOptions,
    rules: SpacingRules,
    pseudonyms: Callable[[], Pseudonyms],
    leave_out: Path,
    progress: Callable[[str], None],
) -> Found:
    images, masks = _image_and_mask_folders(source, options.masks)
    found = Found()
    files = [images] if images.is_file() else walk_files(images, [leave_out, *([masks] if masks else [])])
    base = images.parent if images.is_file() else images
    tables = {path.resolve() for path in (options.spacing_table, options.patients) if path}
    for path in files:
        if path.name == MANIFEST_NAME or path.resolve() in tables or path.name.endswith(SIDECARS):
            continue
        name = path.relative_to(base).as_posix()
        progress(name)
        try:
            candidate = _one(path, name, options, rules, pseudonyms)
        except StudyError:
            raise
        except Exception as error:
            found.problems.append(Problem(name, why_not(error)))
            continue
        if candidate is None:
            found.others.append(no_image(name))
        else:
            found.candidates.append(candidate)
    if masks is not None:
        labels, problems, others = attach_masks(found.candidates, masks, options.layer_value)
        found.candidates = [replace(item, labels=labels.get(item.name, ())) for item in found.candidates]
        found.problems += problems
        found.others += others
    return found


def _image_and_mask_folders(source: Path, masks: Path | None) -> tuple[Path, Path | None]:
    if masks is not None and not masks.is_dir():
        raise StudyError(f"Expected `{masks}` to be a folder of masks, got no such folder. Check --masks.")
    if source.is_file():
        return source, masks
    images = subfolder(source, *_IMAGE_FOLDERS)
    masks = masks or subfolder(source, *_MASK_FOLDERS)
    return (images, masks) if images and masks else (source, masks)


def _one(
    path: Path, name: str, options: ImportOptions, rules: SpacingRules, pseudonyms: Callable[[], Pseudonyms]
) -> Candidate | None:
    if path.suffix.lower() in H5_SUFFIXES:
        return _h5(path, name, options, rules)
    kind = None if path.name == _DICOM_INDEX else file_kind(path)
    if kind is None:
        return None
    if kind == "dicom":
        spacing_mm = rules.of(path, name, sidecar=False)
        return dicom_candidate(path, name, pseudonyms, keep_patient_ids=options.keep_patient_ids, spacing_mm=spacing_mm)
    return picture_candidate(path, name, rules)


def _h5(path: Path, name: str, options: ImportOptions, rules: SpacingRules) -> Candidate:
    if rules.of(path, name, sidecar=False) is not None:
        raise ImageError(
            f"Expected the size of the voxels of `{path.name}` along three axes, got a spacing of pixels. "
            "Give it with --voxel-mm."
        )
    return h5_candidate(path, name, options.voxel_mm)
