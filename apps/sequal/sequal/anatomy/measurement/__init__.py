"""Measurements for research: thickness of the layer, overlap of masks, agreement of readers."""

from sequal.anatomy.measurement.agreement import Agreement, bland_altman, icc_2_1
from sequal.anatomy.measurement.boundaries import Boundaries, boundaries_from_mask, boundaries_from_probability
from sequal.anatomy.measurement.clip import combine_frames, thickness_params
from sequal.anatomy.measurement.comparison import Compared, compare_layers, compare_volumes
from sequal.anatomy.measurement.consensus import CONSENSUS_METHODS, ConsensusMethod, fuse_readers
from sequal.anatomy.measurement.contours import Contour, contours
from sequal.anatomy.measurement.drawn_curves import mask_between
from sequal.anatomy.measurement.imt import PLAQUE_MM, SHORTEST_LENGTH_MM, Flag, ImtMeasurement, measure_imt
from sequal.anatomy.measurement.judging import FAILED_DICE, judge_frame, judge_volume
from sequal.anatomy.measurement.label import measure_label, measure_probability
from sequal.anatomy.measurement.label_dice import label_dice
from sequal.anatomy.measurement.plausibility import label_warnings
from sequal.anatomy.measurement.polyline import distances_to_polyline, polyline_distance
from sequal.anatomy.measurement.readers import Departure, PairAgreement, Reading, departures, pair_agreement
from sequal.anatomy.measurement.segmentation import SegmentationScores, score_segmentation

__all__ = [
    "CONSENSUS_METHODS",
    "FAILED_DICE",
    "PLAQUE_MM",
    "SHORTEST_LENGTH_MM",
    "Agreement",
    "Boundaries",
    "Compared",
    "ConsensusMethod",
    "Contour",
    "Departure",
    "Flag",
    "ImtMeasurement",
    "PairAgreement",
    "Reading",
    "SegmentationScores",
    "bland_altman",
    "boundaries_from_mask",
    "boundaries_from_probability",
    "combine_frames",
    "compare_layers",
    "compare_volumes",
    "contours",
    "departures",
    "distances_to_polyline",
    "fuse_readers",
    "icc_2_1",
    "judge_frame",
    "judge_volume",
    "label_dice",
    "label_warnings",
    "mask_between",
    "measure_imt",
    "measure_label",
    "measure_probability",
    "pair_agreement",
    "polyline_distance",
    "score_segmentation",
    "thickness_params",
]
