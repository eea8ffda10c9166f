"""Measurements for research: thickness of the layer, overlap of masks, agreement of readers."""

from lib.measurement.agreement import Agreement, bland_altman, icc_2_1
from lib.measurement.boundaries import Boundaries, boundaries_from_mask, boundaries_from_probability
from lib.measurement.clip import combine_frames
from lib.measurement.contours import Contour, contours
from lib.measurement.drawn_curves import mask_between
from lib.measurement.imt import PLAQUE_MM, SHORTEST_LENGTH_MM, Flag, ImtMeasurement, measure_imt
from lib.measurement.label import measure_label
from lib.measurement.plausibility import label_warnings
from lib.measurement.polyline import distances_to_polyline, polyline_distance
from lib.measurement.segmentation import SegmentationScores, score_segmentation

__all__ = [
    "PLAQUE_MM",
    "SHORTEST_LENGTH_MM",
    "Agreement",
    "Boundaries",
    "Contour",
    "Flag",
    "ImtMeasurement",
    "SegmentationScores",
    "bland_altman",
    "boundaries_from_mask",
    "boundaries_from_probability",
    "combine_frames",
    "contours",
    "distances_to_polyline",
    "icc_2_1",
    "label_warnings",
    "mask_between",
    "measure_imt",
    "measure_label",
    "polyline_distance",
    "score_segmentation",
]
