"""The thickness as a DICOM Structured Report, template 1500, so that a PACS keeps it beside the image."""

from collections.abc import Sequence
from typing import Final

from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    RelationshipTypeValues,
    SourceImageForSegmentation,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from sequal.anatomy.measurement import ImtMeasurement
from sequal.files.dicom.codes import (
    CALIBRATION_SOURCE,
    CAROTID_ARTERY,
    COLUMNS,
    FLAG,
    IMT,
    INTIMA_MEDIA_COMPLEX,
    LENGTH,
    MILLIMETRE,
    PIXEL,
    POLYLINE_IMT,
    ULTRASONOGRAPHY,
    calibration_code,
    declare_scheme,
    private_code,
)
from sequal.files.dicom.equipment import (
    MANUFACTURER,
    MODEL,
    SERIAL_NUMBER,
    SOFTWARE_VERSION,
    fix_identity,
    highdicom_header,
)
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.labels import OutgoingLabel
from sequal.files.dicom.uids import content_uid
from sequal.labels import INTIMA_MEDIA

__all__ = ["imt_report"]

_SERIES_NUMBERS: Final = {"final": 101, "refined": 201}
_DISCLAIMER: Final = "Research use only, not a medical device."


def imt_report(
    images: Sequence[Dataset],
    segmentation: Dataset,
    measurements: Sequence[ImtMeasurement],
    label: OutgoingLabel,
    identity: ImageIdentity,
) -> ComprehensiveSR | None:
    """The measurements of one label, one group for each frame that shows the layer.

    A group points at its frame of the segmentation and at the image below, and holds mean, maximum and standard
    deviation of the thickness, the length of wall and the number of columns; the source of the calibration and every
    flag as codes; and, as a comment, the same in words with the label's origin. Lengths are in millimetres when the
    image is calibrated, else in pixels.

    Args:
        images: what `image_series` made of the frame.
        segmentation: what `label_segmentation` made of the label.
        measurements: one a frame of the clip.
        label: what was measured.
        identity: as given to `image_series`.

    Returns:
        The report, not verified, the same for the same input; None when no frame shows the layer.
    """
    groups = [
        _group(index, imt, images[index], segmentation, label, identity)
        for index, imt in enumerate(measurements)
        if imt.columns
    ]
    if not groups:
        return None
    content = MeasurementReport(
        observation_context=_observed_by_software(),
        procedure_reported=ULTRASONOGRAPHY,
        imaging_measurements=groups,
    )
    report = ComprehensiveSR(
        evidence=[*(highdicom_header(image) for image in images), highdicom_header(segmentation)],
        content=content,
        series_instance_uid=identity.uid("report series", label.digest),
        series_number=_SERIES_NUMBERS[label.kind],
        sop_instance_uid=identity.uid("report", label.digest),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=SOFTWARE_VERSION,
        device_serial_number=SERIAL_NUMBER,
        is_complete=True,
        series_description=f"IMT of: {label.title}",
    )
    declare_scheme(report)
    fix_identity(report, images[0], label, identity)
    report.ContentTemplateSequence[0].MappingResource = "DCMR"
    return report


def _observed_by_software() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=content_uid("device", MODEL, SOFTWARE_VERSION), name=MODEL, manufacturer_name=MANUFACTURER
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def _group(
    index: int,
    imt: ImtMeasurement,
    image: Dataset,
    segmentation: Dataset,
    label: OutgoingLabel,
    identity: ImageIdentity,
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    source = SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID)
    region = ReferencedSegmentationFrame(
        segmentation.SOPClassUID,
        segmentation.SOPInstanceUID,
        frame_number=_frame_number(segmentation, image),
        segment_number=INTIMA_MEDIA,
        source_image=source,
    )
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=identity.uid("measurement", label.digest, index), identifier=f"IMT, {label.kind}, frame {index + 1}"
        ),
        referenced_segment=region,
        finding_type=INTIMA_MEDIA_COMPLEX,
        finding_sites=[FindingSite(CAROTID_ARTERY)],
        algorithm_id=AlgorithmIdentification(name=MODEL, version=SOFTWARE_VERSION),
        measurements=_numbers(imt),
        qualitative_evaluations=_evaluations(imt),
    )
    for item in group[0].ContentSequence:
        for reference in item.get("ReferencedSOPSequence", ()):
            # The frame names its segment; DICOM PS3.3 10.3 wants one of the two.
            reference.pop("ReferencedSegmentNumber", None)
    group[0].ContentSequence.append(
        TextContentItem(codes.DCM.Comment, _comment(imt, label), RelationshipTypeValues.CONTAINS)
    )
    return group


def _frame_number(segmentation: Dataset, image: Dataset) -> int:
    """The frame of the layer's segment that lies on an image, from 1."""
    for number, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence, start=1):
        here = group.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
        if here and group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == INTIMA_MEDIA:
            return number
    raise LookupError(f"The segmentation has no frame on image {image.SOPInstanceUID}")


def _numbers(imt: ImtMeasurement) -> list[Measurement]:
    unit = MILLIMETRE if imt.calibration.calibrated else PIXEL
    values = (
        (IMT, imt.mean, codes.SCT.Mean),
        (IMT, imt.max, codes.SCT.Maximum),
        (IMT, imt.sd, codes.SCT.StandardDeviation),
        (POLYLINE_IMT, imt.polyline_mean, codes.SCT.Mean),
        (LENGTH, imt.length, None),
    )
    lengths = [
        Measurement(name=name, value=value, unit=unit, derivation=derivation)
        for name, value, derivation in values
        if value is not None
    ]
    return [*lengths, Measurement(name=COLUMNS, value=imt.columns, unit=codes.UCUM.NoUnits)]


def _evaluations(imt: ImtMeasurement) -> list[QualitativeEvaluation]:
    source = QualitativeEvaluation(CALIBRATION_SOURCE, calibration_code(imt.calibration))
    flags = [QualitativeEvaluation(FLAG, private_code(flag.upper(), flag.replace("_", " "))) for flag in imt.flags]
    return [source, *flags]


def _comment(imt: ImtMeasurement, label: OutgoingLabel) -> str:
    flags = ", ".join(imt.flags) or "none"
    return f"{label.story} Calibration: {imt.calibration.source}. Flags: {flags}. {_DISCLAIMER}"
