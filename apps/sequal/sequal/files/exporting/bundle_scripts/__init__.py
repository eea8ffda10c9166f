"""What the configuration of an exported bundle uses beside MONAI's own transforms; copied into every bundle."""

from .cleaning import CleanMaskd
from .saving import SaveMaskd
from .working_grid import FromWorkingGridd, ToWorkingGridd, working_size

__all__ = ["CleanMaskd", "FromWorkingGridd", "SaveMaskd", "ToWorkingGridd", "working_size"]
