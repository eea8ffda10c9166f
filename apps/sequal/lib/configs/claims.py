"""Every server of a study has one state: one with another is refused, at the start or as soon as it is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.configs.studies import Studies
from lib.configs.study import Study
from lib.configs.task_process import in_task_process
from sequal.study.state import Claim, LedgerClaim, claim_folder, claim_pacs, pacs_key, study_identity

__all__ = ["Claims"]


class Claims:
    """What this server claims for its states, while its process lives.

    Args:
        studies: of the server.
    """

    def __init__(self, studies: Studies) -> None:
        self._studies = studies
        self._claims: list[Claim | LedgerClaim] = []

    def make(self, searches: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Claim the studies; a process of one task, which serves nobody, claims nothing.

        Args:
            searches: the search filter of a PACS by model; None for folders.

        Raises:
            StudyError: a server with another state serves one of the studies.
        """
        if not in_task_process():
            for study in self._studies:
                self._make(study, None if searches is None else searches[study.model.name])

    def _make(self, study: Study, search: Mapping[str, Any] | None) -> None:
        state, settings = study.state, study.settings
        name = state.name(settings)
        if search is None:
            self._claims.append(claim_folder(Path(study.studies), name, state.root))
            return
        address = study_identity(study.studies)[0]
        self._claims.append(claim_pacs(address, search, name, state.root))
        # Of servers on several computers, those that share the state's folder, and those that share the database.
        self._claims.append(claim_folder(state.root, name, state.root))
        if settings.ledger:
            locks = state.ledger.locks_of(f"pacs-{pacs_key(address, search)}")
            self._claims.append(LedgerClaim(locks, name, address))

    def contested(self) -> str:
        """Why this server should ask for nothing more; empty while no server with another state took over."""
        return next((told for claim in self._claims if (told := claim.contested())), "")
