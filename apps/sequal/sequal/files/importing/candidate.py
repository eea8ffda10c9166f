"""What an import works on: images that were found, their labels, and files that cannot be used."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sequal.errors import SequalError
from sequal.files.imaging import Calibration, Frame, given_calibration

__all__ = ["Candidate", "Found", "ImageContents", "LabelSource", "Problem", "no_image", "why_not"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageContents:
    """One image as it goes into the study.

    Attributes:
        pixels: float32 (W, H, F), finite.
        calibration: size of a pixel, and where it was read.
        affine: float64 (4, 4), pixel to RAS millimetres; pixels are as long as the calibration says, 1 mm without one.
        whole_numbers: the source holds integers or colours, so grey values are rounded to the nearest integer.
        notes: what the user should know although the image can be used.
    """

    pixels: NDArray[np.float32]
    calibration: Calibration
    affine: NDArray[np.float64]
    whole_numbers: bool = True
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        frame: Frame,
        given: Calibration | None = None,
        region: tuple[int, int, int, int] | None = None,
        *,
        whole_numbers: bool = True,
    ) -> Self:
        """What goes into the study of a frame or a clip.

        Args:
            frame: as read.
            given: stands for the calibration of the file, whose position in space then goes too; None: the file's.
            region: (x0, y0, x1, y1) to keep, the last two exclusive; None: everything. Its corner becomes the origin:
                files with a region have no position in space.
            whole_numbers: as the attribute.

        Raises:
            ImageError: the given calibration is not credible.
        """
        pixels, affine = frame.pixels, frame.affine
        calibration = given or frame.calibration
        if given is not None and given.spacing_mm is not None:
            given_calibration(given.spacing_mm)
            affine = np.diag([-given.spacing_mm[0], -given.spacing_mm[1], 1.0, 1.0])
        if region is not None:
            x0, y0, x1, y1 = region
            pixels, calibration = pixels[x0:x1, y0:y1], calibration.cropped(region)
        return cls(pixels, calibration, _scaled(affine, calibration), whole_numbers, frame.notes)

    @property
    def grid(self) -> tuple[int, int, int]:
        """`(W, H, F)`."""
        width, height, frames = self.pixels.shape
        return width, height, frames


def _scaled(affine: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    """The affine with columns and rows of the length that the calibration says; a place may tell another.

    A file that is not calibrated gets exactly 1 mm, which the app takes for none: a screen's dots per inch, or a
    spacing that the file contradicts, must not come back as a calibration.
    """
    wanted = np.array(calibration.spacing_mm or (1.0, 1.0))
    lengths = np.linalg.norm(affine[:3, :2], axis=0)
    if np.allclose(lengths, wanted, rtol=1e-6):
        return affine
    scaled = affine.copy()
    scaled[:3, :2] *= wanted / lengths
    return scaled


@dataclass(frozen=True)
class LabelSource:
    """One reader's label of one image.

    Attributes:
        reader: name of the reader; empty: the source knows one reader only.
        files: what the label is made of, for its digest.
        read: makes the uint8 (W, H, F) label for a grid (W, H, F).
        traced_layer: its values are {0, 1, 255} and it is checked as a layer that was traced; False: it holds the
            classes of any structures.
    """

    reader: str
    files: tuple[Path, ...]
    read: Callable[[tuple[int, int, int]], NDArray[np.uint8]]
    traced_layer: bool = True


@dataclass(frozen=True)
class Candidate:
    """One image file of a source.

    Attributes:
        image: the id that it shall have in the study.
        file: the file.
        name: what messages call it: the path within the source.
        read: reads it.
        patient: whose it is; empty: the source does not say, and the image is its own patient.
        spacing_mm: (dx, dy) that an option, a table or a sidecar gives; None: what the file itself says counts.
        labels: by reader.
        note: what the user should know although the image can be used; empty: nothing.
        record_name: `name` may be written to the study; False where a file name may tell who the patient is.
        patient_key: salted hash that stays the same however `patient` is written; empty: there is none.
        person: salted hash by demographic field, for telling two people with one id apart.
    """

    image: str
    file: Path
    name: str
    read: Callable[[], ImageContents]
    patient: str = ""
    spacing_mm: tuple[float, float] | None = None
    labels: tuple[LabelSource, ...] = ()
    note: str = ""
    record_name: bool = True
    patient_key: str = ""
    person: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, by its path within the source, and why."""

    name: str
    reason: str


def why_not(error: Exception) -> str:
    """Why a file cannot be used, in words; what nobody foresaw is in the log with its place in the code.

    One file must never end an import of thousands, whatever it makes a library raise.
    """
    if isinstance(error, SequalError | OSError):
        return str(error)
    logger.error("A file of an import cannot be used", exc_info=error)
    return (
        f"Expected a file that can be read, got {type(error).__name__}: {str(error).rstrip('.')}. Open it in a viewer "
        "and save it again, or leave it out."
    )


def no_image(name: str) -> Problem:
    """A file that is no image by its name.

    Args:
        name: its path within the source.

    >>> no_image("clips/left.MP4").reason.partition(". ")[0]
    'Expected PNG, JPEG, TIFF, BMP, NIfTI, NRRD, H5 or DICOM, got a .mp4 file'
    """
    suffix = PurePosixPath(name).suffix.lower()
    came = f"a {suffix} file" if suffix else "none of these"
    return Problem(
        name,
        f"Expected PNG, JPEG, TIFF, BMP, NIfTI, NRRD, H5 or DICOM, got {came}. If it is an image, save it as one of "
        "these.",
    )


@dataclass
class Found:
    """What a source holds.

    Attributes:
        candidates: images, sorted by path.
        problems: files that cannot be used.
        notes: what the user should know although nothing is left out for it.
        others: files that are no images by their names, and why each is not looked at.
    """

    candidates: list[Candidate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    others: list[Problem] = field(default_factory=list)

    @property
    def readers(self) -> list[str]:
        """Names of the readers, sorted."""
        return sorted({label.reader for item in self.candidates for label in item.labels if label.reader})
