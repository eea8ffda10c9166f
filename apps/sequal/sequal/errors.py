"""Errors this app raises for its users: each message says what was expected, what came, and what to do."""

__all__ = [
    "CheckpointError",
    "DamagedCheckpointError",
    "ExportError",
    "ImageError",
    "LabelError",
    "MeasurementError",
    "PacsError",
    "PublishError",
    "SequalError",
    "ServerError",
    "SettingsError",
    "StorageError",
    "StudyError",
]


class SequalError(Exception):
    """Base of every error whose message is meant for the user."""


class SettingsError(SequalError):
    """A setting (`--conf key value`, a request key, a command-line option) breaks its rule."""


class ImageError(SequalError):
    """An image cannot be read, or holds nothing that can be segmented."""


class LabelError(SequalError):
    """A label does not fit its image or holds classes that the app does not know."""


class MeasurementError(SequalError):
    """A measurement was asked of arrays that cannot carry it."""


class CheckpointError(SequalError):
    """A checkpoint is unreadable, of another architecture, or holds more than plain tensors."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint file is cut, empty or no checkpoint at all."""


class PublishError(SequalError):
    """A checkpoint could not be written; the published one is untouched."""


class StudyError(SequalError):
    """A study (its manifest, ledger or state folder) contradicts itself."""


class StorageError(SequalError):
    """A disk is full or read-only: what was asked for cannot be written, and nothing was changed."""


class ServerError(SequalError):
    """A MONAI Label server does not answer, refuses a request, or fails at a task."""


class PacsError(SequalError):
    """A DICOMweb server does not answer, refuses a request, or answers what cannot be understood."""


class ExportError(SequalError):
    """A network cannot be written in a format, or what was written does not compute what the app computes."""
