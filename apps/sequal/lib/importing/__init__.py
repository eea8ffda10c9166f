"""Files of other programs into a study that the app serves."""

from lib.importing.candidate import Problem
from lib.importing.sources import ImportOptions, SourceKind
from lib.importing.study_import import ImportReport, run_import
from lib.importing.writing import ImportedImage

__all__ = ["ImportOptions", "ImportReport", "ImportedImage", "Problem", "SourceKind", "run_import"]
