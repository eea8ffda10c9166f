"""Measurements for research: thickness of the layer, overlap of masks, agreement of readers."""

from sequal.anatomy.measurement.agreement import Agreement, bland_altman, icc_2_1
from sequal.anatomy.measurement.boundaries import Boundaries, boundaries_from_mask, boundaries_from_probability
from sequal.anatomy.measurement.clip import combine_frames, thickness_params
from sequal.anatomy.measurement.contours import Contour, contours
from sequal.anatomy.measurement.drawn_curves import mask_between
from sequal.anatomy.measurement.imt import PLAQUE_MM, SHORTEST_LENGTH_MM, Flag, ImtMeasurement, measure_imt
from sequal.anatomy.measurement.label import measure_label
from sequal.anatomy.measurement.plausibility import label_warnings
from sequal.anatomy.measurement.polyline import distances_to_polyline, polyline_distance
from sequal.anatomy.measurement.segmentation import SegmentationScores, score_segmentation

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
    "thickness_params",
]
