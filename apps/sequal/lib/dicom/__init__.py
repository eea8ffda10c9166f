"""DICOM out: frames, labels and measurements as objects for a PACS."""

from lib.dicom.bundle import ImageBundle, LabelObjects, bundle_image
from lib.dicom.files import write_bundle
from lib.dicom.grid import frame_of_slice, frames_to_slices
from lib.dicom.identity import ImageIdentity, pseudonym
from lib.dicom.images import image_series
from lib.dicom.labels import LabelKind, OutgoingLabel, final_label
from lib.dicom.report import imt_report
from lib.dicom.segmentation import is_refined, label_segmentation
from lib.dicom.source_headers import completed_headers
from lib.dicom.stow import Pacs

__all__ = [
    "ImageBundle",
    "ImageIdentity",
    "LabelKind",
    "LabelObjects",
    "OutgoingLabel",
    "Pacs",
    "bundle_image",
    "completed_headers",
    "final_label",
    "frame_of_slice",
    "frames_to_slices",
    "image_series",
    "imt_report",
    "is_refined",
    "label_segmentation",
    "pseudonym",
    "write_bundle",
]
