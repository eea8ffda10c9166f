"""Images that a client sends once and refers to by a session, MONAI Label's own with its doors closed."""

import re
import tempfile
from pathlib import Path
from typing import Any, Final

from monailabel.utils.sessions import SessionInfo, Sessions

from lib.configs import refusal
from lib.web.access.archives import unpack
from sequal.errors import ImageError

__all__ = ["SafeSessions"]

#: As `uuid.uuid1` writes it, which is what the server calls a session.
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SafeSessions(Sessions):
    """MONAI Label joins the id of a session to a folder, and unpacks archives wherever their members say.

    Here an id is one that the server made, and an archive is unpacked by `lib.web.access.archives`.
    """

    def get_session(self, session_id: str, update_ts: bool = True, fetch_cache: bool = True) -> SessionInfo | None:
        """What is known of a session; None for one that there is not, and for what is no id of a session."""
        found: SessionInfo | None = (
            super().get_session(session_id, update_ts, fetch_cache) if _is_id(session_id) else None
        )
        return found

    def remove_session(self, session_id: str) -> None:
        """Remove a session and its image; what is no id of a session is nothing to remove."""
        if _is_id(session_id):
            super().remove_session(session_id)

    def add_session(
        self, data_file: str, expiry: int = 0, uncompress: bool = False, session_id: str | None = None
    ) -> tuple[str, SessionInfo]:
        """Keep what a client sent: a file, the files of one request, or an archive of one file.

        Raises:
            HTTPException: 400 when the archive is refused.
        """
        if session_id is not None and not _is_id(session_id):
            raise refusal(
                ImageError(f"Expected a session to be named by the server, got {session_id[:100]!r}. Name none.")
            )
        if not uncompress or Path(data_file).is_dir():
            return self._added(data_file, expiry, session_id)
        with tempfile.TemporaryDirectory() as folder:
            try:
                files = unpack(Path(data_file), Path(folder))
            except ImageError as error:
                raise refusal(error) from error
            return self._added(str(files[0]) if len(files) == 1 else folder, expiry, session_id)

    def _added(self, data_file: str, expiry: int, session_id: str | None) -> tuple[str, SessionInfo]:
        added: tuple[str, Any] = super().add_session(data_file, expiry, False, session_id)
        return added


def _is_id(session_id: str) -> bool:
    return _ID.fullmatch(session_id) is not None
