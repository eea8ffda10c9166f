"""What a round is made of: images, perhaps with an expert's label."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Item"]


@dataclass(frozen=True)
class Item:
    """One image of a study.

    Attributes:
        id: the image's id in its study.
        image: the image file.
        label: the expert's label file; None while unlabelled. Only ever read.
        patient: images of one patient are never split between training and validation.
        readings: label files of further readers, each with the reader's name. Only ever read.
    """

    id: str
    image: Path
    label: Path | None = None
    patient: str = ""
    readings: tuple[tuple[str, Path], ...] = ()
