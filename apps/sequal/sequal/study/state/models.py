"""The models of a study: which rounds are kept, which one is in service, and how that changes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sequal.errors import CheckpointError, PublishError
from sequal.study.state.checkpoints import Checkpoint, file_digest, load_checkpoint, publish
from sequal.study.state.folder import StudyState
from sequal.study.state.rounds import RoundRecord

__all__ = ["STARTING", "KeptModel", "StudyModels"]

logger = logging.getLogger(__name__)

#: The number under which the starting weights stand among the rounds.
STARTING = 0


@dataclass(frozen=True)
class KeptModel:
    """A model that can be put into service.

    Attributes:
        round: its round; 0: the starting weights.
        path: its checkpoint.
        digest: of the checkpoint.
        in_service: annotators get its masks, and the next round goes on from it.
        record: what the ledger knows of its round; None of the starting weights.
    """

    round: int
    path: Path
    digest: str
    in_service: bool
    record: RoundRecord | None


class StudyModels:
    """The kept models of a study.

    Args:
        state: of the study.
        starting_weights: what a new study starts from; None or a file that is not there: random weights.
    """

    def __init__(self, state: StudyState, starting_weights: Path | None) -> None:
        self._state = state
        self._starting = starting_weights if starting_weights is not None and starting_weights.exists() else None

    @property
    def digest(self) -> str | None:
        """Digest of the checkpoint in service; None before there is any."""
        path = self._state.published if self._state.published.exists() else self._starting
        return None if path is None else file_digest(path)

    def kept(self) -> list[KeptModel]:
        """Every model that can be put into service, by round.

        Rejected rounds are among them: whoever knows better than the gate may put one into service.

        Raises:
            StudyError: the ledger cannot be read.
        """
        now = self.digest
        found = []
        if self._starting is not None:
            digest = file_digest(self._starting)
            found.append(KeptModel(STARTING, self._starting, digest, digest == now, None))
        for record in self._state.ledger.rounds():
            digest = record.checkpoint_digest or ""
            path = self._state.checkpoint_of(record.round)
            if digest and digest == now:  # its own file may have been pruned; the published one has the same bytes
                found.append(KeptModel(record.round, self._state.published, digest, True, record))
            elif digest and path.exists():
                found.append(KeptModel(record.round, path, digest, False, record))
        return found

    def in_service(self) -> KeptModel | None:
        """The model in service; None when there is none, or when it is neither a round's nor the starting weights."""
        return next((model for model in self.kept() if model.in_service), None)

    def put_back(self, number: int, check: Callable[[Checkpoint, str], None] = lambda *_: None) -> list[str]:
        """Put a kept model into service, atomically; the next round goes on from it.

        Refined labels that later rounds made go: they hold what those rounds believed. The expert's labels are
        untouched.

        Args:
            number: its round; 0: the starting weights.
            check: called with the checkpoint and the name of its file; raises when it is not for this study.

        Returns:
            Images whose refined label was dropped, sorted.

        Raises:
            LookupError: there is no such model; the message names those that there are.
            CheckpointError: it is damaged, is not for this study, or is no longer the file that its round wrote.
            PublishError: it cannot be written; the one in service stays.
        """
        with self.changing():
            models = {model.round: model for model in self.kept()}
            if number not in models:
                known = ", ".join(str(known) for known in sorted(models)) or "none"
                raise LookupError(f"Expected a kept model ({known}), got {number}. Ask for the list of models.")
            model = models[number]
            checkpoint = load_checkpoint(model.path)
            check(checkpoint, model.path.name)
            if checkpoint.digest != model.digest:
                raise CheckpointError(
                    f"Expected `{model.path.name}` to be the file that round {number} wrote, got another one. "
                    "Choose another round."
                )
            if not model.in_service:
                publish(model.path, self._state.published)
                logger.warning("Round %d was put into service on request", number)
            return self._drop_refined_after(number)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep others from changing the model in service meanwhile.

        Raises:
            PublishError: the lock cannot be taken.
        """
        try:
            lock = FileLock(self._state.root / "service.lock")
            lock.acquire()
        except OSError as error:
            raise PublishError(
                f"Expected `{self._state.root}` to be writable, got: {error}. Check the state folder."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _drop_refined_after(self, number: int) -> list[str]:
        dropped = []
        for image in self._state.refined.image_ids():
            provenance = self._state.refined.provenance(image)
            if provenance is not None and provenance.round > number:
                self._state.refined.drop(image)
                self._state.ledger.drop_refined(image)
                dropped.append(image)
        return dropped
