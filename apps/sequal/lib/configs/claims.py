"""Every server of a study has one state: one with another is refused, at the start or as soon as it is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.configs.study import Study
from sequal.study.state import Claim, LedgerClaim, claim_folder, claim_pacs, pacs_key, study_identity

__all__ = ["Claims"]


class Claims:
    """What this server claims for its state, while its process lives.

    Args:
        study: of the server.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._claims: list[Claim | LedgerClaim] = []

    def make(self, studies: str, search: Mapping[str, Any] | None = None) -> None:
        """Claim a study.

        Args:
            studies: the studies folder, or the address of a PACS.
            search: the search filter of a PACS; None for a folder.

        Raises:
            StudyError: a server with another state serves the study.
        """
        state, settings = self._study.state, self._study.settings
        name = state.name(settings)
        if search is None:
            self._claims.append(claim_folder(Path(studies), name, state.root))
            return
        address = study_identity(studies)[0]
        self._claims.append(claim_pacs(address, search, name, state.root))
        # Of servers on several computers, those that share the state's folder, and those that share the database.
        self._claims.append(claim_folder(state.root, name, state.root))
        if settings.ledger:
            locks = state.ledger.locks_of(f"pacs-{pacs_key(address, search)}")
            self._claims.append(LedgerClaim(locks, name, address))

    def contested(self) -> str:
        """Why this server should ask for nothing more; empty while no server with another state took over."""
        return next((told for claim in self._claims if (told := claim.contested())), "")
