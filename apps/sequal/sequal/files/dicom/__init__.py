"""DICOM out: frames, labels and measurements as objects for a PACS."""

from sequal.files.dicom.bundle import ImageBundle, LabelObjects, bundle_image, bundle_volume
from sequal.files.dicom.files import write_bundle
from sequal.files.dicom.grid import frame_of_slice, frames_to_slices
from sequal.files.dicom.identity import ImageIdentity, pseudonym
from sequal.files.dicom.images import image_series
from sequal.files.dicom.labels import LabelKind, OutgoingLabel, final_label
from sequal.files.dicom.report import imt_report
from sequal.files.dicom.segmentation import is_refined, label_segmentation
from sequal.files.dicom.source_headers import completed_headers, completed_volume_headers
from sequal.files.dicom.stow import Pacs
from sequal.files.dicom.volume_images import VolumeModality, volume_series

__all__ = [
    "ImageBundle",
    "ImageIdentity",
    "LabelKind",
    "LabelObjects",
    "OutgoingLabel",
    "Pacs",
    "VolumeModality",
    "bundle_image",
    "bundle_volume",
    "completed_headers",
    "completed_volume_headers",
    "final_label",
    "frame_of_slice",
    "frames_to_slices",
    "image_series",
    "imt_report",
    "is_refined",
    "label_segmentation",
    "pseudonym",
    "volume_series",
    "write_bundle",
]
