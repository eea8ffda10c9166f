"""Patient ids as salted hashes: one study gives one patient one name, and nobody can compute it back."""

import hashlib
import hmac
import logging
import os
import re
import secrets
import uuid
from pathlib import Path
from typing import Final, Self

from sequal.errors import StudyError

__all__ = ["SALT_NAME", "Pseudonyms"]

logger = logging.getLogger(__name__)

SALT_NAME: Final = ".import-salt"
_SALT_BYTES: Final = 32
_OWNER_ONLY: Final = 0o600


class Pseudonyms:
    """Keyed hashes (HMAC-SHA-256) with the salt of one study.

    Args:
        salt: secret bytes.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    @classmethod
    def throwaway(cls) -> Self:
        """Hashes that no other run repeats, for a dry run in a study without a salt."""
        return cls(secrets.token_bytes(_SALT_BYTES))

    @classmethod
    def open(cls, studies: Path, *, needed: bool) -> Self:
        """Read the salt of a study, or make it, readable by its owner alone.

        Args:
            studies: the studies folder, which exists.
            needed: the study holds patients that were hashed with a salt, so a new one would make other patients
                of them.

        Raises:
            StudyError: the salt is damaged, cannot be read or written, or is needed and gone.
        """
        path = studies / SALT_NAME
        try:
            if not path.exists():
                if needed:
                    raise StudyError(
                        f"Expected `{path}` to be there, because patients of this study were named with it, got no "
                        "such file. Restore it from a backup; with another salt one patient would get two names."
                    )
                _write_owner_only(path, secrets.token_bytes(_SALT_BYTES).hex().encode())
            if os.name == "posix" and path.stat().st_mode & 0o077:
                logger.warning("%s was readable by others; now its owner alone reads it.", path)
                path.chmod(_OWNER_ONLY)
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                f"Expected `{path}` to be readable and writable, got: {error}. Check its owner."
            ) from error
        if not re.fullmatch(rf"[0-9a-f]{{{2 * _SALT_BYTES}}}", text):
            raise StudyError(
                f"Expected `{path}` to hold {2 * _SALT_BYTES} hexadecimal digits, got something else. "
                "Restore it from a backup."
            )
        return cls(bytes.fromhex(text))

    def of(self, kind: str, value: str, digits: int) -> str:
        """Hash of a value.

        Args:
            kind: what the value is; equal values of two kinds get different hashes.
            value: any text.
            digits: hexadecimal digits wanted, up to 64.
        """
        return hmac.new(self._salt, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()[:digits]


def _write_owner_only(path: Path, content: bytes) -> None:
    """Write a file that was never readable by others, whole or not at all."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
