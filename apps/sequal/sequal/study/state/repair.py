"""A published checkpoint that is damaged gives way to the newest good one, and says so."""

import logging
import os
import time
from pathlib import Path
from typing import Final

from sequal.errors import CheckpointError, DamagedCheckpointError, PublishError
from sequal.study.state.checkpoints import load_checkpoint, publish
from sequal.study.state.folder import StudyState
from sequal.study.state.models import StudyModels

__all__ = ["DAMAGED", "repair_published"]

logger = logging.getLogger(__name__)

#: How the names of damaged checkpoints begin that were set aside.
DAMAGED: Final = "published.damaged-"


def repair_published(state: StudyState) -> bool:
    """Put the newest good checkpoint that was published into the place of a published one that is damaged.

    The damaged file is kept beside it. Without a good one the starting weights are in service again.

    Args:
        state: of the study.

    Returns:
        Whether anything was changed.

    Raises:
        PublishError: the state cannot be written; then all stays as it is.
    """
    if not _is_damaged(state):
        return False
    with StudyModels(state, None).changing():
        if not _is_damaged(state):  # another process was quicker
            return False
        aside = state.root / f"{DAMAGED}{time.time_ns()}.pt"
        try:
            for record in reversed(state.ledger.rounds()):
                path = state.checkpoint_of(record.round)
                if record.status == "published" and _holds(path, record.checkpoint_digest):
                    os.link(state.published, aside)
                    publish(path, state.published)
                    logger.error(
                        "published.pt was damaged and is kept as %s; the newest good round, %d, is in service again",
                        aside.name,
                        record.round,
                    )
                    return True
            state.published.rename(aside)
        except OSError as error:
            raise PublishError(
                f"Expected `{state.root}` to be writable, got: {error}. The model in service is damaged and "
                "could not be replaced. Free some space or change the rights of the folder, and start the server again."
            ) from error
    logger.error("published.pt was damaged and is kept as %s; no round is left, the starting weights serve", aside.name)
    return True


def _is_damaged(state: StudyState) -> bool:
    if not state.published.exists():
        return False
    try:
        load_checkpoint(state.published)
    except DamagedCheckpointError:
        return True
    except CheckpointError:
        return False  # of another version, or unsafe: it is refused where it is used
    return False


def _holds(path: Path, digest: str | None) -> bool:
    try:
        return load_checkpoint(path).digest == digest
    except CheckpointError:
        return False
