"""Everything of one image that goes to a PACS, as one DICOM study."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from sequal.anatomy.measurement import ImtMeasurement, boundaries_from_mask, measure_imt
from sequal.files.dicom.grid import STEP_MM
from sequal.files.dicom.identity import ImageIdentity
from sequal.files.dicom.images import image_series
from sequal.files.dicom.labels import OutgoingLabel
from sequal.files.dicom.report import imt_report
from sequal.files.dicom.segmentation import label_segmentation
from sequal.files.dicom.volume_images import VolumeModality, volume_series
from sequal.files.imaging import Frame

__all__ = ["ImageBundle", "LabelObjects", "bundle_image", "bundle_volume"]


@dataclass(frozen=True, eq=False)
class LabelObjects:
    """What became of one label.

    Attributes:
        label: the label.
        measurements: its thickness, one entry a frame; none of a label of structures.
        segmentation: the label as DICOM segmentation.
        report: the thickness as structured report; None when no frame shows a layer.
    """

    label: OutgoingLabel
    measurements: list[ImtMeasurement]
    segmentation: Dataset
    report: Dataset | None


@dataclass(frozen=True, eq=False)
class ImageBundle:
    """One image, its labels and their measurements.

    Attributes:
        identity: names and UIDs.
        images: the instances.
        labels: one entry a label.
    """

    identity: ImageIdentity
    images: Sequence[Dataset]
    labels: Sequence[LabelObjects]

    def named(self) -> Iterator[tuple[str, Dataset]]:
        """Every object with a file name that tells what it is."""
        for number, image in enumerate(self.images, start=1):
            yield f"image_{number:04d}.dcm", image
        for objects in self.labels:
            yield f"label_{objects.label.kind}.dcm", objects.segmentation
            if objects.report is not None:
                yield f"imt_{objects.label.kind}.dcm", objects.report


def bundle_image(frame: Frame, identity: ImageIdentity, labels: Sequence[OutgoingLabel]) -> ImageBundle:
    """Turn an image with its labels into DICOM objects.

    Args:
        frame: the image.
        identity: of the frame.
        labels: on its grid; at most one of a kind.
    """
    images = image_series(frame, identity)
    return ImageBundle(identity, images, [_objects(frame, identity, images, label) for label in labels])


def bundle_volume(
    frame: Frame, identity: ImageIdentity, labels: Sequence[OutgoingLabel], modality: VolumeModality
) -> ImageBundle:
    """Turn a volume with its labels into DICOM objects.

    Args:
        frame: the volume.
        identity: of the frame.
        labels: on its grid, with their structures; at most one of a kind.
        modality: as `volume_series` takes it.

    Raises:
        ImageError: as `volume_series`.
    """
    images = volume_series(frame, identity, modality)
    step_mm = float(images[0].SpacingBetweenSlices)
    return ImageBundle(identity, images, [_objects(frame, identity, images, label, step_mm) for label in labels])


def _objects(
    frame: Frame, identity: ImageIdentity, images: Sequence[Dataset], label: OutgoingLabel, step_mm: float = STEP_MM
) -> LabelObjects:
    segmentation = label_segmentation(images, label, identity, step_mm=step_mm)
    if label.structures is not None:
        return LabelObjects(label, [], segmentation, None)
    measurements = [
        measure_imt(boundaries_from_mask(label.values[:, :, index]), frame.calibration)
        for index in range(frame.grid[2])
    ]
    report = imt_report(images, segmentation, measurements, label, identity)
    return LabelObjects(label, measurements, segmentation, report)
