"""What is not well with a study, in sentences for people: in the log at start, in `/info/` and in `cli.py status`."""

import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from sequal.errors import CheckpointError
from sequal.study.state.checkpoints import load_checkpoint
from sequal.study.state.derived import damaged_files
from sequal.study.state.kept_file import KeptFile
from sequal.study.state.repair import DAMAGED
from sequal.study.storage import is_writable

__all__ = ["kept_bytes", "state_warnings", "study_warnings"]

_CORRUPT_LEDGER: Final = "ledger.corrupt-"
_CORRUPT_LIST: Final = "datastore_v2.json.corrupt-"
#: Where files lie that can be made again; "" is the state folder itself.
_DERIVED: Final = ("", "shown", "features")
_LITTLE: Final = 500 * 2**20
_MIB: Final = 2**20


def state_warnings(state: Path) -> list[str]:
    """What was set aside in a state folder because it was damaged, what its model lacks, and whether there is room.

    Args:
        state: the state folder; a missing one has nothing to tell.
    """
    return list(_of_state(state)) if state.is_dir() else []


def study_warnings(studies: Path) -> list[str]:
    """Whether a studies folder can be written, has room, and what was set aside in it."""
    return list(_of_study(studies)) if studies.is_dir() else []


def kept_bytes(folder: Path) -> tuple[int, int]:
    """Files in a folder, and their bytes; none in a missing one.

    >>> kept_bytes(Path("nowhere"))
    (0, 0)
    """
    sizes = [path.stat().st_size for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return len(sizes), sum(sizes)


def _of_state(state: Path) -> Iterator[str]:
    names = sorted(path.name for path in state.iterdir())
    for name in (name for name in names if name.startswith(DAMAGED)):
        yield (
            f"The model in service was damaged and is kept as {name}; the newest good one took its place. Look at "
            "the disk, and delete that file when you have seen it."
        )
    for name in (name for name in names if name.startswith(_CORRUPT_LEDGER) and name.endswith(".db")):
        yield (
            f"The ledger was damaged and is kept as {name}; scores, leases and the history of rounds are lost. "
            "Look at the disk, and delete that file when you have seen it."
        )
    derived = [f"{place}/{name}".lstrip("/") for place in _DERIVED for name in damaged_files(state / place)]
    if derived:
        yield (
            f"{len(derived)} files that can be made again were damaged and are kept as {', '.join(derived[:3])}"
            f"{', …' if len(derived) > 3 else ''}. Look at the disk, and delete them when you have seen it."
        )
    if _published(state / "published.pt").get()[0]:
        yield (
            "An earlier version trained the model in service and noted too little of what surrounds labels: masks that "
            "should be taken away may be shown. Train once."
        )
    yield from _little_room(state, "the state")


@lru_cache(maxsize=32)
def _published(path: Path) -> KeptFile[bool]:
    return KeptFile(path, _lacks_surroundings)


def _lacks_surroundings(path: Path) -> bool:
    """Whether a checkpoint's round looked at the surroundings of its labels, but not for what its model needs."""
    from sequal.anatomy.models import MODELS  # here, because the models import what uses the state

    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError:  # said where it is used
        return False
    model, noted = MODELS.get(checkpoint.model), checkpoint.meta.get("surroundings") or {}
    return model is not None and bool(noted) and not model.looks_for <= noted.keys()


def _of_study(studies: Path) -> Iterator[str]:
    if not is_writable(studies):
        yield (
            f"The studies folder {studies} cannot be written: images are segmented, labels and new images are refused. "
            "Make it writable and start the server again to annotate."
        )
    for path in sorted(studies.glob(f"{_CORRUPT_LIST}*")):
        yield (
            f"The list of images was damaged and is kept as {path.name}; what was whole in it was taken over. Look at "
            "the disk, and delete that file when you have seen it."
        )
    yield from _little_room(studies, "the studies folder")


def _little_room(folder: Path, what: str) -> Iterator[str]:
    free = shutil.disk_usage(folder).free
    if free < _LITTLE:
        yield f"The disk of {what} ({folder}) has {free // _MIB} MiB left. Free some space before labels are refused."
