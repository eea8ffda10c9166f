"""The classes of a label, spelled once."""

from typing import Final

__all__ = ["BACKGROUND", "IGNORE", "INTIMA_MEDIA", "LABEL_NAMES", "NO_READERS", "NUM_CLASSES", "REVIEW"]

BACKGROUND: Final = 0
INTIMA_MEDIA: Final = 1
#: A pixel that the expert did not annotate: it carries no supervision.
IGNORE: Final = 255
NUM_CLASSES: Final = 2
#: Name to index, ascending from 1, as MONAI Label expects it.
LABEL_NAMES: Final = {"intima-media": INTIMA_MEDIA}
#: Tags of labels that are no reader's own: submitted ones, and those of a model.
NO_READERS: Final = ("final", "original")
#: Segment of the area in which a mask is expected to be wrong; never a label.
REVIEW: Final = "review"
