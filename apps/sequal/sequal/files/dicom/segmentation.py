"""A label as a DICOM segmentation on the whole grid of its images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from sequal.files.dicom.codes import (
    ANATOMY,
    CAROTID_ARTERY,
    INTIMA_MEDIA_COMPLEX,
    NOT_ANNOTATED_PIXELS,
    SPATIAL_CONCEPT,
    declare_scheme,
    structure_code,
)
from sequal.files.dicom.equipment import (
    MANUFACTURER,
    MODEL,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
    fix_identity,
    highdicom_header,
)
from sequal.files.dicom.grid import STEP_MM
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.labels import OutgoingLabel
from sequal.files.imaging.dicom_seg import NO_LAYER
from sequal.labels import IGNORE, LABEL_NAMES, NOT_ANNOTATED

__all__ = ["is_refined", "label_segmentation"]

_SERIES_NUMBERS: Final = {"final": 100, "refined": 200}


def label_segmentation(
    images: Sequence[Dataset], label: OutgoingLabel, identity: ImageIdentity, *, step_mm: float = STEP_MM
) -> Segmentation:
    """A label as a binary DICOM segmentation, one per series.

    Of a frame or a clip it has a frame for every image of the series and every segment, empty ones too, because readers
    drop what is absent and then have another grid. Both copies of a single frame carry the label. Segment 1 is the
    intima-media layer; pixels that were not annotated, where there are any, are the last segment, named "not annotated"
    (`sequal.files.imaging.dicom_seg` reads both back).

    Of a volume it has a segment for each structure that is drawn, and no frame without a voxel, as is usual: viewers
    put each frame where it says that it lies, and a segment for every slice would be hundreds of empty frames.

    A label of an annotator is SEMIAUTOMATIC, since it may be a corrected prediction; a refined one is AUTOMATIC. The
    ContentLabel is FINAL or REFINED.

    A segmentation must have a segment and a frame, so a label that says that there is no layer has the same frames
    without a pixel, and NO_LAYER as its ContentLabel: an empty segmentation of a program that only failed to draw does
    not say so.

    Args:
        images: what `image_series` made of the frame, or the headers of a volume's instances.
        label: on the grid of that frame; of a volume, its slices in the order of the frames of `images`.
        identity: as given to `image_series`.
        step_mm: between the slices.

    Returns:
        The data set, the same for the same input, bit for bit.
    """
    planes = _planes(label.values, len(images))
    drawn = _drawn(label)
    segmentation = Segmentation(
        source_images=[highdicom_header(image, step_mm) for image in images],
        pixel_array=_numbered(planes, drawn.values()),
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(label, identity, drawn),
        series_instance_uid=identity.uid("segmentation series", label.digest),
        series_number=_SERIES_NUMBERS[label.kind],
        sop_instance_uid=identity.uid("segmentation", label.digest),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=SOFTWARE_VERSION,
        device_serial_number=SERIAL_NUMBER,
        content_label=NO_LAYER if label.no_layer else label.kind.upper(),
        content_description=label.title,
        series_description=label.title,
        omit_empty_frames=label.structures is not None and not label.no_layer,
    )
    segmentation.SegmentsOverlap = "NO"
    if label.structures is not None:  # highdicom takes what an enhanced instance says, which may lack the step
        measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SliceThickness = measures.SpacingBetweenSlices = step_mm
    declare_scheme(segmentation)
    fix_identity(segmentation, images[0], label, identity)
    return segmentation


def is_refined(segmentation: Dataset) -> bool:
    """Whether a segmentation is a refined label of this app, which must never count as an expert's label."""
    return segmentation.get("ContentLabel") == "REFINED" and segmentation.get("Manufacturer") == MANUFACTURER


def _planes(values: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """`(slices, rows, columns)` in the order of the instances; a single frame twice."""
    planes = values.transpose(2, 1, 0)
    return np.repeat(planes, count, axis=0) if len(planes) == 1 else planes


def _drawn(label: OutgoingLabel) -> dict[str, int]:
    """Value by name of what becomes a segment, in this order; a segmentation must have one."""
    values = set(np.unique(label.values).tolist())
    known = LABEL_NAMES if label.structures is None else label.structures
    found = {name: value for name, value in known.items() if value in values}
    unknown = {NOT_ANNOTATED: IGNORE} if IGNORE in values else {}
    return (found or dict(known)) | unknown


def _numbered(planes: NDArray[np.uint8], values: Iterable[int]) -> NDArray[np.uint8]:
    """The number of the segment of every pixel, 0 outside of all."""
    numbers = np.zeros_like(planes)
    for number, value in enumerate(values, start=1):
        numbers[planes == value] = number
    return numbers


def _descriptions(label: OutgoingLabel, identity: ImageIdentity, drawn: Mapping[str, int]) -> list[SegmentDescription]:
    automatic = label.kind == "refined"
    family = codes.DCM.ArtificialIntelligence
    algorithm = AlgorithmIdentificationSequence(name=MODEL, family=family, version=SOFTWARE_VERSION)
    segments = []
    of_frame = label.structures is None
    for number, (name, value) in enumerate(drawn.items(), start=1):
        kind = INTIMA_MEDIA_COMPLEX if of_frame else structure_code(name)
        category, kind = (SPATIAL_CONCEPT, NOT_ANNOTATED_PIXELS) if value == IGNORE else (ANATOMY, kind)
        segment = SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=category,
            segmented_property_type=kind,
            algorithm_type="AUTOMATIC" if automatic else "SEMIAUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=identity.uid("segment", label.digest, number),
            tracking_id=f"{name}, {label.kind}",
            anatomic_regions=[CAROTID_ARTERY] if of_frame else None,
        )
        segment.SegmentDescription = label.story
        segments.append(segment)
    return segments
