"""The annotator's page: its files, and a frame as the picture that it shows."""

from lib.annotator.page_files import page_files
from lib.annotator.picture import frame_picture

__all__ = ["frame_picture", "page_files"]
