"""Adapters to MONAI Label's datastores."""

from lib.datastores.label_guard import LabelGuard
from lib.datastores.local import StudyFolder

__all__ = ["LabelGuard", "StudyFolder"]
