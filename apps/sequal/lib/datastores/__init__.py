"""Adapters to MONAI Label's datastores."""

from lib.datastores.accepted import accept_label
from lib.datastores.connection import viewed_pacs
from lib.datastores.dicomweb import DicomWebStudy
from lib.datastores.joined import JoinedStudies
from lib.datastores.label_guard import WARNINGS, LabelGuard
from lib.datastores.local import StudyFolder
from lib.datastores.opening import open_folders, open_pacs
from lib.datastores.pacs_plan import with_pacs_plan
from lib.datastores.served_images import ServedImages

__all__ = [
    "WARNINGS",
    "DicomWebStudy",
    "JoinedStudies",
    "LabelGuard",
    "ServedImages",
    "StudyFolder",
    "accept_label",
    "open_folders",
    "open_pacs",
    "viewed_pacs",
    "with_pacs_plan",
]
