"""The Carotid Ultrasound Boundary Study, versions 1 and 2 (10.17632/fpv535fss7.1 and 10.17632/m7ndn58sv6.1)."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sequal.errors import ImageError
from sequal.files.imaging import Calibration, given_calibration, image_stem, image_suffix
from sequal.files.importing.candidate import Candidate, Found, LabelSource, Problem, no_image, why_not
from sequal.files.importing.ids import id_of
from sequal.files.importing.pictures import read_contents
from sequal.files.importing.profiles import mask_between, read_profile
from sequal.files.importing.spacing import SpacingRules, beside, spacing_numbers
from sequal.files.importing.walking import subfolder, walk_files
from sequal.files.text_files import read_text, same_text

__all__ = ["CubsFolders", "cubs_candidates", "find_cubs"]

#: Version 1, version 2, and the curves of either with a point in every column, where only those were kept.
_PROFILE_FOLDERS: Final = ("SEGMENTATIONS", "LIMA-Profiles", "LIMA-Profiles-interpolated")
#: Version 1 has the left and the right artery of a patient.
_PATIENT: Final = re.compile(r"(?P<patient>clin_\d+)(_.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class CubsFolders:
    """The folders of one version.

    Attributes:
        images: pictures.
        calibrations: `<id>_CF.txt`, one number, millimetres per pixel.
        profiles: a folder a reader with `<id>-LI.txt` and `<id>-MA.txt`; None: there are none.
    """

    images: Path
    calibrations: Path
    profiles: Path | None


def find_cubs(source: Path) -> list[CubsFolders]:
    """Look for the layout of CUBS in a folder and in the folders right below it.

    Returns:
        What was found, the folder itself alone if it has the layout; empty: it is no CUBS.
    """
    own = _layout(source)
    if own:
        return [own]
    below = [_layout(path) for path in sorted(source.iterdir()) if path.is_dir()]
    return [layout for layout in below if layout]


def cubs_candidates(folders: CubsFolders, source: Path, rules: SpacingRules) -> Found:
    """The images of CUBS with calibration and profiles.

    An image without a calibration file is not calibrated; one with an unreadable file is left out, since nobody
    would see that its millimetres are missing.

    Args:
        folders: where they are.
        source: what names are relative to.
        rules: option and table, which override the calibration files.
    """
    found = Found()
    readers = [path for path in sorted(folders.profiles.iterdir()) if path.is_dir()] if folders.profiles else []
    stems = set()
    for path in walk_files(folders.images):
        name = path.relative_to(source).as_posix()
        if not image_suffix(path):
            found.others.append(no_image(name))
            continue
        stem = image_stem(path)
        stems.add(same_text(stem))
        try:
            given = rules.of(path, name, sidecar=False)
            found.candidates.append(_candidate(path, name, stem, folders.calibrations, readers, given))
        except Exception as error:
            found.problems.append(Problem(name, why_not(error)))
    found.problems += _without_partner(readers, stems, source)
    return found


def _layout(folder: Path) -> CubsFolders | None:
    images, calibrations = subfolder(folder, "images"), subfolder(folder, "CF")
    if images is None or calibrations is None:
        return None
    return CubsFolders(images, calibrations, subfolder(folder, *_PROFILE_FOLDERS))


def _candidate(
    path: Path, name: str, stem: str, calibrations: Path, readers: list[Path], spacing_mm: tuple[float, float] | None
) -> Candidate:
    source = "given" if spacing_mm else "CUBS calibration factor"
    factor = beside(calibrations / stem, f"{stem}_CF.txt")
    spacing_mm = spacing_mm or (None if factor is None else _calibration_factor(factor))
    patient = _PATIENT.fullmatch(stem)
    return Candidate(
        image=id_of(path.name),
        file=path,
        name=name,
        read=partial(read_contents, path, None if spacing_mm is None else Calibration(spacing_mm, source)),
        patient=patient["patient"] if patient else "",
        spacing_mm=spacing_mm,
        labels=tuple(label for label in (_label(reader, stem) for reader in readers) if label),
    )


def _calibration_factor(path: Path) -> tuple[float, float]:
    try:
        numbers = spacing_numbers(read_text(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"Expected `{path.name}` to be a text file, got: {error}. Copy it again.") from error
    if len(numbers) != 1:
        raise ImageError(
            f"Expected `{path.name}` to hold one number, millimetres per pixel, got something else. Copy it again."
        )
    try:
        given_calibration((numbers[0], numbers[0]))
    except ImageError as error:
        raise ImageError(f"In `{path.name}`: {error}") from error
    return numbers[0], numbers[0]


def _label(reader: Path, stem: str) -> LabelSource | None:
    li, ma = (beside(reader / stem, f"{stem}-{side}.txt") for side in ("LI", "MA"))
    if li is None or ma is None:
        return None
    return LabelSource(reader.name, (li, ma), partial(_read, li, ma))


def _read(li: Path, ma: Path, grid: tuple[int, int, int]) -> NDArray[np.uint8]:
    return mask_between(read_profile(li), read_profile(ma), grid)


def _without_partner(readers: list[Path], stems: set[str], source: Path) -> list[Problem]:
    """Profiles that have no image or no second boundary."""
    problems = []
    for reader in readers:
        for path in walk_files(reader):
            side = re.fullmatch(r"(?P<stem>.+)-(?P<side>LI|MA)\.txt", path.name)
            if side is None:
                continue
            name = path.relative_to(source).as_posix()
            other = path.with_name(f"{side['stem']}-{'MA' if side['side'] == 'LI' else 'LI'}.txt")
            if same_text(side["stem"]) not in stems:
                problems.append(Problem(name, "Expected the image that it belongs to, got none. Copy the images too."))
            elif not other.is_file():
                problems.append(Problem(name, f"Expected `{other.name}` beside it, got no such file. Copy both."))
    return problems
