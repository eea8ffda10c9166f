"""Pictures and NIfTI or NRRD volumes as candidates."""

from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from sequal.errors import ImageError
from sequal.files.imaging import Calibration, file_kind, read_frame
from sequal.files.imaging.picture import PICTURE_FORMATS
from sequal.files.importing.candidate import Candidate, ImageContents
from sequal.files.importing.ids import id_of
from sequal.files.importing.spacing import SpacingRules

__all__ = ["picture_candidate", "read_contents"]

# Tags of TIFF 6.0.
_BITS_PER_SAMPLE: Final = 258
_SAMPLES_PER_PIXEL: Final = 277
_PLANAR_CONFIGURATION: Final = 284
_PLANE_BY_PLANE: Final = 2


def picture_candidate(path: Path, name: str, rules: SpacingRules) -> Candidate:
    """A picture (PNG, JPEG, TIFF, BMP), NIfTI or NRRD file.

    Args:
        path: the file.
        name: its path within the source, which makes the id.
        rules: where its spacing is looked up.

    Raises:
        ImageError: what is given as its spacing cannot be used.
    """
    spacing_mm = rules.of(path, name)
    calibration = None if spacing_mm is None else Calibration(spacing_mm, _where(rules))
    return Candidate(
        image=id_of(name),
        file=path,
        name=name,
        read=partial(read_contents, path, calibration),
        spacing_mm=spacing_mm,
    )


def read_contents(path: Path, calibration: Calibration | None) -> ImageContents:
    """Read an image.

    Args:
        path: the file.
        calibration: stands for that of the file; None: the file's own.

    Raises:
        ImageError: it cannot be read.
    """
    frame = read_frame(path)
    return ImageContents.of(frame, calibration, whole_numbers=not _is_real(path))


def _where(rules: SpacingRules) -> str:
    return "given" if rules.given is not None else "given beside the image"


def _is_real(path: Path) -> bool:
    """Whether the grey values are real numbers, which rounding would damage; those of colours are not.

    Raises:
        ImageError: a TIFF of 16-bit colour stored plane by plane, which Pillow decodes to noise without complaint.
    """
    if file_kind(path) != "picture":
        return True
    with Image.open(path, formats=PICTURE_FORMATS) as image:
        tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
        deep = max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8
        if deep and tags.get(_SAMPLES_PER_PIXEL, 1) > 1 and tags.get(_PLANAR_CONFIGURATION, 1) == _PLANE_BY_PLANE:
            raise ImageError(
                f"Expected the colours of `{path.name}` to be stored pixel by pixel, got 16-bit planes. "
                "Save it as grey, as PNG, or with 8 bits a channel."
            )
        return image.mode == "F"
