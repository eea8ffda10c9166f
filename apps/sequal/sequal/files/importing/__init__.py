"""Files of other programs into a study that the app serves."""

from sequal.files.importing.candidate import Problem
from sequal.files.importing.sources import ImportOptions, SourceKind
from sequal.files.importing.study_import import ImportReport, run_import
from sequal.files.importing.writing import ImportedImage

__all__ = ["ImportOptions", "ImportReport", "ImportedImage", "Problem", "SourceKind", "run_import"]
