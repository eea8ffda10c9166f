"""Images and labels: from any file to one grid of pixels with its calibration."""

from sequal.files.imaging.calibration import (
    MAX_SPACING_MM,
    MIN_SPACING_MM,
    NOT_CALIBRATED,
    Calibration,
    calibrate,
    given_calibration,
)
from sequal.files.imaging.duplicates import is_duplicated, merge_copies
from sequal.files.imaging.frame import Frame, to_luma
from sequal.files.imaging.label_reading import label_to_grid, read_label, stored_label_says_no_layer
from sequal.files.imaging.label_rules import ALLOWED_CLASSES, check_label, clean_label, says_no_layer
from sequal.files.imaging.names import IMAGE_SUFFIXES, FileKind, file_kind, image_stem, image_suffix
from sequal.files.imaging.reading import read_frame

__all__ = [
    "ALLOWED_CLASSES",
    "IMAGE_SUFFIXES",
    "MAX_SPACING_MM",
    "MIN_SPACING_MM",
    "NOT_CALIBRATED",
    "Calibration",
    "FileKind",
    "Frame",
    "calibrate",
    "check_label",
    "clean_label",
    "file_kind",
    "given_calibration",
    "image_stem",
    "image_suffix",
    "is_duplicated",
    "label_to_grid",
    "merge_copies",
    "read_frame",
    "read_label",
    "says_no_layer",
    "stored_label_says_no_layer",
    "to_luma",
]
