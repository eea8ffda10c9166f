"""The annotator's page: its files, and a frame as the picture that it shows."""

from lib.web.annotator.page_files import page_files
from lib.web.annotator.picture import frame_picture

__all__ = ["frame_picture", "page_files"]
