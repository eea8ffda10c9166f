"""Whether this is the server, or a process that it started for one task."""

import sys

__all__ = ["in_task_process"]


def in_task_process() -> bool:
    """Whether this is one of the processes in which MONAI Label trains or scores."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return getattr(spec, "name", None) == "monailabel.interfaces.utils.app"
